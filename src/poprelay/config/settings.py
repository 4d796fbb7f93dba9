"""The settings that are our own: typed, complete, checked. What sources, maps and services take is theirs to read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import msgspec

from poprelay.address import Network, canonical, covers, special
from poprelay.config.listen import LONGEST_SOCKET, Listen
from poprelay.config.section import Section
from poprelay.model import Address

DAY: Final = 86_400.0
LONGEST_PERIOD: Final = 30 * DAY
LEDGER: Final = Path("/var/lib/poprelay/private/ledger.db")
CONTROL: Final = Listen(unix=Path("/run/poprelay/control.sock"))
NETWORKS_WORD: Final = "mta"
"""In `exclude_networks`: what the MTA trusts anyway."""


class Relay(msgspec.Struct, frozen=True):
    """`[relay]`: how long, how many, and who may not. Spans in seconds."""

    period: float
    ipv6_prefix: int = 128
    max_session: float = DAY
    require_tls: bool = False
    allow_networks: tuple[Network, ...] = ()
    exclude_networks: tuple[Network, ...] = ()
    exclude_mta: bool = True
    deny_networks: tuple[Network, ...] = ()
    deny_users: frozenset[str] = frozenset()
    max_addresses_per_user: int = 20
    max_users_per_address: int = 200
    max_grants: int = 1_000_000


class Standing(msgspec.Struct, frozen=True):
    """`[[standing]]`: an address that may always relay, such as a printer's."""

    address: Address
    user: str
    reason: str


class LedgerSettings(msgspec.Struct, frozen=True):
    """`[ledger]`: where it lies, and how much of the past it keeps."""

    path: Path = LEDGER
    history: float = 90 * DAY
    history_max_rows: int = 1_000_000


class ControlSettings(msgspec.Struct, frozen=True):
    """`[control]`: the socket that commands use, and who besides root may change things through it."""

    listen: Listen = CONTROL
    mode: int = 0o660
    group: str = ""
    writers: tuple[str, ...] = ()


class LogSettings(msgspec.Struct, frozen=True):
    """`[log]`: what the daemon says about itself."""

    level: str = "info"
    format: str = "text"
    to: str = "stderr"


class MetricsSettings(msgspec.Struct, frozen=True):
    """`[metrics]`: where Prometheus may ask; None: nowhere."""

    listen: Listen | None = None
    mode: int = 0o660


class DaemonSettings(msgspec.Struct, frozen=True):
    """`[daemon]`: `on_stop` is `keep` (the maps stay as they are), `empty`, or `wipe` (every grant is closed);
    `agents_directory` holds agents in Python files."""

    on_stop: str = "keep"
    agents_directory: Path | None = None


class Settings(msgspec.Struct, frozen=True):
    """All of it."""

    relay: Relay
    standing: tuple[Standing, ...]
    ledger: LedgerSettings
    control: ControlSettings
    log: LogSettings
    metrics: MetricsSettings
    daemon: DaemonSettings


def read_settings(root: Section) -> Settings:
    """Read our own sections of the config; mistakes are recorded in `root.problems`."""
    relay = _relay(_required(root, "relay"))
    return Settings(
        relay=relay,
        standing=_standing(root, relay.allow_networks),
        ledger=_ledger(_optional(root, "ledger")),
        control=_control(_optional(root, "control")),
        log=_log(_optional(root, "log")),
        metrics=_metrics(root.table("metrics")),
        daemon=_daemon(_optional(root, "daemon")),
    )


def _required(root: Section, key: str) -> Section:
    found = root.table(key)
    if found is None:
        root.refuse("", f"the section [{key}] is missing", 'write [relay] and below it period = "30m"')
        return Section({"period": "30m"}, (key,), [])
    return found


def _optional(root: Section, key: str) -> Section:
    return root.table(key) or Section({}, (key,), root.problems)


