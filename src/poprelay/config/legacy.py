"""Mail::POPRelay's config file (2.1.1, and what 1.x and 2.x called otherwise), read without evaluating it.

    # a comment
    mailRelayFile   = /etc/mail/access
    mailRelayPeriod = 86400

The original turned each line into Perl and evaluated that. Here a value is the text to the end of its line, or stands
in quotes; a `;` or `,` may follow, and so may a comment after a blank (but not in `mailLogRegExp`). An expression is
refused with its place. As there, the last of several lines about one option counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from poprelay.agents.perl import read_perl
from poprelay.config.legacycommand import Command, read_command
from poprelay.config.listen import path_flaw
from poprelay.config.problem import nearest
from poprelay.errors import AgentError, ConfigError
from poprelay.escape import show

DEFAULTS: Final[dict[str, str | None]] = {
    "mailLogFile": "/var/log/maillog",
    "mailProgram": "sendmail",
    "mailProgramRestart": "0",
    "mailProgramRestartCommand": "/etc/init.d/%m restart",
    "mailRelayIsDatabase": "0",
    "mailRelayDatabaseCommand": "/usr/sbin/makemap hash %r < %r",
    "makeMapLocation": "/usr/sbin/makemap",
    "mailRelayDatabaseType": "hash",
    "mailRelayDirectory": "/var/spool/poprelay",
    "mailRelayFile": None,
    "mailRelayFileFormat": None,
    "mailRelayPeriod": None,
    "mailLogRegExp": None,
}
"""Every option and its default, if it has one that is always the same."""
OTHERWISE: Final = {"mailProgramName": "mailProgram", "makemapLocation": "makeMapLocation"}
"""Other spellings that the original's own files use."""
KNOWN: Final = {
    r"ipop3d\[\d+\]:.+user=(\w+) host=.*\[(\d+\.\d+\.\d+\.\d+)\] nmsgs=": "ipop3d",
    r"popper\[\d+\]: Stats: (\w+) .*\ (\d+\.\d+\.\d+\.\d+)": "qpopper",
    r"vpop3d: \((\w+),(\d+\.\d+\.\d+\.\d+)\) Authenticated": "vpopd",
}
"""The expressions of the original's own agents, and what their commands call them."""
LONGEST_PERIOD: Final = 30 * 86_400

_LINE: Final = re.compile(r"(?P<indent>\s*)(?P<name>[^\s=]+)(?P<gap>\s*=\s*)(?P<value>.*)", re.DOTALL)
_TOLD: Final = 3
"""How many lines of a file that is none of these are told."""
_STRANGE: Final = (
    "it does not look like a Mail::POPRelay config, for not one of its lines is an option of one; "
    "name the file that its daemon was started with, such as poprelay.conf"
)
_COMMENT: Final = re.compile(r"\s+#.*")
_EXPRESSION: Final = re.compile(
    r"[$@`{(\[]|q[qwrx]?\s*[{(\[/|!]|(?:do|eval|system|exec|require|my|our|time)\b|>|.*\$(?:\{|ENV\b)"
)
_COMMANDS: Final = frozenset({"mailProgramRestartCommand", "mailRelayDatabaseCommand"})
_PROGRAM: Final = re.compile(r"[\w@.:+-]+")


class Given(msgspec.Struct, frozen=True):
    """One option as it was given. `where` is `file:line:column`, or `options` for one given by a program."""

    name: str
    value: str
    where: str
    order: tuple[int, int] = (0, 0)
    start: int = 0
    """The column where the value begins."""


class Legacy(msgspec.Struct, frozen=True):
    """What a Mail::POPRelay config says: every option has its value, and `%m`, `%r`, `%n` are replaced."""

    log_file: Path
    program: str
    restart: Command | None
    database: Command | None
    directory: Path
    relay_file: Path
    line_format: str
    period: int
    expression: str | None
    given: dict[str, Given]
    """Those that were given, by the option's own name."""
    overridden: tuple[Given, ...] = ()
    """Those that a later one took the place of."""

    @property
    def words(self) -> dict[str, str]:
        """What stands for `%m`, `%n` and `%r`."""
        return {"m": self.program, "n": self.program, "r": str(self.relay_file)}

    def text(self, option: str) -> str:
        """The value of an option as it was written, or its default."""
        return self.given[option].value if option in self.given else DEFAULTS[option] or ""

    def where(self, option: str) -> str:
        return self.given[option].where if option in self.given else "default"


def read_legacy(text: str, name: str, options: Mapping[str, object] | None = None) -> Legacy:
    """Read a config file that is called `name`; `options` override it. Raises ConfigError with every mistake."""
    reading = _Reading(name)
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        reading.line(number, line.rstrip("\r"))
    for option, value in (options or {}).items():
        reading.option(option, value)
    if reading.is_strange:
        raise ConfigError([*map(show, reading.first_problems()), show(f"{name}: {_STRANGE}")])
    found = reading.legacy()
    if found is None:
        raise ConfigError([show(sentence) for _, sentence in sorted(reading.problems)])
    return found


