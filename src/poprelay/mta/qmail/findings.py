"""What may be wrong with the rules that tcpserver reads: each trap with the line that mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

from poprelay.errors import MtaError
from poprelay.mta import Finding, Level, Part
from poprelay.mta.files import faults_of_map
from poprelay.mta.qmail.instance import Instance, program
from poprelay.mta.qmail.rules import Rule, odd, parse

_OCTETS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,2}")
_SMALLEST: Final = 2048
"""Bytes of a cdb in which nothing is."""
_SLACK: Final = 1.0


def examine(found: Instance, parts: Sequence[Part]) -> Iterator[Finding]:
    """Everything that is wrong."""
    ours = [part for part in parts if part.kind == "tcprules"]
    if "RELAYCLIENT" in found.environment:
        yield _finding(
            "danger",
            f"{found.where} sets RELAYCLIENT",
            "every client may relay: an open relay",
            f"take it out of {found.where}, and start tcpserver anew",
        )
    if found.rules == Path():
        if ours:
            yield _silent(f"{found.where}: tcpserver has no -x", "give it -x /etc/tcp.smtp.cdb, and start it anew")
        return
    text = _text(found.source)
    for line in odd(text):
        yield _finding(
            "fault",
            f"{found.source}: {line!r} is no rule",
            "tcprules never ends on such a line: nothing changes any more, not even what is taken away",
            "write 192.0.2.7:allow, or :deny; # begins a comment",
        )
    for rule in parse(text):
        yield from _rule(found.source, rule)
    yield from _database(found, ours)
    for part in ours:
        yield from faults_of_map(part, "qmail")


def _rule(file: Path, rule: Rule) -> Iterator[Finding]:
    if rule.key == "" and rule.relays:
        yield _finding(
            "danger",
            f"{file}: {rule.line}: everybody may relay",
            "the rule without an address is for all: an open relay",
            "take RELAYCLIENT out of that line, and make the rules anew",
        )
    wrong = never(rule.key)
    if wrong:
        yield _finding("fault", f"{file}: {rule.line}: it never matches", *wrong)


def never(key: str) -> tuple[str, str] | None:
    """Why tcpserver finds no client by that key, and what to write; None if it may find one.

    >>> never("192.0.2."), never("192.0.2.7"), never("2001:db8::7"), never("10.1-5."), never("=mx.example.org")
    (None, None, None, None, None)
    >>> never("192.0.2"), never("10.0.0.0/8")[1]
    (('a network ends with a dot', 'write 192.0.2.'), 'write 10.')
    """
    if _OCTETS.fullmatch(key):
        return "a network ends with a dot", f"write {key}."
    if "/" in key:
        address, _, length = key.partition("/")
        octets = int(length) // 8 if length.isdecimal() and ":" not in key and int(length) % 8 == 0 else 0
        short = ".".join(address.split(".")[:octets]) + "." if octets else "the networks that it holds, as 192.0.2."
        return "tcpserver knows no lengths of networks", f"write {short}"
    if ":" in key and not key.endswith("::") and "@" not in key:
        with suppress(ValueError):
            if str(IPv6Address(key.strip("[]"))) == key or key.startswith("::ffff:"):
                return None
            return "tcpserver writes an IPv6 address short", f"write {IPv6Address(key.strip('[]'))}"
        if key.startswith("["):
            return "tcpserver writes an IPv6 address without brackets", "take them out"
    return None


def _database(found: Instance, ours: Sequence[Part]) -> Iterator[Finding]:
    rules = found.rules
    try:
        status = rules.stat()
    except OSError as error:
        drops = "everybody is let in" if found.tolerates else "tcpserver drops every connection"
        yield _finding("fault", f"{rules}: {error.strerror}", drops, _anew(found))
        return
    if status.st_size < _SMALLEST:
        yield _finding("fault", f"{rules} is empty", "tcpserver drops every connection", _anew(found))
        return
    for source in (found.source, *(Path(part.place) for part in ours)):
        with suppress(OSError):
            if source.stat().st_mtime > status.st_mtime + _SLACK:
                yield _finding(
                    "fault", f"{rules} is older than {source}", "what stands there does not hold yet", _anew(found)
                )
    missing = [key for part in ours for key in _missing(rules, Path(part.place))]
    if missing:
        yield _silent(
            f"{rules} has not {missing[0]}, who may relay",
            "systemctl reload poprelay: somebody has made the rules anew without our map; or see: poprelay status",
        )
    elif (
        ours
        and not found.source.with_name(f"{found.source.name}.poprelay").exists()
        and Path(ours[0].place) != found.source
    ):
        yield _silent(f"{rules} is not made from our map", "poprelay setup qmail")


def _missing(rules: Path, place: Path) -> Iterator[str]:
    """Which of the last rules of our map are not in the database."""
    content = rules.read_bytes()
    for rule in parse(_text(place))[-3:]:
        if rule.relays and rule.key.encode() not in content:
            yield rule.key


def _silent(what: str, mend: str) -> Finding:
    return _finding("fault", f"{what}: qmail does not ask us", "nobody can relay by what poprelay grants", mend)


def _anew(found: Instance) -> str:
    try:
        tcprules = program("tcprules")
    except MtaError:
        tcprules = "tcprules"
    return f"{tcprules} {found.rules} {found.rules}.tmp <{found.source}"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


def _finding(level: Level, what: str, why: str, mend: str) -> Finding:
    return Finding(level, "qmail", what, why, mend)