def _relay(section: Section) -> Relay:
    period = section.duration("period", high=LONGEST_PERIOD)
    max_session = section.duration("max_session", max(DAY, period), high=LONGEST_PERIOD)
    if section.sound and max_session < period:
        section.refuse("max_session", "is shorter than the relay period", "make it as long, or leave it out")
    settings = Relay(
        period=period,
        ipv6_prefix=section.integer("ipv6_prefix", 128, low=64, high=128),
        max_session=max_session,
        require_tls=section.flag("require_tls", default=False),
        allow_networks=section.networks("allow_networks"),
        exclude_networks=section.networks("exclude_networks", word=NETWORKS_WORD),
        exclude_mta=NETWORKS_WORD in section.texts("exclude_networks", (NETWORKS_WORD,)),
        deny_networks=section.networks("deny_networks"),
        deny_users=frozenset(section.texts("deny_users", (), once=True)),
        max_addresses_per_user=section.integer("max_addresses_per_user", 20, low=1),
        max_users_per_address=section.integer("max_users_per_address", 200, low=1),
        max_grants=section.integer("max_grants", 1_000_000, low=1, high=10_000_000),
    )
    section.finish()
    return settings


def _standing(root: Section, allowed: Sequence[Network]) -> tuple[Standing, ...]:
    found: dict[tuple[Address, str], Standing] = {}
    for section in root.tables("standing"):
        text = section.text("address")
        user, reason = section.text("user", ""), section.text("reason", "")
        force = section.flag("force", default=False)
        section.finish()
        address = canonical(text)
        if address is None:
            if text:
                remedy = "write one [[standing]] for each"
                section.refuse("address", f"{text!r} is not one full IPv4 or IPv6 address", remedy)
            continue
        word = special(address)
        if word and not force and not any(covers(network, address) for network in allowed):
            remedy = "add force = true if that is meant"
            section.refuse("address", f"{address} is special ({word}): all behind it could relay", remedy)
        if (address, user) in found:
            section.refuse("address", f"{address} is there twice for the same user", "leave one out")
        found[address, user] = Standing(address, user, reason)
    return tuple(found.values())


def _ledger(section: Section) -> LedgerSettings:
    settings = LedgerSettings(
        path=section.file("path", LEDGER),
        history=section.duration("history", 90 * DAY, low=60.0),
        history_max_rows=section.integer("history_max_rows", 1_000_000, low=100, high=1_000_000_000),
    )
    section.finish()
    return settings


def _control(section: Section) -> ControlSettings:
    listen = section.listen("listen", CONTROL)
    if listen.unix is None:
        why = "the control socket is a unix socket: only there the kernel says who asks"
        section.refuse("listen", why, 'write "unix:/path"')
    elif len(os.fsencode(listen.unix)) > LONGEST_SOCKET:
        section.refuse("listen", f"a unix socket's path has at most {LONGEST_SOCKET} bytes", "choose a shorter one")
    settings = ControlSettings(
        listen=listen,
        mode=section.mode("mode", 0o660),
        group=section.text("group", ""),
        writers=section.texts("writers", (), once=True),
    )
    section.finish()
    return settings


def _log(section: Section) -> LogSettings:
    settings = LogSettings(
        level=section.choice("level", ("debug", "info", "warning", "error"), "info"),
        format=section.choice("format", ("text", "json"), "text"),
        to=section.choice("to", ("stderr", "syslog"), "stderr"),
    )
    section.finish()
    return settings


def _metrics(section: Section | None) -> MetricsSettings:
    if section is None:
        return MetricsSettings()
    listen = section.listen("listen")
    if listen.host and not ip_address(listen.host).is_loopback:
        why = f"{listen.host} can be reached from other machines, and nobody who asks there is identified"
        section.refuse("listen", why, "listen on 127.0.0.1, [::1] or a unix socket, behind a proxy of your own")
    settings = MetricsSettings(listen=listen, mode=section.mode("mode", 0o660))
    section.finish()
    return settings


def _daemon(section: Section) -> DaemonSettings:
    settings = DaemonSettings(
        on_stop=section.choice("on_stop", ("keep", "empty", "wipe"), "keep"),
        agents_directory=section.file("agents_directory") if section.given("agents_directory") else None,
    )
    section.finish()
    return settings
