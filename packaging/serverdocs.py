"""Writes the pages in `docs/servers`, one for each agent, from the agents themselves: their words and samples.

    .venv/bin/python packaging/serverdocs.py [FOLDER]

A test holds them equal to what this makes, so that they cannot drift.
"""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.agents.proof import Claim, Sample, read
from poprelay.escape import show
from poprelay.scan.headers import split
from poprelay.scan.needles import needles

SERVERS = Path(__file__).resolve().parents[1] / "docs" / "servers"

RAW = """\
The server logs control characters of a user name as they are. rsyslog and journald escape or mark them, and then they
do no harm. **syslog-ng with its default flags, and rsyslog with `$EscapeControlCharactersOnReceive off`, write a
newline in a name as a new line in the log**: whoever connects can write a whole line of his own, stamp and all, and
nobody who reads the file can tell. With those, do not use this agent on that file: escape control characters, or read
the journal (`kind = "journal"`), which keeps each message whole."""

CLEAN = """\
In the lines of logins and failures the server replaces control characters of a user name, so that no syslog daemon
lets a client begin a line of its own."""

UNKNOWN = """\
Whether the server logs a newline in a user name as it is, is not known. Take it that it does: behind syslog-ng with its
default flags, or rsyslog with `$EscapeControlCharactersOnReceive off`, a client might then write a line of its own.
With rsyslog's defaults, or from the journal, it cannot."""

UNKNOWN_FILE = """\
Whether a newline in a user name can begin a line of its own in this file is not known."""

WORDS = {
    "login": "a login",
    "logout": "the end of a session",
}

INDEX = """\
# POP and IMAP servers

What poprelay reads, one page for each server. The pages are made from the agents themselves (`make docs`), with the
lines that the tests hold them to; `poprelay agents NAME` shows the same on your host.

| server | agent | versions | services | TLS | ends | lines |
|---|---|---|---|---|---|---|
"""

REST = """
- `versions`: "seen" means lines which a real server of that version wrote; "as published", those in others' documents,
  patterns or sources.
- `TLS`: whether the log tells that a session was encrypted (for `require_tls`; where it does not, a login counts as
  without).
- `ends`: whether the end of a session is seen, and joined to its login (by session id, by process, or by the client's
  port), so that an open session holds the grant.
- `lines`: how many lines one login takes. Of two, the first says the address or the user, and only a second of the same
  host, program and process counts.

Servers whose logins cannot be attributed safely, and why: [not-attributable.md](not-attributable.md). Another server,
or a log format of your own: `[[agents]]` in the config, or an agent of ten lines
([CONTRIBUTING](../../CONTRIBUTING.md)).

## What the syslog daemon makes of it

A log is read line by line, so whoever can begin a line can forge a login. What becomes of a newline that a client puts
into a user name, where the server logs it as it is:

| daemon | a newline becomes | else |
|---|---|---|
| rsyslog, as it comes | `#012` | |
| rsyslog with `$EscapeControlCharactersOnReceive off` | **a new line, of which all is the client's** | |
| syslog-ng, default flags | **a new line, of which all is the client's** | |
| BusyBox syslogd | a blank | a NUL byte begins a new record; libc's syslog() cannot send one |
| inetutils syslogd | a blank | leaves out what is the same as the line before |
| journald (`kind = "journal"`) | a part of the same entry | what tells the writer is not the writer's to choose |

Each page says whether its server logs it so. `#012` is never turned back: a client may have typed it. A line that a
daemon has cut (at 8096 bytes, or about 1024) has lost its end, and grants nothing.
"""


def pages() -> dict[str, str]:
    """Every page: file name and text."""
    agents = [catalog.find(name) for name in catalog.BUILTIN]
    made = {f"{agent.name}.md": page(agent) for agent in agents}
    return {"README.md": INDEX + "".join(_row(agent) for agent in agents) + REST, **made}


