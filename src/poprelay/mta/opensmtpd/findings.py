"""What may be wrong with how OpenSMTPD asks us: each trap with the line that mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from poprelay.mta import Finding, Level, Part
from poprelay.mta.files import faults_of_map
from poprelay.mta.opensmtpd.asking import question, table_of
from poprelay.mta.opensmtpd.rules import Rule, Rules, Table

_SHORT: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,2}")
_ALL: Final = re.compile(r".*/0+")
_SLACK: Final = 2.0
"""Seconds by which a file's time and a process' beginning may differ without a meaning."""


def examine(rules: Rules, config: Path, parts: Sequence[Part], began: float | None) -> Iterator[Finding]:
    """Everything that is wrong. `began`: when smtpd did, if it runs."""
    ours = [part for part in parts if part.kind in ("opensmtpd", "sqlite")]
    yield from _open(rules)
    yield from _tables(rules, {table_of(part, rules) for part in ours})
    asking = [number for part in ours for number in rules.asking(table_of(part, rules) or "\0")]
    for part in ours:
        yield from _rules(rules, part)
        yield from _map(part)
    if ours and not asking:
        action = rules.outgoing() or "relay"
        yield _finding(
            "fault",
            "OpenSMTPD does not ask us",
            "nobody can relay by what poprelay grants",
            f"poprelay setup opensmtpd; or in {config}: "
            + question(ours[0], table_of(ours[0], rules), action).strip().replace("\n", "; "),
        )
    with suppress(OSError):
        changed = max(one.stat().st_mtime for one in {config, *(one.file for one in rules.statements)})
        if began is not None and began + _SLACK < changed:
            yield _finding(
                "fault",
                f"{config} was changed after smtpd has started",
                "smtpd reads it only when it starts, so it does not know of what stands there",
                "systemctl restart opensmtpd",
            )


def _open(rules: Rules) -> Iterator[Finding]:
    for rule in rules.rules[: rules.wall() + 1]:
        if rule.opens and rules.relays(rule.action):
            chosen = ", by what they choose themselves" if rule.to.name != "for any" or rule.others else ""
            yield _finding(
                "danger",
                f"strangers may relay{chosen}: {rule}",
                "this is an open relay",
                "say from whom: match from src <table> …, or match auth from any …",
            )


def _tables(rules: Rules, ours: set[str]) -> Iterator[Finding]:
    """What stands in the tables, and in the rules themselves, that let others relay."""
    for rule in rules.rules:
        if rule.source.name != "from src" or rule.source.negated or not rules.relays(rule.action):
            continue
        name = rule.source.table
        table = rules.tables.get(name)
        words = list(rule.source.words)
        if table is not None and table.kind == "socketmap":
            yield _finding(
                "fault",
                f"the table {name} is a socketmap, and asked from whom mail comes: {rule}",
                "OpenSMTPD cannot do that: it answers 451 to everybody, and does not start without the socket",
                f'table {name} file:/var/lib/poprelay/relay, and kind = "opensmtpd" in our config',
            )
        elif table is not None and name not in ours:
            words += _words(table)
        for word in words:
            yield from _word(f"the table {name}" if name else str(rule), word)


def _words(table: Table) -> list[str]:
    if table.kind != "file":
        return list(table.words)
    with suppress(OSError):
        lines = Path(table.place).read_text("utf-8", "replace").splitlines()
        return [line.split()[0] for line in lines if line.split() and not line.lstrip().startswith("#")]
    return []


def _word(where: str, word: str) -> Iterator[Finding]:
    if _ALL.fullmatch(word):
        yield _finding("danger", f"{where} has {word}: every address", "this is an open relay", f"take {word} out")
    elif _SHORT.fullmatch(word):
        network = f"{word}{'.0' * (3 - word.count('.'))}/{8 * (word.count('.') + 1)}"
        yield _finding(
            "note",
            f"{where} has {word}, which is read as {network}",
            "the whole network may relay",
            "write the address in full, or the network with its length",
        )


def _rules(rules: Rules, part: Part) -> Iterator[Finding]:
    """How the rules ask for one of our maps."""
    table = table_of(part, rules)
    for number in rules.asking(table) if table else ():
        rule: Rule = rules.rules[number]
        wall = rules.wall()
        if rule.source.negated:
            yield _finding(
                "danger" if rules.relays(rule.action) else "fault",
                f"a rule asks for those who are not in our table: {rule}",
                "it is about everybody else: strangers, not who may relay",
                f"take out the ! before from src <{table}>",
            )
        elif number > wall and rules.relays(rules.rules[wall].action):
            continue  # an open relay, which is another finding
        elif number > wall:
            yield _finding(
                "fault",
                f"{rule}: it stands behind {rules.rules[wall]}",
                "the first rule that matches decides, so ours is never reached",
                f"put it before {rules.rules[wall]}",
            )
        elif rule.to != ("for any", False, "", ()):
            yield _finding(
                "fault",
                f"{rule}: it is not for any",
                "who may relay cannot send to others than these",
                question(part, table, rule.action).strip(),
            )
        elif not rules.relays(rule.action):
            yield _finding(
                "fault",
                f"{rule}: {f'the action {rule.action} does not relay' if rule.action else 'it rejects'}",
                "mail of those who may relay does not leave",
                question(part, table, rules.outgoing() or "relay").strip(),
            )


def _map(part: Part) -> Iterator[Finding]:
    found = list(faults_of_map(part, "opensmtpd"))
    yield from found
    with suppress(OSError):
        if part.kind == "opensmtpd" and not Path(part.place).read_bytes().strip():
            yield _finding(
                "fault",
                f"the map {part.place} is empty",
                "smtpd does not start with an empty table: the next restart stops all mail",
                "poprelay cleanup, which writes the line that always stands in it",
            )


def _finding(level: Level, what: str, why: str, mend: str) -> Finding:
    return Finding(level, "opensmtpd", what, why, mend)
