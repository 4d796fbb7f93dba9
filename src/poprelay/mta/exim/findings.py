"""What may be wrong with how Exim asks us: each trap with the line that mends it.

The list for RCPT is read as Exim reads it, and Exim itself is asked what it would tell a stranger (`exim -bh`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from poprelay.mta import Finding, Level, Part
from poprelay.mta.exim.asking import KINDS, asks, by_name, local_mail_asks, names, permits_anybody, place, question
from poprelay.mta.exim.instance import Instance
from poprelay.mta.exim.session import STRANGER, Session
from poprelay.mta.files import faults_of_map, faults_of_socket

PRINTER: Final = "printer"
"""A name such as printers and scanners greet with."""


def examine(instance: Instance, parts: Sequence[Part]) -> Iterator[Finding]:
    """Everything that is wrong."""
    ours = [part for part in parts if part.kind in KINDS]
    stranger = instance.session()
    if stranger.accepted:
        yield _finding(
            "danger",
            f"a stranger may relay: {STRANGER} is told {stranger.said!r} by {_last(stranger)}",
            "an open relay",
            f"see what that line lets through, and take it out; exim -bh {STRANGER} shows each step",
        )
    asked = [part for part in ours if any(asks(one, part) for one in instance.statements)]
    for part in asked:
        yield from _questions(instance, part, stranger)
    elsewhere = [part for part in ours if part not in asked and names(instance.text, part)]
    yield from _elsewhere(instance, elsewhere)
    if ours and not asked and not elsewhere:
        yield _finding(
            "fault",
            "Exim does not ask us",
            "nobody can relay by what poprelay grants",
            f"before what refuses strangers in {instance.acl}: {_one_line(question(ours[0], None))} "
            "(or: poprelay setup exim)",
        )
    if asked and not stranger.accepted:
        yield from _greeting(instance, asked, stranger)
    for part in asked:
        if part.role == "map":
            yield from faults_of_map(part, "exim")
        else:
            yield from faults_of_socket(part, "exim", instance.values.get("exim_user", ""))
    yield from _listening(instance)


def _questions(instance: Instance, part: Part, stranger: Session) -> Iterator[Finding]:
    statements = instance.statements
    for number, one in enumerate(statements):
        clause = asks(one, part)
        if clause is None:
            continue
        if permits_anybody(clause, part):
            yield _finding(
                "danger",
                f"{instance.acl} has {clause}, which does not ask for the client's address",
                "it permits anybody as soon as the answer is not empty",
                f"write {_one_line(question(part, None))}",
            )
        if by_name(clause, part):
            yield _finding(
                "fault",
                f"{instance.acl} has {clause}, which asks for the client's name",
                "no address is found, and who owns a name chooses it",
                f"write hosts = net-iplsearch;{place(part)}",
            )
        if one.verb in ("deny", "drop", "defer", "discard") and not clause.negated:
            yield _finding(
                "fault",
                f"{instance.acl} has {one}",
                "it refuses those who may relay",
                f"write accept in the place of {one.verb}",
            )
        if part.kind != "spool" and local_mail_asks(statements[:number], one, clause):
            yield _finding(
                "fault",
                f"{instance.acl} asks {place(part)} about mail for your own domains too",
                "that mail waits while poprelay is down, or while the file is missing",
                f"put a line before {clause.name}: !domains = +local_domains",
            )
    if not stranger.accepted and not names(stranger.trace, part) and stranger.greeted and stranger.steps:
        yield _finding(
            "fault",
            f"{instance.acl} asks {place(part)} too late: {_last(stranger)} comes before it",
            f"whoever may relay has been told {stranger.said!r} by then",
            f"put what asks before {_last(stranger)}",
        )


def _elsewhere(instance: Instance, parts: Sequence[Part]) -> Iterator[Finding]:
    for part in parts:
        yield _finding(
            "fault",
            f"{place(part)} is asked, but not in {instance.acl}, the list for RCPT",
            "elsewhere the recipient is not known: it lets nobody relay, or mail for yourself waits for it",
            f"in {instance.acl}: {_one_line(question(part, None))}",
        )


def _greeting(instance: Instance, parts: Sequence[Part], stranger: Session) -> Iterator[Finding]:
    printer = instance.session(PRINTER)
    asked = any(names(stranger.trace, part) for part in parts)
    if stranger.greeted and (not printer.greeted or (asked and not any(names(printer.trace, p) for p in parts))):
        by = _last(printer) if printer.steps else "acl_smtp_helo or a check of HELO"
        yield _finding(
            "note",
            f"a client that greets with 'HELO {PRINTER}' is told {printer.said!r} by {by}",
            "printers and scanners often greet with such a name, though they may relay",
            f"put what asks us before {by}, or see that such clients greet with a full name",
        )


def _listening(instance: Instance) -> Iterator[Finding]:
    value = instance.values.get("local_interfaces", "")
    if value and all(word == "::1" or word.startswith("127.") for word in _list(value)):
        mend = "dpkg-reconfigure exim4-config" if instance.generated else f"local_interfaces in {instance.config}"
        why = "no client of another host gets as far as Exim"
        yield _finding("note", f"Exim listens only to this host: {value}", why, mend)


def _list(value: str) -> list[str]:
    """The items of one of Exim's lists: between colons, of which two are one that is meant, or as `<;` says."""
    if value.startswith("<"):
        items = value[2:].split(value[1])
    else:
        items = [item.replace("::", ":") for item in re.split(r"(?<!:):(?!:)", value)]
    return [item.strip() for item in items if item.strip()]


def _last(session: Session) -> str:
    """Where it was decided."""
    if not session.steps:
        return "what comes before RCPT"
    step = session.steps[-1]
    return f"{step.verb} ({step.file} line {step.line})" if step.line else step.verb


def _one_line(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(line for line in lines if not line.startswith("#")).replace("accept; ", "accept ")


def _finding(level: Level, what: str, why: str, mend: str) -> Finding:
    return Finding(level, "exim", what, why, mend)
