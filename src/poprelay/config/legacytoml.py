"""A Mail::POPRelay config as one of ours: what `poprelay import` prints, and what the old commands run.

Above each key stands which option it comes from, and at the end what became of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from os import fsencode
from pathlib import Path
from typing import Final

from poprelay.agents.perl import LONGEST, read_perl
from poprelay.config.legacy import DEFAULTS, KNOWN, OTHERWISE, Legacy
from poprelay.config.legacycommand import Command
from poprelay.config.listen import LONGEST_SOCKET
from poprelay.escape import as_json

AGENTS: Final[dict[str, tuple[str, ...]]] = {
    "ipop3d": ("uw-imap",),
    "qpopper": ("qpopper-stats", "qpopper"),
    "vpopd": ("vpop3d",),
}
"""What the original's agents are among ours, in the order in which they see a line."""
EXPRESSION: Final = "mailLogRegExp"
"""The name of the agent that another expression makes."""
OPTION_OF: Final[tuple[tuple[tuple[str | int, ...], str], ...]] = (
    (("relay",), "mailRelayPeriod"),
    (("sources", 0), "mailLogFile"),
    (("agents",), "mailLogRegExp"),
    (("maps", 0), "mailRelayDirectory"),
    (("maps", 1, "format"), "mailRelayFileFormat"),
    (("maps", 1, "commands"), "mailRelayDatabaseCommand"),
    (("maps", 1), "mailRelayFile"),
    (("ledger",), "mailRelayDirectory"),
    (("control",), "mailRelayDirectory"),
)
"""Which option a key of the result comes from."""

_INTRANET: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
_EXAMPLES: Final = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32")
_STATS: Final = (
    r"(?>\(v[^()\s]++\) |)Stats: (?P<user>\S++)(?: \d++){4} \S++ (?P<address>[0-9a-fA-F.:]++)(?> \[\w++\.c:\d++\]|)$"
)
_WIDTH: Final = 118


def to_toml(legacy: Legacy, agent: str | None = None) -> str:
    """The config as TOML. `agent` is `ipop3d`, `qpopper`, `vpopd`, the name of another agent, or None: not known.

    An expression in the config comes before an agent that only a command names.
    """
    return "\n".join(_lines(legacy, agent)) + "\n"


def _lines(legacy: Legacy, agent: str | None) -> Iterator[str]:
    yield "# Mail::POPRelay's config as one of poprelay's: see docs/coming-from-mail-poprelay.md"
    yield from ("", "[relay]")
    yield from _said(legacy, "mailRelayPeriod")
    yield f'period = "{legacy.period}s"'
    yield from _remark(
        "Mail::POPRelay let every address relay, those of an intranet too. Leave out what you do not have; a gateway "
        "that hides others behind its own address must not be in it. The second line is for examples only."
    )
    yield f"allow_networks = [{_list(_INTRANET)},"
    yield f"    {_list(_EXAMPLES)}]"
    yield "exclude_networks = []"
    yield from _remark("It had no limits. Ours are 20 and 200; these are high enough to cut off nobody.")
    yield from ("max_addresses_per_user = 1000", "max_users_per_address = 1000")
    yield from ("", "[[sources]]", 'kind = "file"')
    yield from _said(legacy, "mailLogFile")
    yield f"path = {_text(str(legacy.log_file))}"
    names, remark = _agents(legacy, agent)
    yield from _said(legacy, "mailLogRegExp", remark)
    yield f"agents = [{_list(names)}]"
    if EXPRESSION in names:
        yield from _expression(legacy.expression or "")
    if "qpopper-stats" in names:
        yield from ("", "[[agents]]")
        yield from _remark("Qpopper without LOG_LOGIN says who was there only when he leaves, in its statistics.")
        yield 'name = "qpopper-stats"'
        yield 'program = ["qpopper", "in.qpopper", "popper", "in.popper"]'
        yield f"login = {_text(_STATS)}"
    yield from ("", "[[maps]]", 'kind = "spool"')
    yield from _said(legacy, "mailRelayDirectory")
    yield f"path = {_text(str(legacy.directory))}"
    yield from _remark("What the old daemon has left there counts as logins at the first start.")
    yield "adopt = true"
    yield from ("", "[[maps]]", 'kind = "text"')
    yield from _said(legacy, "mailRelayFile")
    yield f"path = {_text(str(legacy.relay_file))}"
    yield from _said(legacy, "mailRelayFileFormat", _default_format(legacy))
    yield f"format = {_text(legacy.line_format)}"
    yield from _commands(legacy)
    yield from ("", "[ledger]", f"path = {_text(str(legacy.directory / '.ledger.db'))}")
    yield from ("", "[control]", f"listen = {_text(f'unix:{_socket(legacy.directory)}')}")
    yield from ("", "[daemon]")
    yield from _remark("As in Mail::POPRelay, whoever stops the daemon wipes; without this line the maps stay.")
    yield 'on_stop = "wipe"'
    yield from _rest(legacy)