class _Reading:
    def __init__(self, name: str) -> None:
        self.problems: list[tuple[tuple[int, int], str]] = []
        self._name = name
        self._given: dict[str, Given] = {}
        self._overridden: list[Given] = []

    @property
    def is_strange(self) -> bool:
        """Whether there are lines enough that are none of such a config, and not one that is."""
        return not self._given and len(self.problems) > _TOLD

    def first_problems(self) -> list[str]:
        """Those of the first lines, without the names of all options."""
        return [sentence.partition("; known are ")[0] for _, sentence in sorted(self.problems)[:_TOLD]]

    def line(self, number: int, line: str) -> None:
        """Take one line of the file."""
        if not line.strip() or line.lstrip().startswith("#"):
            return
        match = _LINE.fullmatch(line)
        if match is None:
            column = len(line) - len(line.lstrip()) + 1
            where = f"{self._name}:{number}:{column}"
            self._refuse(
                Given("", "", where, (number, column)), "is no option", "write one on each line, as name = value"
            )
            return
        column, start = match.end("indent") + 1, match.start("value")
        at = Given(match["name"], "", f"{self._name}:{number}:{column}", (number, column))
        try:
            value = _value(OTHERWISE.get(at.name, at.name), match["value"])
        except _NotTextError as error:
            column = start + error.at + 1
            there = Given(at.name, "", f"{self._name}:{number}:{column}", (number, column))
            self._refuse(there, error.what, error.remedy)
            value = ""
        begins = start + 1 + (match["value"][:1] in {"'", '"'})
        self.take(msgspec.structs.replace(at, value=value, start=begins), at.name)

    def option(self, name: str, value: object) -> None:
        """Take one option that a program gives."""
        text = "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)
        given = Given(name, text, "options", (2**31, 0))
        if not text:
            self._refuse(given, "has no value", "give one, or leave the option out")
        self.take(given, name)

    def take(self, given: Given, spelled: str) -> None:
        """Take one option, whoever gives it; one without a value has been refused already."""
        option = OTHERWISE.get(spelled, spelled)
        if option not in DEFAULTS:
            self._refuse(given, "is not an option", nearest(spelled, (*DEFAULTS, *OTHERWISE)))
            return
        if option in self._given:
            self._overridden.append(self._given[option])
        self._given[option] = given

    def legacy(self) -> Legacy | None:
        """All of it, or None if there are problems."""
        is_database, restarts = self._flag("mailRelayIsDatabase"), self._flag("mailProgramRestart")
        program = self._program()
        relay_file = self._path("mailRelayFile")
        words = {"m": program, "n": program, "r": str(relay_file)}
        log_file, directory = self._path("mailLogFile"), self._path("mailRelayDirectory")
        if self._text("makeMapLocation"):
            self._path("makeMapLocation")
        line_format = self._format(is_database, words)
        found = Legacy(
            log_file=log_file,
            program=program,
            restart=self._command("mailProgramRestartCommand", words) if restarts else None,
            database=self._database(words) if is_database else None,
            directory=directory,
            relay_file=relay_file,
            line_format=line_format,
            period=self._period(),
            expression=self._expression(),
            given=self._given,
            overridden=tuple(self._overridden),
        )
        return None if self.problems else found

    def _text(self, option: str) -> str:
        given = self._given.get(option)
        return given.value if given is not None else DEFAULTS[option] or ""

    def _refused(self, option: str, what: str, remedy: str) -> None:
        """Refuse an option's value, at its place; once only."""
        given = self._given.get(option, Given(option, "", f"{self._name}:1:1", (1, 1)))
        if given.value or option not in self._given:
            self._refuse(given, what, remedy)

    def _refuse(self, given: Given, what: str, remedy: str) -> None:
        subject = f"{given.where}: {given.name}: " if given.name else f"{given.where}: "
        self.problems.append((given.order, f"{subject}{what}; {remedy}"))

    def _missing(self, option: str, remedy: str) -> bool:
        if option not in self._given:
            self._refused(option, "is missing", remedy)
            return True
        return False

    def _flag(self, option: str) -> bool:
        value = self._text(option)
        if value not in {"0", "1"}:
            self._refused(option, f"{value!r} is neither 0 nor 1", "write 0 for no, 1 for yes")
        return value == "1"

    def _program(self) -> str:
        value = self._text("mailProgram")
        if not _PROGRAM.fullmatch(value):
            self._refused("mailProgram", f"{value!r} is not the name of a service", "write for example sendmail")
        return value

    def _path(self, option: str) -> Path:
        value = self._text(option)
        flaw = path_flaw(value)
        if DEFAULTS[option] is None and self._missing(option, "write the file that the MTA reads"):
            return Path("/nonexistent")
        if flaw or "\udc00" <= max(value) <= "\udfff":
            self._refused(option, f"{value!r} {flaw or 'is not UTF-8'}", "write the whole path, from / on")
        return Path("/", value.strip().lstrip("/"))

    def _period(self) -> int:
        if self._missing("mailRelayPeriod", "write how many seconds one login lasts, such as 3600"):
            return 1
        value = self._text("mailRelayPeriod")
        if not (value.isascii() and value.isdigit() and 1 <= int(value[:10]) <= LONGEST_PERIOD):
            what = f"{value!r} is not a number of seconds from 1 to {LONGEST_PERIOD}"
            self._refused("mailRelayPeriod", what, "write the number itself, such as 86400 for a day")
            return 1
        return int(value)

    def _format(self, is_database: bool, words: Mapping[str, str]) -> str:
        value = self._text("mailRelayFileFormat") or ("%i RELAY" if is_database else "%i")
        return _substituted(value, words)

    def _expression(self) -> str | None:
        given = self._given.get("mailLogRegExp")
        if given is None or not given.value:
            return None
        if given.value not in KNOWN:
            try:
                read_perl(given.value)
            except AgentError as error:
                at = int(str(error.fields["position"]))
                where = given.where.rpartition(":")[0] + f":{given.start + at}" if given.start else given.where
                self._refuse(msgspec.structs.replace(given, where=where), error.message, error.remedy)
        return given.value

    def _database(self, words: Mapping[str, str]) -> Command | None:
        older = {"makeMapLocation", "mailRelayDatabaseType"} & self._given.keys()
        if "mailRelayDatabaseCommand" in self._given or not older:
            return self._command("mailRelayDatabaseCommand", words)
        kind = self._text("mailRelayDatabaseType")
        if not re.fullmatch(r"\w+", kind):
            self._refused(
                "mailRelayDatabaseType", f"{kind!r} is not a type that makemap knows", "write for example hash"
            )
        return Command((self._text("makeMapLocation"), kind, words["r"]), Path(words["r"]))

    def _command(self, option: str, words: Mapping[str, str]) -> Command | None:
        value = self._text(option)
        try:
            return read_command(value, words)
        except ValueError as error:
            self._refused(option, f"{value!r} {error}", "write a program and its arguments")
            return None


