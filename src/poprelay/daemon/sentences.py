"""What a config would do, in sentences that its owner can agree to or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from poprelay.address import Network
from poprelay.config.settings import Relay, Settings

if TYPE_CHECKING:
    from poprelay.daemon.configure import Config, Configured

_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def sentences(config: Config) -> list[str]:
    """All that a config would do, the most important first."""
    settings = config.settings
    return [
        *_granting(settings.relay),
        *(_source(part) for part in config.sources),
        *(f"Keeps the {part.kind} map {_where(part)} equal to the ledger." for part in config.maps),
        *(f"Answers {part.kind} questions on {_where(part)}." for part in config.services),
        *(f"{one.address}{_brackets(one.user, one.reason)} may always relay." for one in settings.standing),
        *_refusing(settings.relay),
        *_keeping(settings),
    ]


def spoken(seconds: float) -> str:
    """A span in words.

    >>> spoken(1800), spoken(86400), spoken(5400)
    ('30 minutes', '1 day', '1 hour and 30 minutes')
    """
    rest, parts = int(seconds), []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return listed(parts)


def listed(words: Iterable[str]) -> str:
    """Words as one enumeration.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _granting(relay: Relay) -> Iterator[str]:
    who = "A POP or IMAP login" + (" that TLS protected" if relay.require_tls else "")
    what = "its address" + (f" (of IPv6 the whole /{relay.ipv6_prefix})" if relay.ipv6_prefix != 128 else "")
    yield f"{who} lets {what} relay for {spoken(relay.period)}."
    yield (
        f"An open session holds that, but no longer than {spoken(relay.max_session)} after its last sign of life; "
        "once it ends, the time begins anew."
    )


def _source(part: Configured) -> str:
    names = [agent.name for agent in part.agents]
    hosts, zone = part.spec.get("hosts"), part.spec.get("timezone")
    return "".join(
        (
            f"Reads {_where(part)} with the agent{'s' if len(names) > 1 else ''} {listed(names)}",
            f", only what {listed(hosts)} wrote" if hosts else "",
            f", with stamps of {zone}" if zone else "",
            ".",
        )
    )


def _refusing(relay: Relay) -> Iterator[str]:
    trusted = ["what Postfix trusts anyway (mynetworks)"] if relay.exclude_mta else []
    never = ["special ranges (private, loopback and so on)", "this host", "its gateways", *trusted]
    never += _shown(relay.exclude_networks)
    yield f"Opens nothing for {listed(never)}."
    if relay.allow_networks:
        yield f"But opens for {listed(_shown(relay.allow_networks))} nevertheless."
    if relay.deny_networks:
        yield f"Never opens for {listed(_shown(relay.deny_networks))}."
    if relay.deny_users:
        yield f"Never opens for the user{'s' if len(relay.deny_users) > 1 else ''} {listed(sorted(relay.deny_users))}."
    yield (
        f"At most {relay.max_addresses_per_user:,} addresses for one user, and {relay.max_grants:,} grants in all; "
        f"an address with more than {relay.max_users_per_address:,} users is a gateway, and is closed."
    )


def _keeping(settings: Settings) -> Iterator[str]:
    ledger, control, log = settings.ledger, settings.control, settings.log
    yield (
        f"Keeps the ledger in {ledger.path}, and its history for {spoken(ledger.history)}, "
        f"at most {ledger.history_max_rows:,} rows."
    )
    writers = listed(["root", "the daemon's own user", *control.writers])
    yield f"Takes commands on {control.listen}; {writers} may change things."
    yield f"Logs at level {log.level} and above, as {'JSON' if log.format == 'json' else log.format}, to {log.to}."
    if settings.metrics.listen is not None:
        yield f"Shows its metrics to this machine on {settings.metrics.listen}."
    if settings.daemon.on_stop == "empty":
        yield "Empties the maps when it stops."
    elif settings.daemon.on_stop == "wipe":
        yield "Closes every grant when it is stopped, and empties the maps."
    else:
        yield "Leaves the maps as they are when it stops; the cleanup timer goes on emptying them."


def _shown(networks: Iterable[Network]) -> list[str]:
    """Networks, and those of one address as the address alone."""
    return [str(each.network_address if each.num_addresses == 1 else each) for each in networks]


def _where(part: Configured) -> str:
    if part.kind == "journal" and part.name == "journal":
        return "the journal"
    where = part.spec.get("path") or part.spec.get("listen") or part.name
    return str(where)


def _brackets(*words: str) -> str:
    said = [word for word in words if word]
    return f" ({', '.join(said)})" if said else ""