def _said(legacy: Legacy, option: str, remark: str = "") -> Iterator[str]:
    """The comment about an option: what it was, where, and what became of it."""
    given = legacy.given.get(option)
    if given is None:
        said = f"{option}: not given" + (f", {DEFAULTS[option]}" if DEFAULTS[option] else "")
    else:
        said = f"{given.name} = {given.value} ({given.where})"
    yield from _remark(f"{said}{'; ' if remark else ''}{remark}")


def _remark(text: str) -> Iterator[str]:
    """A comment, in lines that are not too long; nothing in it can end the comment."""
    line = "#"
    for word in text.replace("\n", " ").split(" "):
        shown = "".join(each if each.isprintable() else "?" for each in word)
        if len(line) + len(shown) >= _WIDTH and line != "#":
            yield line
            line = "#"
        line = f"{line} {shown}"
    yield line


def _agents(legacy: Legacy, agent: str | None) -> tuple[tuple[str, ...], str]:
    if legacy.expression is not None:
        known = KNOWN.get(legacy.expression)
        if known is None:
            return (EXPRESSION,), "is the agent of this name below"
        return AGENTS[known], "is one of the original's own; our agent for the same server is anchored"
    if agent is not None:
        names = AGENTS.get(agent, (agent,))
        return names, f"so the agent of {agent}, which is {' and '.join(names)} here"
    every = tuple(name for names in AGENTS.values() for name in names)
    return every, "so those of all three old commands: keep what runs here"


def _expression(text: str) -> Iterator[str]:
    found = read_perl(text)
    yield from ("", "[[agents]]")
    yield from _remark(f"Looked for in whole lines, of at most {LONGEST} bytes; $1 is the user, $2 the address.")
    if found.remarks:
        yield from _remark(f"Warning: it is forgeable: {'; '.join(found.remarks)}. In its place write, and try, this:")
        program, login = found.anchored
        yield f"# program = {_text(program)}"
        yield f"# login = {_text(login)}"
    yield f"name = {_text(EXPRESSION)}"
    yield f"line = {_text(text)}"


def _commands(legacy: Legacy) -> Iterator[str]:
    if legacy.database is not None:
        older = "mailRelayDatabaseCommand" not in legacy.given
        for option in ("makeMapLocation", "mailRelayDatabaseType") if older else ():
            if option in legacy.given:
                yield from _said(legacy, option, "is part of this")
        yield from _command(legacy, legacy.database, "mailRelayDatabaseCommand")
    if legacy.restart is not None:
        yield from _command(legacy, legacy.restart, "mailProgramRestartCommand")


def _command(legacy: Legacy, command: Command, option: str) -> Iterator[str]:
    yield "[[maps.commands]]"
    yield from _said(legacy, option, "needs a shell" if command.by_shell else "is run without a shell")
    yield f"run = [{_list(command.run)}]"
    if command.stdin is not None:
        yield f"stdin = {_text(str(command.stdin))}"


def _rest(legacy: Legacy) -> Iterator[str]:
    """What became of the options that have no key of their own."""
    yield ""
    yield from _said(legacy, "mailProgram", "stands where %m was")
    restarts, is_database = legacy.restart is not None, legacy.database is not None
    yield from _said(legacy, "mailProgramRestart", "so its command is run" if restarts else "so no restart")
    yield from _said(legacy, "mailRelayIsDatabase", "so its command is run" if is_database else "so no database")
    unused = [] if restarts else ["mailProgramRestartCommand"]
    unused += [] if is_database else ["mailRelayDatabaseCommand"]
    if not is_database or "mailRelayDatabaseCommand" in legacy.given:
        unused += ["makeMapLocation", "mailRelayDatabaseType"]
    for option in unused:
        if option in legacy.given:
            yield from _said(legacy, option, "has no effect here")
    for given in legacy.overridden:
        option = OTHERWISE.get(given.name, given.name)
        yield from _remark(f"{given.name} = {given.value} ({given.where}) gives way to {legacy.where(option)}")


def _default_format(legacy: Legacy) -> str:
    if "mailRelayFileFormat" in legacy.given:
        return ""
    return "so %i RELAY, as for a database" if legacy.database is not None else "so %i, as without a database"


def _socket(directory: Path) -> Path:
    """The control socket beside the ledger, unless a socket's path cannot be that long."""
    path = directory / ".control.sock"
    if len(fsencode(path)) <= LONGEST_SOCKET:
        return path
    return Path(f"/run/poprelay-{sha256(fsencode(directory)).hexdigest()[:12]}.sock")


def _list(texts: Sequence[str]) -> str:
    return ", ".join(map(_text, texts))


def _text(text: str) -> str:
    """A TOML string: literal where a backslash would be doubled."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return as_json(text, ascii_only=False)
