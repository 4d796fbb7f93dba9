"""Writes the pages in `docs/servers`, one for each agent, from the agents themselves: their words and samples.

    .venv/bin/python packaging/serverdocs.py [FOLDER]

A test holds them equal to what this makes, so that they cannot drift.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from poprelay.agents import catalog
from poprelay.agents.base import Agent
from poprelay.agents.proof import Claim, Sample, read
from poprelay.escape import show

SERVERS = Path(__file__).resolve().parents[1] / "docs" / "servers"

RAW = """\
The server logs control characters of a user name as they are. rsyslog and journald escape or mark them, and then they
do no harm. **syslog-ng with its default flags, and rsyslog with `$EscapeControlCharactersOnReceive off`, write a
newline in a name as a new line in the log**: whoever connects can write a whole line of his own, stamp and all, and nobody who
reads the file can tell. With those, do not use this agent on that file: escape control characters, or read the journal
(`kind = "journal"`), which keeps each message whole."""

WORDS = {
    "login": "a login",
    "logout": "the end of a session",
}

INDEX = """\
# POP and IMAP servers

What poprelay reads, one page for each server. The pages are made from the agents themselves (`make docs`), with the
lines that the tests hold them to; `poprelay agents NAME` shows the same on your host.

"""

REST = """
`TLS` says whether the log tells that a session was encrypted (for `require_tls`; where it does not, a login counts as
without). `ends` says whether the end of a session is seen and joined to its login, so that an open session holds the
grant: by session id, by process, or by the client's port.

Servers whose logins cannot be attributed safely, and why: [not-attributable.md](not-attributable.md). Another server,
or a log format of your own: `[[agents]]` in the config, or an agent of ten lines
([CONTRIBUTING](../../CONTRIBUTING.md)).
"""


def pages() -> dict[str, str]:
    """Every page: file name and text."""
    agents = [catalog.find(name) for name in catalog.BUILTIN]
    made = {f"{agent.name}.md": page(agent) for agent in agents}
    rows = "".join(_row(agent) for agent in agents)
    head = "| agent | versions | services | TLS | ends |\n|---|---|---|---|---|\n"
    return {"README.md": INDEX + head + rows + REST, **made}


def page(agent: Agent) -> str:
    """One server's page."""
    samples = read(catalog.samples(agent) or "")
    parts = [
        f"# {agent.name}\n\n{_prose(_module_doc(agent))}",
        f"**Versions:** {agent.versions}.",
        f"**Switch on:** {agent.needs or 'Nothing.'}",
        f'**In the config:** `agents = ["{agent.name}"]`. {_tags(agent)}',
        _journal(agent),
        f"## What is not safe\n\n{RAW}" if agent.raw_names else "",
        "## Lines that it reads\n\n" + "\n".join(_shown(one) for one in samples if one.claims),
        "## Lines that give nothing\n\n" + "\n".join(_shown(one) for one in samples if not one.claims),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _module_doc(agent: Agent) -> str:
    return inspect.getdoc(sys.modules[type(agent).__module__]) or ""


def _prose(text: str) -> str:
    """A docstring as Markdown: what is indented is code already."""
    return re.sub(r"<tab>", "&lt;tab&gt;", text)


def _tags(agent: Agent) -> str:
    tags = [f"`{tag}`" for tag in agent.programs if tag]
    own = "" in agent.programs
    said = f"Its lines bear the syslog tag {_either(tags)}" if tags else ""
    if own:
        said = f"{said}, or stand in a log of the server's own" if said else "They stand in a log of the server's own"
    other = f' Another tag: `[[agents]]` with `like = "{agent.name}"` and `program`.' if tags else ""
    return f"{said}.{other}"


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _journal(agent: Agent) -> str:
    trusted = ["root"]
    trusted += [f"the account `{account}`" for account in agent.accounts]
    trusted += [f"the unit `{unit}`" for unit in agent.units]
    return (
        f"**In the journal** only what {_either(trusted)} wrote counts; `units` and `uids` of the source name others."
    )


def _shown(sample: Sample) -> str:
    said = "; ".join(_claim(claim) for claim in sample.claims) or sample.reason or "nothing"
    lines = "\n".join(f"    {show(line)}" for line in sample.lines)
    return f"{said[0].upper()}{said[1:]}:\n\n{lines}\n"


def _claim(claim: Claim) -> str:
    fields = ", ".join(f"{name} `{value}`" for name, value in claim.fields.items())
    return f"{WORDS[claim.kind]}: {fields}"


def _row(agent: Agent) -> str:
    samples = read(catalog.samples(agent) or "")
    claims = [claim for sample in samples for claim in sample.claims]
    services = sorted({claim.fields["service"] for claim in claims if "service" in claim.fields})
    tls = "yes" if any("tls" in claim.fields for claim in claims) else "no"
    sessions = {claim.fields.get("session", "") for claim in claims if claim.kind == "logout"}
    ends = "yes" if any(sessions) else "no"
    return f"| [{agent.name}]({agent.name}.md) | {agent.versions} | {', '.join(services)} | {tls} | {ends} |\n"


def _write(folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)
        yield name


def main() -> None:
    for _ in _write(Path(sys.argv[1]) if len(sys.argv) > 1 else SERVERS):
        pass


if __name__ == "__main__":
    main()
