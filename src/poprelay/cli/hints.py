"""What `match` says at its end, in one line, where it saw no login or nearly one: what was probably meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.clock import Clock
from poprelay.escape import show
from poprelay.model import Login
from poprelay.scan import Scanner
from poprelay.scan.headers import split

SEARCHED: Final = 64
"""Blocks of a megabyte of each log in which other agents' logins are looked for."""
SKIMMED: Final = 8
"""The same for lines that only look like logins."""

_LIKELY: Final = re.compile(rb"(?i:logged in|login|authenticat|authorized|opened)")
_FAILED: Final = re.compile(rb"(?i:fail|invalid|denied|incorrect|error|abort|disconnect|reject|refused|unknown)")
_ADDRESS: Final = re.compile(rb"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9a-fA-F]{0,4}:[0-9a-fA-F:]*:[0-9a-fA-F]{0,4}")
_SILENT: Final = {b"imap4d": "GNU mailutils", b"dbmail/pop3d": "DBMail's pop3d"}
"""Programs that log no client's address with a login, for which nobody can write a pattern that is safe."""
_OTHERS: Final = re.compile(rb"postfix/|sshd|sudo|CRON|systemd|su$|login$|exim|sendmail")


def owner(line: bytes, agents: Sequence[Agent]) -> str:
    """The agent to which a line is a near miss."""
    header = split(line)
    fitting = [agent for agent in agents if header is not None and _reads(agent, header.program)] or agents
    for agent in fitting:
        if header is not None and agent.resembling is not None and agent.resembling.match(header.message):
            return agent.name
    return next((agent.name for agent in fitting if agent.columns), fitting[0].name)


def other_agents(blocks: Iterable[bytes], agents: Sequence[Agent]) -> str:
    """Which further agents see logins there, and how many; '' if none does."""
    known = {agent.name for agent in agents}
    others = [catalog.find(name) for name in catalog.names() if name not in known]
    if not others:
        return ""
    now = Clock().now()
    scanner = Scanner(others, source="log")
    counts: Counter[str] = Counter()
    for block in blocks:
        events = scanner.scan(block, now=now, horizon=now).events
        counts.update(event.agent for event in events if isinstance(event, Login))
    told = [f"{name}, which sees {_logins(count)}" for name, count in counts.most_common()]
    return f"did you mean the agent {', or '.join(told)}?" if told else ""


def strangers(blocks: Iterable[bytes], agents: Sequence[Agent]) -> str:
    """Which program writes lines that look like logins, and what would read them; '' if none does."""
    counts: Counter[bytes] = Counter()
    alike: dict[bytes, str] = {}
    every = [*agents, *(catalog.find(name) for name in catalog.names())]
    for block in blocks:
        for line in block.split(b"\n"):
            if not _LIKELY.search(line) or _FAILED.search(line) or not _ADDRESS.search(line):
                continue
            header = split(line)
            if header is None or not header.program or _OTHERS.search(header.program):
                continue
            if any(_reads(agent, header.program) for agent in every):
                continue
            counts[header.program] += 1
            if header.program not in alike:
                alike[header.program] = next((each.name for each in every if _takes(each, header.message)), "")
    if not counts:
        return ""
    program, count = max(counts.items(), key=lambda each: (bool(alike[each[0]]), each[1]))
    tag = show(program.decode("utf-8", "surrogateescape"))
    like = alike[program]
    remedy = (
        f'{like} would: write [[agents]] with like = "{like}" and program = "{tag}"'
        if like
        else "write [[agents]] with a pattern for them, or an agent"
    )
    if program in _SILENT:
        remedy = f"{_SILENT[program]} does not log from where a login comes, so none can count"
    lines = "a line that looks like a login" if count == 1 else f"{count} lines that look like logins"
    return f"{tag} writes {lines}, and no agent reads it; {remedy}"


def near_misses(count: int) -> str:
    """What is said about lines that are nearly logins."""
    lines = "1 line looks like a login but matches" if count == 1 else f"{count} lines look like logins but match"
    return f"{lines} nothing; --near-misses shows them"


def _reads(agent: Agent, program: bytes) -> bool:
    tag = program.decode("utf-8", "surrogateescape")
    return any(
        tag == each or (each.startswith("*/") and tag.endswith(each[1:]) and tag != each[1:]) for each in agent.programs
    )


def _takes(agent: Agent, message: bytes) -> bool:
    """Whether it would take the message from a program that it read."""
    if agent.whole_line or agent.columns or agent.connect_patterns:
        return False
    return any(pattern.match(message) for pattern in agent.login_patterns)


def _logins(count: int) -> str:
    return "1 login" if count == 1 else f"{count} logins"
