"""What makes an MTA take up a file that has changed: commands that we run, or one that root's part runs for us.

In the config of a map:

    command = ["postmap", "hash:/etc/postfix/relay"]    one command: a list, or one line that is split into it
    commands = [{ run = […], stdin = "/file" }, …]      several, one after the other
    root = "sendmail"                                   the command of that name in root's list (`poprelay.maps.root`)
    command_timeout = "30s"                             for each command; for root's part, until it has answered
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from poprelay.maps import command
from poprelay.maps.command import Step
from poprelay.maps.root import DIRECTORY, NAME, RootCommand

if TYPE_CHECKING:
    from poprelay.config.section import Section

Uptake: TypeAlias = Callable[[Path], None]
"""Called with the file, once it stands there; returns when an MTA that asks sees it. Raises MapError."""

TIMEOUT: Final = 30.0


@dataclass(slots=True)
class Commands:
    """Runs `steps`, each once the one before has ended well, and each for at most `timeout` seconds.

    Between two runs, and before the first, at least `spacing` seconds pass: for an MTA that a second signal kills while
    it is still busy with the first.
    """

    steps: tuple[Step, ...]
    timeout: float = TIMEOUT
    spacing: float = 0.0
    _last: float = field(default_factory=time.monotonic, compare=False)

    def __call__(self, _file: Path) -> None:
        time.sleep(max(0.0, self._last + self.spacing - time.monotonic()))
        try:
            for step in self.steps:
                command.run(step.run, timeout=self.timeout, stdin=step.stdin)
        finally:
            self._last = time.monotonic()


def read_uptake(
    section: Section, usual: Sequence[str] = (), *, several: bool = True, spacing: float = 0.0
) -> Uptake | None:
    """What a map's section says; without a word there the `usual` command, or None without that either.

    `several`: whether it may have `commands`.
    """
    timeout = section.duration("command_timeout", TIMEOUT, low=1.0, high=3600.0)
    arguments = _command(section)
    steps = tuple(_step(one) for one in section.tables("commands")) if several else ()
    if arguments and steps:
        section.refuse("commands", "says the same as command", "write one of the two")
    name = section.text("root", "")
    directory = section.file("root_directory", DIRECTORY)
    if name and (arguments or steps):
        section.refuse("root", "says the same as command", "write one of the two")
    elif name and not NAME.fullmatch(name):
        section.refuse("root", f"{name!r} is no name of a command", "name one of those in root's list: a-z, 0-9 and -")
    elif name:
        return RootCommand(name, directory, timeout)
    if arguments:
        steps = (Step(arguments),)
    if not steps and usual:
        steps = (Step(tuple(usual)),)
    return Commands(steps, timeout, spacing) if steps else None


def _step(section: Section) -> Step:
    """One of `commands`: `run`, and `stdin` if it reads a file."""
    step = Step(section.texts("run"), section.file("stdin") if section.given("stdin") else None)
    section.finish()
    return step


def _command(section: Section) -> tuple[str, ...]:
    """`command`: a list of program and arguments, or one line that is split into them."""
    if not isinstance(section.spec.get("command"), str):
        return section.texts("command", ())
    line = section.text("command")
    try:
        return command.parse(line) if line else ()
    except ValueError as error:
        section.refuse("command", str(error), "write a script, or a list of program and arguments")
        return ()
