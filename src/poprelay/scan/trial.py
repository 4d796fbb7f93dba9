"""An agent tried out: its needles, its samples, and its templates filled with what an attacker would write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final
from zoneinfo import ZoneInfo

from poprelay.agents import proof
from poprelay.agents.base import UNCUT, Agent
from poprelay.agents.lint import Finding, Severity
from poprelay.agents.proof import CHOSEN, Sample, Template
from poprelay.errors import AgentError
from poprelay.escape import show
from poprelay.model import Event, Instant, Login
from poprelay.scan.needles import derived, needles
from poprelay.scan.ordinary import common
from poprelay.scan.scanner import Scanner

FORGED: Final = "6.6.6.6"
SHORTEST: Final = 4
"""Characters of a needle below which it is taken to stand in lines of all sorts."""

CUT: Final = 1024
"""Bytes of a line at which syslog daemons cut it: at the least, by RFC 3164."""

_SIGNS: Final = ("<", ">", ">, ", "(", ")", "[", "]", '"', "'", ",", " ", ": ", "\t", "#012", "\x00", "\r", "\udcff")
_PROBES: Final = (FORGED, f"[{FORGED}]", f"({FORGED})", f"rip={FORGED}, lip=1.1.1.1", "@@")
_SHOWN: Final = 100


def try_agent(agent: Agent, samples: str | None, *, now: Instant) -> list[Finding]:
    """All findings about what the agent does, rather than how it is written. `now` bounds what stamps may mean."""
    found = try_needles(agent)
    if any(finding.severity == "error" for finding in found):
        return found  # the engine does not take it
    return [*found, *_about_samples(_Trial(agent, now), samples)]


def try_needles(agent: Agent) -> list[Finding]:
    """The findings about what an agent's lines are found by."""
    try:
        return [*_about_needles(agent)]
    except AgentError as error:
        message = error.message.removeprefix(f"agent {agent.name}: ")
        return [_finding("needle", "login", message, "candidates are found by it", error.remedy)]


def common_needle(pattern: str) -> str:
    """What is to be said about a needle of this pattern that ordinary lines have, or ''."""
    return next((_doubt(text) for text in derived(pattern) if _doubt(text)), "")


def _doubt(needle: bytes) -> str:
    if len(needle) < SHORTEST:
        return f"the needle {show(needle.decode())!r} is short, and likely to stand in lines of all sorts"
    return next(
        (
            f"its lines are found by {show(needle.decode())!r}, which ordinary ones have, too: {one.line.decode()!r}"
            for one in common([needle])
        ),
        "",
    )


def _about_needles(agent: Agent) -> Iterator[Finding]:
    if agent.whole_line:
        return
    programs = {program.lstrip("*").encode() for program in agent.programs}
    for text in needles(agent)[0]:
        message = _doubt(text) if text not in programs else ""
        if message:
            why = "each of them is taken apart, which makes reading slow"
            remedy = "give the agent `login_needles`, or let the pattern say more"
            yield _finding("needle", "login", message, why, remedy, "warning")


def _about_samples(trial: _Trial, text: str | None) -> Iterator[Finding]:
    agent = trial.agent
    try:
        samples, templates = proof.read(text or ""), proof.templates(text or "")
    except AgentError as error:
        yield _finding("samples", "samples", error.message, "", error.remedy)
        return
    where = f"samples/{agent.name}.log"
    kinds = {claim.kind for sample in samples for claim in sample.claims}
    if "login" not in kinds:
        remedy = f"write lines that are a login into {where}, below '#= login user=... address=...'"
        yield _finding("samples", "samples", "there is no sample of a login", "nothing shows that it works", remedy)
    if agent.logout_patterns and "logout" not in kinds:
        remedy = f"write lines that are one into {where}, below '#= logout ...'"
        yield _finding("samples", "samples", "there is no sample of a logout", "nothing shows that it works", remedy)
    if not any("attack" in sample.reason for sample in samples):
        remedy = f"write failed logins whose user name imitates a success into {where}, below '#! an attack: ...'"
        yield _finding("attacks", "samples", "there is no attack", "nothing shows that it cannot be fooled", remedy)
    if {template.address is None for template in templates} != {True, False}:
        remedy = f"write '#~ login from ADDRESS' and '#~ no login' into {where}, with {CHOSEN} for the user name"
        message = "there are no templates of both a login and a failure"
        yield _finding("templates", "samples", message, "no attack can be tried", remedy)
    for sample in samples:
        yield from trial.claimed(sample)
    tried = templates or [*_derived(samples)]
    pieces = _pieces(tried)
    for template in tried:
        yield from trial.attacked(template, pieces)
        yield from trial.cut(template, pieces)


