"""One Sendmail as it is now: its programs, its config, what that is made from, and what it says of a client."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from poprelay.errors import MtaError
from poprelay.mta.sendmail.rulesets import Cf, parse

PROGRAMS: Final = (
    "/usr/libexec/sendmail/sendmail", "/usr/lib/sm.bin/sendmail", "/usr/sbin/sendmail.sendmail", "/usr/sbin/sendmail",
    "/usr/lib/sendmail",
)  # fmt: skip
"""Debian's, older Debian's, Red Hat's, everybody's; the last two may be another MTA's."""
MAKEMAPS: Final = ("/usr/sbin/makemap", "/usr/libexec/sendmail/makemap", "/usr/lib/sm.bin/makemap")
MACROS: Final = ("/usr/share/sendmail/cf", "/usr/share/sendmail-cf", "/usr/lib/sendmail-cf", "/usr/lib/mail")
CONFIG: Final = Path("/etc/mail/sendmail.cf")
TIMEOUT: Final = 60.0
STRANGER: Final = "203.0.113.254"
"""An address of nobody (RFC 5737)."""
DECIDES: Final = "Basic_check_rcpt"
"""The ruleset; what stands around it is about the sender, too."""
_OWN: Final = b"/etc/mail/sendmail.cf"
"""What no other MTA's program of that name has in it."""
_APPENDED: Final = re.compile(r"^### .*\.mc ###$", re.MULTILINE)
"""Below that Debian's sendmail.cf holds what it was made from."""


class Instance(msgspec.Struct, frozen=True):
    """What Sendmail says of itself, and its files. Raises MtaError where it says nothing."""

    program: str
    version: str
    compiled: frozenset[str]
    """With what it was: `SOCKETMAP`, `NEWDB`."""
    config: Path
    text: str

    @classmethod
    def read(cls, program: str = "", config: Path = CONFIG) -> Self:
        program = program or find()
        if not program:
            raise MtaError("there is no sendmail here", remedy="install Sendmail, or name another MTA")
        try:
            text = config.read_text("utf-8", "surrogateescape")
        except OSError as error:
            raise MtaError(
                f"{config}: {error.strerror}", remedy="run it as root; or make it from sendmail.mc"
            ) from error
        said = ask([program, "-C", str(config), "-d0.1", "-bt"])
        version = re.search(r"^Version (\S+)", said, re.MULTILINE)
        compiled = re.search(r"Compiled with:((?:\s+[A-Z0-9_=.a-z]+)+)", said)
        names = (word.partition("=")[0] for word in (compiled[1].split() if compiled else ()))
        return cls(program, version[1] if version else "", frozenset(names), config, text)

    @property
    def cf(self) -> Cf:
        return parse(_APPENDED.split(self.text)[0])

    @property
    def source(self) -> Path:
        """What the config is made from."""
        return self.config.with_suffix(".mc")

    @property
    def access(self) -> tuple[str, Path] | None:
        """The type and the file, without its suffix, of the access database, if there is one."""
        words = [word for word in self.cf.maps.get("access", "").split() if not word.startswith("-")]
        return (words[0], Path(words[-1])) if len(words) > 1 and words[-1].startswith("/") else None

    @property
    def pid_file(self) -> Path:
        return Path(self.cf.options.get("PidFile", ["/var/run/sendmail.pid"])[-1])

    @property
    def run_as(self) -> str:
        """The user as whom it asks; empty for root."""
        return re.split("[:.]", self.cf.options.get("RunAsUser", [""])[-1])[0]

    def makeable(self) -> bool:
        """Whether sendmail.cf can be made anew here: m4, its macros, and sendmail.mc."""
        try:
            text = self.source.read_text("utf-8", "surrogateescape")
        except OSError:
            return False
        included = re.search(r"include\(`([^']*/cf\.m4)'\)", text)
        there = Path(included[1]).exists() if included else bool(_macros())
        return there and shutil.which("m4") is not None

    def made(self, source: str) -> str:
        """The sendmail.cf that a text of sendmail.mc makes, in the form that it has here. Raises MtaError."""
        with tempfile.TemporaryDirectory() as directory:
            written = Path(directory) / self.source.name
            written.write_text(source, "utf-8", "surrogateescape")
            words = ["m4", str(written)]
            if "/cf.m4'" not in source:
                words[1:1] = [f"-D_CF_DIR_={_macros()}/", f"{_macros()}/m4/cf.m4"]
            made = ask(words, cwd=self.config.parent).replace(directory, str(self.config.parent))
            mark = _APPENDED.search(self.text)
            if mark is not None:
                made += f"{mark[0]}\n" + "".join(f"# {line}\n" for line in source.splitlines())
            tried = Path(directory) / self.config.name
            tried.write_text(made, "utf-8", "surrogateescape")
            ask([self.program, "-C", str(tried), "-bt"])
        return made

    def decides(self, address: str = STRANGER) -> str:
        """What it makes of a client at that address who sends elsewhere: the value of the ruleset that decides it."""
        asked = (
            f".D{{client_addr}}{address}\n.D{{client_name}}[{address}]\n.D{{client_resolve}}OK\n.D{{client_ptr}}\n"
            f"{DECIDES} someone@[198.51.100.1]\n"
        )
        said = self._test(asked)
        found = re.findall(rf"^{DECIDES}\s+returns: (.*)$", said, re.MULTILINE)
        if not found:
            raise MtaError(f"{self.program} -bt does not say what {DECIDES} makes of {address}")
        decision: str = found[-1]
        return decision.strip()

    def finds(self, name: str, key: str) -> bool:
        """Whether a map of its config has that key."""
        return f"map_lookup: {name} ({key}) returns" in self._test(f"/map {name} {key}\n")

    def _test(self, asked: str) -> str:
        """What its test mode answers; it ends with any code, for a map that is down."""
        return ask([self.program, "-C", str(self.config), "-bt"], asked=asked, anyhow=True)


def find() -> str:
    """Sendmail's program; empty if there is none, or only another MTA's in its place."""
    for name in PROGRAMS:
        path = Path(name)
        try:
            if _OWN in path.read_bytes():
                return name
        except OSError:
            continue
    return ""


def makemap() -> str:
    """Its makemap; empty if there is none."""
    found = shutil.which("makemap")
    return next((path for path in (*MAKEMAPS, found) if path and Path(path).exists()), "")


def ask(words: Sequence[str], *, asked: str = "", cwd: Path | None = None, anyhow: bool = False) -> str:
    """What a program prints. Raises MtaError with what it complains about, unless that is wanted `anyhow`."""
    try:
        done = subprocess.run(
            list(words), input=asked.encode(), capture_output=True, timeout=TIMEOUT, cwd=cwd, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MtaError(f"{' '.join(words)}: {error}") from error
    said = done.stdout.decode("utf-8", "surrogateescape")
    if done.returncode != 0 and not anyhow:
        lines = [line for line in f"{done.stderr.decode('utf-8', 'replace')}\n{said}".splitlines() if line.strip()]
        told = next((line for line in lines if re.search(r"\bline \d+|\berror\b|cannot", line, re.IGNORECASE)), "")
        what = told or (lines[0] if lines else f"{' '.join(words)} failed")
        raise MtaError(re.sub(r"[^ -~]", "?", what)[:300])
    return said


def _macros() -> str:
    """Where the m4 macros are; empty if nowhere."""
    return next((folder for folder in MACROS if Path(folder, "m4/cf.m4").exists()), "")
