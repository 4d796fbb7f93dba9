"""What may be wrong with how Postfix asks us: each trap with the line that mends it.

The lists are judged for every smtpd that listens, with its own settings of master.cf in the place of main.cf's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from poprelay.mta import Finding, Level, Part
from poprelay.mta.files import faults_of_map, faults_of_socket
from poprelay.mta.postfix.asking import FILES, asks, question, table, visible_in_jail
from poprelay.mta.postfix.instance import Instance, Smtpd
from poprelay.mta.postfix.networks import parse as parse_networks
from poprelay.mta.postfix.restrictions import LISTS, LOCAL, RECIPIENT, RELAY, STOPS, Restriction, index, parse
from poprelay.mta.postfix.tables import accidents

_ALWAYS: Final = re.compile(r"static:.*\b(?:ok|permit|relay|\d+)\b", re.IGNORECASE)
_HELO: Final = re.compile(r"reject_(?:invalid|non_fqdn|unknown)_(?:helo_)?hostname")
_SUBMISSION: Final = ("submission", "submissions", "smtps", "587", "465")


def examine(instance: Instance, parts: Sequence[Part]) -> Iterator[Finding]:
    """Everything that is wrong, the whole of main.cf first, then each door."""
    ours = [part for part in parts if part.kind in {*FILES, "socketmap", "policy", "tcp_table"}]
    yield from _trusting(instance)
    yield from _networks(instance, ours)
    yield from _doors(instance, ours)
    for part in ours:
        if part.role == "map":
            yield from faults_of_map(part, "postfix")
        else:
            yield from faults_of_socket(part, "postfix", instance.values["mail_owner"])


def _doors(instance: Instance, parts: Sequence[Part]) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    asked = False
    for smtpd in instance.smtpds:
        values = {**instance.values, **smtpd.overrides}
        lists = {name: parse(values[name]) for name in LISTS}
        asked |= any(_asks(one, part, instance) for name in (RELAY, RECIPIENT) for one in lists[name] for part in parts)
        if smtpd.name.partition("/")[0] in _SUBMISSION and not _asked_anywhere(lists, parts, instance):
            continue  # for those who authenticate
        for finding in _door(instance, smtpd, lists, parts):
            if (finding.what, finding.mend) not in told:
                told.add((finding.what, finding.mend))
                yield finding
    if parts and not asked:
        best = next((part for part in parts if part.kind == "socketmap"), parts[0])
        yield _finding(
            "fault",
            "Postfix does not ask us",
            "nobody can relay by what poprelay grants",
            f"{RELAY} = permit_mynetworks, permit_sasl_authenticated, {LOCAL}, "
            f"{question(best, instance.queue)}, reject_unauth_destination (or: poprelay setup postfix)",
        )


def _door(
    instance: Instance, smtpd: Smtpd, lists: dict[str, list[Restriction]], parts: Sequence[Part]
) -> Iterator[Finding]:
    yield from _open(lists)
    for part in parts:
        for name, restrictions in lists.items():
            at = index(restrictions, lambda one, part=part: _asks(one, part, instance))  # type: ignore[misc]
            if at < len(restrictions):
                yield from _question(instance, smtpd, name, restrictions, at, part)
    deciding = [name for name in (RELAY, RECIPIENT) if any(one.name in STOPS for one in lists[name])]
    answered = [name for name in deciding if any(_asks(one, part, instance) for part in parts for one in lists[name])]
    for name in deciding:
        if answered and name not in answered:
            yield _finding(
                "fault",
                f"{name} rejects those who may relay: it has {_stop(lists[name])}, and does not ask us",
                "every list must permit; the other one's OK counts for nothing here",
                f"put {question(parts[0], instance.queue)} before {_stop(lists[name])} in {name}",
            )
        yield from accidents(instance, lists[name], parts)
    if answered:
        yield from _helo(lists)


def _open(lists: dict[str, list[Restriction]]) -> Iterator[Finding]:
    stops = [name for name in (RELAY, RECIPIENT) if any(one.name in STOPS for one in lists[name])]
    if not stops:
        yield _finding(
            "danger",
            f"neither {RELAY} nor {RECIPIENT} has reject_unauth_destination",
            "strangers may be let through to anywhere: an open relay",
            f"end {RELAY} with reject_unauth_destination",
        )
        return
    if len(stops) == 1:
        restrictions = lists[stops[0]]
        before = restrictions[: index(restrictions, lambda one: one.name in STOPS)]
        for one in before:
            if one.name == "permit" or (one.name.startswith("check_") and _ALWAYS.match(one.argument)):
                yield _finding(
                    "danger",
                    f"{stops[0]} has {one} before {_stop(restrictions)}",
                    "it permits everybody: an open relay",
                    f"take {one} out of {stops[0]}",
                )


def _question(
    instance: Instance, smtpd: Smtpd, name: str, restrictions: list[Restriction], at: int, part: Part
) -> Iterator[Finding]:
    one = restrictions[at]
    stop = index(restrictions, lambda other: other.name in STOPS)
    local = index(restrictions, lambda other: other.name == LOCAL)
    if name not in (RELAY, RECIPIENT):
        yield _finding(
            "fault",
            f"{name} asks us: {one}",
            "there our OK lets nobody relay, and what follows it is skipped for them",
            f"take {one} out of {name}, and put it behind {LOCAL} in {RELAY}",
        )
    elif one.name not in ("check_client_access", "check_policy_service"):
        yield _finding(
            "danger",
            f"{name} asks us by {one.name}",
            "that looks something else up than the client's address, which the client may choose",
            f"write check_client_access {one.argument}",
        )
    elif at > stop:
        yield _finding(
            "fault",
            f"{name} asks us behind {restrictions[stop]}",
            "whoever may relay has been rejected by then",
            f"put {one} before {restrictions[stop]}",
        )
    elif name == RELAY and at < local:
        yield _finding(
            "fault",
            f"{name} asks us before {LOCAL}" if local < len(restrictions) else f"{name} has no {LOCAL}",
            "mail for your own domains asks us, and waits while poprelay is down",
            f"put {LOCAL} right before {one}",
        )
    yield from _directly(smtpd, one, part)
    if smtpd.chrooted and not visible_in_jail(one.argument, part.place, instance.queue):
        place = f"{instance.queue}/poprelay/{part.kind}"
        yield _finding(
            "fault",
            f"{smtpd.name} runs in a jail, {instance.queue}, and cannot see {part.place} as {one.argument}",
            "it answers 451 to everybody it asks for",
            f'listen = "unix:{place}" in our config, and '
            f"{question(Part('service', part.kind, f'unix:{place}'), instance.queue)} in {name}",
        )


def _trusting(instance: Instance) -> Iterator[Finding]:
    for network in parse_networks(instance.values["mynetworks"]).networks:
        if network.prefixlen == 0:
            yield _finding(
                "danger",
                f"mynetworks has {network}: it trusts the whole internet",
                "permit_mynetworks lets everybody relay, and mynetworks' own logins open no grant",
                "postconf -e 'mynetworks = 127.0.0.0/8 [::1]/128' (and your own networks)",
            )


def _networks(instance: Instance, parts: Sequence[Part]) -> Iterator[Finding]:
    for smtpd in (None, *instance.smtpds):
        value = instance.values["mynetworks"] if smtpd is None else smtpd.overrides.get("mynetworks", "")
        for word in re.split(r"[\s,]+", value):
            for part in parts:
                if word and part.kind != "policy" and asks(word.lstrip("!"), part, instance.queue):
                    yield _finding(
                        "danger",
                        f"mynetworks names our table: {word}",
                        "whatever an entry says, even REJECT, makes a trusted client, which may do more than relay",
                        f"take {word} out of mynetworks, and ask by check_client_access {table(part, instance.queue)}",
                    )


def _directly(smtpd: Smtpd, one: Restriction, part: Part) -> Iterator[Finding]:
    """By proxymap(8), which keeps what it has opened, or in a jail without it."""
    plain = one.argument.removeprefix("proxy:")
    if part.kind in ("hash", "cdb") and plain != one.argument:
        yield _finding(
            "danger",
            f"Postfix asks {one.argument}",
            "proxymap keeps the file that it has opened, so whoever was revoked may relay on",
            f"write {plain}, and: postfix reload",
        )
    if part.kind == "sqlite" and plain == one.argument and smtpd.chrooted:
        yield _finding(
            "fault",
            f"{smtpd.name} runs in a jail, and asks {one.argument} itself",
            "there it does not see the database's log: it dies, and Postfix rests for a minute",
            f"write proxy:{plain}, and: postfix reload",
        )


def _helo(lists: dict[str, list[Restriction]]) -> Iterator[Finding]:
    for name, restrictions in lists.items():
        at = index(restrictions, lambda one: bool(_HELO.fullmatch(one.name)))
        if at < len(restrictions):
            yield _finding(
                "note",
                f"{name} has {restrictions[at]}",
                "printers and scanners often greet with a name that it rejects, though they may relay",
                f"take {restrictions[at]} out of {name}, or see that such clients greet with a full name",
            )


def _asked_anywhere(lists: dict[str, list[Restriction]], parts: Sequence[Part], instance: Instance) -> bool:
    return any(_asks(one, part, instance) for restrictions in lists.values() for one in restrictions for part in parts)


def _asks(one: Restriction, part: Part, instance: Instance) -> bool:
    if not one.name.startswith("check_") or (one.name == "check_policy_service") != (part.kind == "policy"):
        return False
    return asks(one.argument, part, instance.queue)


def _stop(restrictions: Sequence[Restriction]) -> Restriction:
    return next(one for one in restrictions if one.name in STOPS)


def _finding(level: Level, what: str, why: str, mend: str) -> Finding:
    return Finding(level, "postfix", what, why, mend)