class _NotTextError(Exception):
    def __init__(self, at: int, what: str, remedy: str) -> None:
        self.at, self.what, self.remedy = at, what, remedy


def _substituted(text: str, words: Mapping[str, str]) -> str:
    return re.sub("%([mrn])", lambda found: words[found[1].lower()], text, flags=re.IGNORECASE)


def _value(option: str, text: str) -> str:
    """The text that stands behind the `=`, without quotes and what Perl wants behind them."""
    text = text.rstrip()
    if text[:1] in {"'", '"'}:
        return _quoted(text)
    if option == "mailLogRegExp":
        return _nonempty(text.replace("\\\\", "\\"))
    text = _COMMENT.sub("", text, count=1).rstrip()
    if text.startswith("#"):
        text = ""
    if option not in _COMMANDS and _EXPRESSION.match(text):
        raise _NotTextError(0, "is an expression, and nothing is evaluated", "write the value itself")
    return _nonempty(re.sub(r"\s*[;,]$", "", text))


def _nonempty(text: str) -> str:
    if not text:
        raise _NotTextError(0, "has no value", "write one, or leave the line out")
    return text


def _quoted(text: str) -> str:
    quote, at, found = text[0], 1, ""
    while at < len(text) and text[at] != quote:
        if text[at] == "\\" and text[at + 1 : at + 2] in {quote, "\\"}:
            at += 1
        elif quote == '"' and text[at] == "\\" and text[at + 1 : at + 2].isalnum():
            what = f'has {text[at : at + 2]}, which Perl reads as something else in a " "'
            raise _NotTextError(at, what, "write the character itself, or the value in ' '")
        elif quote == '"' and re.match(r"[$@][{\w]", text[at:]):
            raise _NotTextError(at, "is an expression, and nothing is evaluated", "write the value itself, in ' '")
        found += text[at]
        at += 1
    if at == len(text):
        raise _NotTextError(0, f"has a {quote} that is not closed", "close it, or write the value without quotes")
    rest = text[at + 1 :]
    if not re.fullmatch(r"\s*[;,]?\s*(?:#.*)?", rest):
        there = at + 1 + len(rest) - len(rest.lstrip())
        raise _NotTextError(
            there, "is an expression, and nothing is evaluated", "write one value, and nothing after it"
        )
    return _nonempty(found)