def page(agent: Agent) -> str:
    """One server's page."""
    samples = _samples(agent)
    logins = [one for one in samples if one.claims]
    attacks = [one for one in samples if not one.claims and _is_attack(one)]
    others = [one for one in samples if not one.claims and not _is_attack(one)]
    parts = [
        f"# {agent.name}\n\n{inspect.getdoc(sys.modules[type(agent).__module__])}",
        f"**Versions:** {agent.versions}.",
        f"**Switch on:** {agent.needs}",
        f'**In the config:** `agents = ["{agent.name}"]`. {_tags(agent)}',
        _journal(agent),
        _search(agent),
        "## What is not safe",
        agent.unsafe,
        _newlines(agent),
        _shown("Lines that it reads", logins),
        _shown("Lines that give nothing", others),
        _shown("Lines that it is not fooled by", attacks),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _samples(agent: Agent) -> tuple[Sample, ...]:
    return read(catalog.samples(agent) or "")


def _is_attack(sample: Sample) -> bool:
    return "attack" in sample.reason


def _in_syslog(agent: Agent) -> bool:
    """Whether its lines are known by a syslog tag: hMailServer's have the place of one in rows of their own."""
    heads = (split(line.encode("utf-8", "surrogateescape")) for one in _samples(agent) for line in one.lines)
    tagged = any(agent.programs)
    return tagged and ("" in agent.programs or any(head is not None and head.host for head in heads))


def _tags(agent: Agent) -> str:
    if not _in_syslog(agent):
        return "Its lines stand in a log of the server's own."
    tags = _either([f"`{tag}`" for tag in agent.programs if tag])
    own = ", or stand in a log of the server's own" if "" in agent.programs else ""
    return (
        f"Its lines bear the syslog tag {tags}{own}. "
        f'Another tag: `[[agents]]` with `like = "{agent.name}"` and `program`.'
    )


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _journal(agent: Agent) -> str:
    if not _in_syslog(agent):
        return ""
    trusted = ["root"]
    trusted += [f"the account `{account}`" for account in agent.accounts]
    trusted += [f"the unit `{unit}`" for unit in agent.units]
    return (
        f"**In the journal** only what {_either(trusted)} wrote counts; `units` and `uids` of the source name others."
    )


def _search(agent: Agent) -> str:
    texts = " ".join(f"-e {shlex.quote(text.decode())}" for text in needles(agent)[0])
    return (
        f"**To look by hand:** `grep -aF {texts} FILE` shows every line that may count; "
        f"`poprelay match --agent {agent.name} FILE` says which do."
    )


def _newlines(agent: Agent) -> str:
    if agent.raw_names is None:
        return UNKNOWN if _in_syslog(agent) else UNKNOWN_FILE
    return RAW if agent.raw_names else CLEAN


def _shown(title: str, samples: Iterable[Sample]) -> str:
    return "\n\n".join([f"## {title}", *map(_sample, samples)])


def _sample(sample: Sample) -> str:
    said = "; ".join(_claim(claim) for claim in sample.claims) or sample.reason or "nothing"
    said = re.sub(r"^(?:an )?attack: ", "", said)
    lines = "\n".join("    " + show(line.replace("\t", "<tab>")) for line in sample.lines)
    return f"{said[0].upper()}{said[1:]}:\n\n{lines}"


def _claim(claim: Claim) -> str:
    fields = ", ".join(f"{name} `{value}`" for name, value in claim.fields.items())
    return f"{WORDS[claim.kind]}: {fields}"


def _row(agent: Agent) -> str:
    claims = [claim for sample in _samples(agent) for claim in sample.claims]
    services = sorted({claim.fields["service"] for claim in claims if "service" in claim.fields})
    cells = (
        (inspect.getdoc(type(agent)) or "").split("\n")[0].split(". ")[0].rstrip("."),
        f"[{agent.name}]({agent.name}.md)",
        agent.versions,
        ", ".join(services),
        "yes" if any("tls" in claim.fields for claim in claims) else "no",
        _ends([claim for claim in claims if claim.kind == "logout"]),
        _lines(agent),
    )
    return f"| {' | '.join(cells)} |\n"


def _ends(claims: list[Claim]) -> str:
    if not claims:
        return "no"
    return "joined" if any("session" in claim.fields for claim in claims) else "seen"


def _lines(agent: Agent) -> str:
    if not agent.connect_patterns:
        return "one"
    complete = [pattern for pattern in agent.login_patterns if {"user", "address"} <= pattern.groupindex.keys()]
    return "one or two" if complete else "two"


def main(folder: Path) -> None:
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SERVERS)
