from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from poprelay.config.listen import Listen
from poprelay.config.section import Section
from poprelay.config.settings import (
    ControlSettings,
    DaemonSettings,
    LedgerSettings,
    LogSettings,
    MetricsSettings,
    Relay,
    Settings,
    Standing,
    read_settings,
)
from poprelay.model import Address

Load = Callable[[str], tuple[Section, Callable[[], list[str]]]]

LEAST = '[relay]\nperiod = "30m"\n'


def test_all_but_the_relay_period_has_a_default(load: Load) -> None:
    root, problems = load(LEAST)
    assert read_settings(root) == Settings(
        relay=Relay(period=1800.0),
        standing=(),
        ledger=LedgerSettings(),
        control=ControlSettings(),
        log=LogSettings(),
        metrics=MetricsSettings(),
        daemon=DaemonSettings(),
    )
    assert problems() == []


def test_the_defaults_are_those_of_the_design() -> None:
    relay = Relay(period=1800.0)
    assert (relay.ipv6_prefix, relay.max_session, relay.require_tls) == (128, 86_400.0, False)
    assert (relay.max_addresses_per_user, relay.max_users_per_address, relay.max_grants) == (20, 200, 1_000_000)
    assert (relay.exclude_mta, relay.exclude_networks) == (True, ())
    assert LedgerSettings() == LedgerSettings(
        path=Path("/var/lib/poprelay/private/ledger.db"), history=90 * 86_400.0, history_max_rows=1_000_000
    )
    assert str(ControlSettings().listen) == "unix:/run/poprelay/control.sock"
    assert DaemonSettings().on_stop == "keep"


def test_everything_can_be_said_otherwise(load: Load) -> None:
    root, problems = load(
        """
        [relay]
        period = "2h"
        ipv6_prefix = 64
        max_session = "3h"
        require_tls = true
        allow_networks = ["10.0.0.0/8"]
        exclude_networks = ["9.9.9.0/24"]
        deny_networks = ["8.8.8.8"]
        deny_users = ["eve"]
        max_addresses_per_user = 1
        max_users_per_address = 2
        max_grants = 3
        [[standing]]
        address = "2620:FE::9"
        user = "printer"
        reason = "it cannot"
        [ledger]
        path = "/srv/ledger.db"
        history = "1d"
        history_max_rows = 500
        [control]
        listen = "unix:/srv/control"
        mode = "0600"
        group = "adm"
        writers = ["ann"]
        [log]
        level = "error"
        format = "json"
        to = "syslog"
        [metrics]
        listen = "inet:127.0.0.1:9797"
        mode = "0600"
        [daemon]
        on_stop = "empty"
        """
    )
    settings = read_settings(root)
    root.finish()
    assert problems() == []
    assert settings == Settings(
        relay=Relay(
            period=7200.0,
            ipv6_prefix=64,
            max_session=10_800.0,
            require_tls=True,
            allow_networks=(ip_network("10.0.0.0/8"),),
            exclude_networks=(ip_network("9.9.9.0/24"),),
            exclude_mta=False,
            deny_networks=(ip_network("8.8.8.8/32"),),
            deny_users=frozenset({"eve"}),
            max_addresses_per_user=1,
            max_users_per_address=2,
            max_grants=3,
        ),
        standing=(Standing(Address("2620:fe::9"), "printer", "it cannot"),),
        ledger=LedgerSettings(path=Path("/srv/ledger.db"), history=86_400.0, history_max_rows=500),
        control=ControlSettings(listen=Listen(unix=Path("/srv/control")), mode=0o600, group="adm", writers=("ann",)),
        log=LogSettings(level="error", format="json", to="syslog"),
        metrics=MetricsSettings(Listen(host="127.0.0.1", port=9797), 0o600),
        daemon=DaemonSettings(on_stop="empty"),
    )


def test_what_the_mta_trusts_is_excluded_unless_the_list_leaves_it_out(load: Load) -> None:
    def excluded(line: str) -> tuple[bool, tuple[object, ...]]:
        root, problems = load(LEAST + line)
        relay = read_settings(root).relay
        assert problems() == []
        return relay.exclude_mta, relay.exclude_networks

    assert excluded("") == (True, ())
    assert excluded('exclude_networks = ["mta"]') == (True, ())
    assert excluded('exclude_networks = ["9.9.9.9", "mta"]') == (True, (ip_network("9.9.9.9/32"),))
    assert excluded("exclude_networks = []") == (False, ())


def test_a_session_is_held_as_long_as_the_period_where_that_is_longer_than_a_day(load: Load) -> None:
    root, problems = load('[relay]\nperiod = "3d"\n')
    assert read_settings(root).relay.max_session == 3 * 86_400.0
    assert problems() == []


def test_a_standing_address_in_a_special_range_needs_to_be_meant(load: Load) -> None:
    def refusals(more: str, relay: str = "") -> list[str]:
        root, problems = load(f'{LEAST}{relay}\n[[standing]]\naddress = "10.0.0.9"\n{more}\n')
        read_settings(root)
        return problems()

    assert len(refusals("")) == 1
    assert refusals("force = true") == []
    assert refusals("", 'allow_networks = ["10.0.0.0/24"]') == []
    assert len(refusals("", 'allow_networks = ["10.0.1.0/24"]')) == 1


def test_one_address_may_stand_for_two_users(load: Load) -> None:
    root, problems = load(
        f'{LEAST}[[standing]]\naddress = "9.9.9.9"\nuser = "a"\n[[standing]]\naddress = "9.9.9.9"\nuser = "b"\n'
    )
    assert [one.user for one in read_settings(root).standing] == ["a", "b"]
    assert problems() == []