def _derived(samples: Sequence[Sample]) -> Iterator[Template]:
    """Templates made from samples of a login, where the user name stands in one place."""
    for sample in samples:
        for claim in sample.claims[:1] if len(sample.claims) == 1 else ():
            user, address = claim.fields.get("user", ""), claim.fields.get("address")
            if address and len(user) > 2 and "\n".join(sample.lines).count(user) == 1:
                yield Template(tuple(line.replace(user, CHOSEN) for line in sample.lines), address)


def _pieces(templates: Sequence[Template]) -> list[str]:
    """What an attacker would write: the agent's own lines, whole and in parts, and what stands between their parts."""
    lines = [
        line.replace(template.address, FORGED).replace(CHOSEN, "bob")
        for template in templates
        if template.address is not None
        for line in template.lines
    ]
    parts = [
        part
        for line in lines
        for part in (
            line,
            line.partition(": ")[2],
            *(line.partition("bob")[::2] if "bob" in line else ()),
            *((line.partition(FORGED)[0] + FORGED,) if FORGED in line else ()),
        )
    ]
    return list(dict.fromkeys(["", "ann", *parts, *_SIGNS, *_PROBES]))


class _Trial:
    def __init__(self, agent: Agent, now: Instant) -> None:
        self.agent: Final = agent
        self._now: Final = now

    def claimed(self, sample: Sample) -> Iterator[Finding]:
        """Whether a sample gives what it claims."""
        seen = tuple(proof.spelled(event) for _, event in self._scan(sample.lines))
        if seen != sample.claims:
            message = f"it gives {_said(seen)}, not {_said(sample.claims)}"
            where = f"sample {_short(sample.lines[-1])!r}"
            yield _finding("samples", where, message, sample.reason, "mend the pattern, or the claim above the lines")

    def attacked(self, template: Template, pieces: Sequence[str]) -> Iterator[Finding]:
        """Whether some text of a client names another address than that which logs in."""
        where = f"template {_short(template.lines[-1])!r}"
        plain = [event.address for event in self._logins(template.filled("ann"))]
        if plain != ([template.address] if template.address else []):
            message = f"filled with 'ann', it gives logins from {', '.join(map(str, plain)) or 'nobody'}"
            yield _finding("templates", where, message, "", "mend the pattern, or the claim above the lines")
        texts = [first + second for first, second in product(pieces, pieces)]
        for number, event in self._wrong(template, [template.filled(text) for text in texts]):
            yield _fooled(where, texts[number], event.address, template.address)

    def cut(self, template: Template, pieces: Sequence[str]) -> Iterator[Finding]:
        """Whether a line that syslog cut within a long name means something that its whole does not."""
        room = CUT - max(line.find(CHOSEN) for line in template.lines)
        logs = [[line[:CUT] for line in template.filled("x" * (room - len(piece)) + piece)] for piece in pieces]
        for number, event in self._wrong(template, logs):
            where = f"template {_short(template.lines[-1])!r}"
            message = f"cut by syslog behind a long name that ends in {show(pieces[number])!r}, it is a login"
            why = f"from {event.address}, and clients choose the length of their names"
            remedy = f"begin the pattern with {UNCUT}, so that it takes no line which may have been cut"
            yield _finding("attacks", where, message, why, remedy)

    def _wrong(self, template: Template, logs: Sequence[Sequence[str]]) -> Iterator[tuple[int, Login]]:
        """The first of these logs, all made from the template, in which another address logs in; if there is one."""
        for number, event in self._scan([line for log in logs for line in log]):
            if isinstance(event, Login) and event.address != template.address:
                index = number // len(template.lines)
                if any(alone.address == event.address for alone in self._logins(logs[index])):
                    yield index, event
                    return

    def _logins(self, lines: Sequence[str]) -> list[Login]:
        return [event for _, event in self._scan(lines) if isinstance(event, Login)]

    def _scan(self, lines: Sequence[str]) -> list[tuple[int, Event]]:
        """What the agent sees in these lines, a log of their own; each event with the number of its line."""
        block = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        scanner = Scanner([self.agent], source="samples", zone=ZoneInfo("UTC"))
        scanned = scanner.scan(block, now=self._now, horizon=self._now)
        return list(zip(scanned.numbers, scanned.events, strict=True))


def _fooled(where: str, text: str, seen: str, true: str | None) -> Finding:
    message = f"a client who calls himself {show(text)!r} is taken for {seen}"
    why = f"it was {true} who logged in" if true else "nobody logged in"
    return _finding("attacks", where, message, why, "let no part of the pattern take the character that ends it")


def _said(claims: Sequence[proof.Claim]) -> str:
    return ", ".join(
        " ".join([claim.kind, *(f"{field}={show(value)}" for field, value in claim.fields.items())]) for claim in claims
    ) or "nothing"  # fmt: skip


def _short(text: str) -> str:
    return show(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _finding(
    about: str, where: str, message: str, why: str, remedy: str, severity: Severity = "error"
) -> Finding:  # fmt: skip
    return Finding(severity, about, where, message, why, remedy)
