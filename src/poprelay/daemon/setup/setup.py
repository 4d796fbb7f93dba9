"""Sets an MTA up so that it asks us: shows what would change, changes it, proves it, or puts everything back."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from poprelay.config.load import Document, control_socket
from poprelay.daemon.configure import Config, build_config
from poprelay.daemon.setup import rootsetup
from poprelay.daemon.setup.detect import Source, find_mta, find_source
from poprelay.daemon.setup.proving import Probe, check_port, prove
from poprelay.daemon.setup.starting import USER, running, told
from poprelay.errors import MtaError, PoprelayError
from poprelay.mta import STATE, Edit, Folder, Plan
from poprelay.mta.apply import Before, Record, apply, diff, pending, read_record, run, undo
from poprelay.mta.backups import backup_of

RECORD: Final = "setup.json"
"""Beside the config: what was changed, so that it can be taken back."""
_HEAD: Final = (
    '# packaging/poprelay.toml shows every setting; poprelay check says what this does\n\n[relay]\nperiod = "30m"\n'
)

Say = Callable[[str], None]


class Setup:
    """One run of `poprelay setup`. Raises PoprelayError."""

    def __init__(
        self,
        config_path: Path,
        *,
        mta: str = "",
        kind: str = "",
        mta_config: Path | None = None,
        log: Path | None = None,
        agents: Sequence[str] = (),
    ) -> None:
        self.config_path = config_path
        self.record_path = config_path.with_name(RECORD)
        self.mta, self.installed = find_mta(mta, mta_config)
        self.kind = kind or self.installed.kinds[0]
        if self.kind not in self.installed.kinds:
            raise MtaError(
                f"{self.mta.name} {self.installed.version} cannot ask a {self.kind} here",
                remedy=f"take one of {', '.join(self.installed.kinds)}",
            )
        self.plan: Plan = self.mta.plan(self.kind)
        self.source: Source | None = None
        self.config_edit = self._config(log, agents)
        self.root_edits = rootsetup.edits(self.plan.root)

    def sentences(self) -> list[str]:
        """What was found, and what is to come of it."""
        jail = ", in a jail" if self.installed.chrooted else ""
        found = [f"{self.mta.name} {self.installed.version}{jail}, {self.installed.config}: is to ask by {self.kind}"]
        if self.source is not None:
            found.append(self.source.how)
        if self.root_edits:
            found.append(f"what needs root is done by root's part, from its own list: {self.root_edits[0].path}")
        return [*found, *self.plan.remarks]

    def edits(self) -> list[Edit]:
        """What would change; our own config first, for the MTA must find what it asks."""
        return pending([self.config_edit, *self.root_edits, *self.plan.edits])

    def diff(self) -> str:
        return diff(self.edits())

    def apply(self, say: Say, how: Probe) -> None:
        """Change it and prove it. If anything fails, what this run has changed is put back, and MtaError says why."""
        _account()
        run(self.plan.check)  # what is broken before is not ours to change
        check_port(how)
        edits = self.edits()
        earlier = read_record(self.record_path, self.mta.name)
        before = Before.of(edits, earlier)
        record = read_record(self.record_path, self.mta.name)
        plan = self.plan
        record.reload = [list(command) for command in (*plan.make, *plan.reload, *plan.undone)]
        try:
            ours = pending([self.config_edit, *self.root_edits])
            apply(ours, self._folders(), self.record_path, record, self.plan.kept)
            with self._attended(record, say), running(self.config_path, record, say):
                apply(pending(self.plan.edits), (), self.record_path, record, asking=True)
                for edit in edits:
                    backup = backup_of(Path(os.path.realpath(edit.path)))
                    say(f"wrote {edit.path}" + (f"; as it was before: {backup}" if backup.exists() else ""))
                run(self.plan.make)
                run(self.plan.check)
                run(self.plan.reload)
                prove(control_socket(self.config_path), say, how)
        except (PoprelayError, OSError, KeyboardInterrupt) as error:
            why = str(error) or "interrupted"
            if not edits and earlier.files:
                raise MtaError(f"nothing was changed, for all is set up, but it does not work: {why}") from error
            whole = True
            if earlier.files:
                before.put_back(self.record_path, record)
                _tell(self.config_path, record, say)
            else:
                whole = _take_back(self.config_path, record, say)
            raise MtaError(f"{'everything' if whole else 'not everything'} was put back: {why}") from error

    def _attended(self, record: Record, say: Say) -> AbstractContextManager[None]:
        return rootsetup.attending(record, say) if self.plan.root else nullcontext()

    def _folders(self) -> tuple[Folder, ...]:
        ours = (
            Folder(self.config_path.parent),
            Folder(STATE, USER, USER),
            Folder(STATE / "private", USER, USER, 0o700),
        )
        return (*ours, *self.plan.folders)

    def _config(self, log: Path | None, agents: Sequence[str]) -> Edit:
        """Our own config with what the plan needs: a new file, or a section more in the one that is there."""
        try:
            text = self.config_path.read_text()
        except FileNotFoundError:
            self.source = find_source(log, agents)
            text = f"{_HEAD}\n{self.source.section}"
        except (OSError, UnicodeDecodeError) as error:
            raise MtaError(f"{self.config_path} cannot be read: {error}", remedy="run it as root") from error
        name = self.config_path.name
        wanted = _parts(_built(Document(_HEAD + self.plan.section, name), complete=False))
        if not wanted <= _parts(_built(Document(text, name), complete=True)):
            text = f"{text.rstrip()}\n\n{self.plan.section}"
        _built(Document(text, name), complete=True)
        return Edit(self.config_path, text.encode())


def undo_setup(config_path: Path, say: Say, mta: str = "") -> bool:
    """Take back what was applied, to `mta` if it is named; False if something was left as it is. Raises MtaError."""
    record_path = config_path.with_name(RECORD)
    record = read_record(record_path)
    if not record.files and not record.folders:
        raise MtaError(f"nothing is to be undone: there is no {record_path}")
    if mta not in ("", record.mta):
        raise MtaError(f"it was {record.mta} that was set up, not {mta}", remedy="leave its name out")
    whole = _take_back(config_path, record, say)
    if whole and STATE.exists():
        say(f"the ledger and the maps stay in {STATE}")
    return whole


def _take_back(config_path: Path, record: Record, say: Say) -> bool:
    """Put everything back, and let all read their files as they are now; False if something was left as it is.

    It is said when all is done: whoever would hear it may be gone.
    """
    said: list[str] = []

    def end() -> None:
        for command in record.ends:
            _tried([command], " ".join(command), said.append)

    whole = undo(config_path.with_name(RECORD), record, said.append, end)
    _tell(config_path, record, said.append)
    for sentence in said:
        say(sentence)
    return whole


def _tell(config_path: Path, record: Record, say: Say) -> None:
    """Let the MTA, and the daemon that runs, read their files as they are now."""
    _tried(record.reload, record.mta, say)
    if config_path.exists():
        try:
            told(config_path)
        except PoprelayError as error:
            say(f"the daemon could not be told: {error}")


def _tried(commands: Iterable[Sequence[str]], who: str, say: Say) -> None:
    try:
        run(commands)
    except MtaError as error:
        say(f"{who} could not be told: {error}")


def _built(document: Document, *, complete: bool) -> Config:
    """A config; raises ConfigError if it is wrong, but what a section needs beside itself is not asked of a part."""
    config = build_config(document)
    if complete:
        document.check()
    return config


def _parts(config: Config) -> set[tuple[str, str, str]]:
    """What maps and services there are: kind and place."""
    return {
        (part.role, part.kind, str(part.spec.get("path", part.spec.get("listen"))))
        for part in (*config.maps, *config.services)
    }


def _account() -> None:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        raise MtaError(
            f"this host has no user {USER!r}, as which the daemon runs",
            remedy="useradd --system poprelay; or, in the source: systemd-sysusers packaging/sysusers/poprelay.conf",
        ) from None
    if os.geteuid():
        raise MtaError("only root may change an MTA's config", remedy="run it as root")
