"""Exim: a question in the ACL for RCPT, before strangers are refused and behind what is for our own domains.

What stands where, and why: the Exim page of the documentation; the Exim specification, "Access control lists".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from poprelay.errors import MtaError
from poprelay.mta import STATE, Edit, Finding, Folder, Installed, Part, Plan
from poprelay.mta.exim.acl import Clause, Statement, above, end, statements
from poprelay.mta.exim.asking import asks, question
from poprelay.mta.exim.findings import examine
from poprelay.mta.exim.instance import UPDATE, Instance, find
from poprelay.mta.exim.session import Session
from poprelay.mta.restart import hang_up


class Exim:
    """The Exim of this host."""

    name: ClassVar[str] = "exim"

    def find(self) -> Installed | None:
        program = find()
        if not program:
            return None
        instance = Instance.read(program)
        lists = ("iplsearch", "hosts") if "iplsearch" in instance.lookups else ("hosts",)
        return Installed(self.name, instance.version, instance.config, ("spool", "readsocket", *lists))

    def plan(self, kind: str) -> Plan:
        instance = Instance.read()
        part, section, folders = _part(kind, instance)
        remarks: list[str] = []
        edits: tuple[Edit, ...] = ()
        if not any(asks(one, part) for one in instance.statements):
            source = instance.source()
            edits = (_edited(instance, source, part),)
            if instance.generated:
                remarks.append(
                    f"{source} is a file of Debian's package: when a new version asks about it, keep yours, and see "
                    "what is new there"
                )
        return Plan(
            section=section,
            edits=edits,
            folders=folders,
            make=((UPDATE,),) if instance.generated else (),
            check=(
                (UPDATE, "--check", "-o", "/run/exim4-checked") if instance.generated else (instance.program, "-bV"),
            ),
            reload=hang_up(instance.pid_file),
            remarks=tuple(remarks),
        )

    def examine(self, parts: Sequence[Part]) -> Iterable[Finding]:
        return examine(Instance.read(), parts)


def _part(kind: str, instance: Instance) -> tuple[Part, str, tuple[Folder, ...]]:
    """What of ours Exim is to ask, its section in our config, and the folder that it needs."""
    if kind == "readsocket":
        folder = STATE / "exim"
        part = Part("service", kind, f"unix:{folder / kind}")
        made = (Folder(folder, "poprelay", instance.group, 0o2750),)
        return part, f'[[services]]\nkind = "{kind}"\nlisten = "{part.place}"\n', made
    if kind == "spool":
        part = Part("map", kind, str(STATE / kind))
        return part, f'[[maps]]\nkind = "{kind}"\npath = "{part.place}"\n', ()
    part = Part("map", "exim", str(STATE / f"relay.{kind}"), {"format": kind})
    return part, f'[[maps]]\nkind = "exim"\nformat = "{kind}"\npath = "{part.place}"\n', ()


def _edited(instance: Instance, source: Path, part: Part) -> Edit:
    """The file with our question in it, before the statement by which Exim refuses a stranger now."""
    text = source.read_text("utf-8", "surrogateescape")
    lines = text.splitlines(keepends=True)
    bare = text.splitlines()
    stop = _stop(instance, source, bare, instance.session())
    at = end(bare, instance.acl) if stop is None else above(bare, stop.line)
    new = [
        *lines[:at],
        *([] if stop else ["\n"]),
        question(part, _others(stop)),
        *(["\n"] if stop else []),
        *lines[at:],
    ]
    return Edit(source, "".join(new).encode("utf-8", "surrogateescape"))


def _stop(instance: Instance, source: Path, lines: Sequence[str], stranger: Session) -> Statement | None:
    """The statement that refuses strangers; None if it is the end of the list. Raises MtaError."""
    if stranger.accepted:
        raise MtaError(
            f"{instance.config}: a stranger may relay already: {stranger.said}",
            remedy="close that first (poprelay doctor exim says which line it is); then run setup again",
        )
    if stranger.ended == "implicit DENY":
        return None
    step = stranger.steps[-1] if stranger.steps else None
    written = statements(lines, instance.acl)
    if step is not None and step.line:
        read = statements(step.file.read_text("utf-8", "surrogateescape").splitlines(), instance.acl)
        number = next((number for number, one in enumerate(read) if one.line == step.line - 1), len(read))
        if number < len(read) == len(written) and read[number].clauses == written[number].clauses:
            stop = written[number]
            if not stop.conditions or any(one.name == "domains" for one in stop.conditions):
                return stop
    by = f"{step.verb} ({step.file} line {step.line})" if step is not None else "what comes before RCPT"
    raise MtaError(
        f"{source}: strangers are told {stranger.said!r} by {by}, and it cannot be told where our question belongs",
        remedy=f"write it by hand into {instance.acl}, as docs/mta/exim.md in the source shows",
    )


def _others(stop: Statement | None) -> Clause | None:
    """The condition that a domain is not ours, from what refuses strangers."""
    domains = next((one for one in stop.conditions if one.name == "domains"), None) if stop is not None else None
    if domains is None or stop is None:
        return None
    return domains._replace(negated=domains.negated != (stop.verb == "require"))
