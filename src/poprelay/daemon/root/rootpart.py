"""Root's part: serves the requests that are there, from root's own list, and ends.

`poprelay.maps.root` says what stands where. Nothing that the asking user writes gets further than this: a file's name
chooses an entry of the list, and its number is written back. While one of us is at work another waits.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from poprelay.daemon.root.rootcopy import copy_files
from poprelay.daemon.root.rootlist import RootCommands, Run, Step, read_list
from poprelay.daemon.root.trust import check_trusted
from poprelay.errors import ConfigError, MapError, PoprelayError
from poprelay.maps import atomic, command
from poprelay.maps.root import LONGEST_RESULT, NAME, NUMBER, SUFFIX, Result, read_result

_TAKEN: Final = ".taken"
"""What a request is called while it is read."""
_LONGEST: Final = 32
"""Bytes of a request that are read."""
_MAKE: Final = "run: systemd-tmpfiles --create poprelay.conf"
_ROUNDS: Final = 100
"""What comes in while we work is served too, but not for ever: systemd starts us again."""


def serve_requests(config: Path, directory: Path) -> Iterator[tuple[str, str]]:
    """Serve what is asked for in `directory`; yields each command and how it failed ('' if it did not).

    If root's list cannot be used, each request is answered so, and the error is raised.
    Raises NotPermitted, ConfigError, MapError, OSError.
    """
    with _alone(directory), _requests(directory) as requests:
        try:
            known = read_list(config)
            owner = _uid(known.user)
        except (PoprelayError, OSError) as error:
            for name, number in _waiting(requests, None).items():
                _answer(directory, name, number, f"{config}: {error}")
            raise
        for _ in range(_ROUNDS):
            waiting = _waiting(requests, owner)
            if not waiting:
                return
            for name, number in waiting.items():
                yield name, _serve(directory, known, owner, name, number)


def _serve(directory: Path, known: RootCommands, owner: int, name: str, number: int) -> str:
    if name not in known.commands:
        failed = "there is no such command in root's list"
    else:
        steps, every = known.commands[name]
        _pause(directory / "results" / name, every)
        failed = _run(steps, owner)
    _answer(directory, name, number, failed)
    return failed


def _run(steps: tuple[Step, ...], owner: int) -> str:
    """Take all steps; what went wrong, or ''."""
    try:
        for step in steps:
            if isinstance(step, Run):
                check_trusted(Path(step.run[0]))
                command.run(step.run, timeout=step.timeout, stdin=step.stdin)
            else:
                copy_files(step.sources, step.to, step.limit, owner)
    except PoprelayError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return ""


def _pause(result: Path, every: float) -> None:
    """Wait until `every` seconds have passed since the last run."""
    last = None
    with suppress(OSError):
        last = read_result(result)
    now = time.monotonic()
    if last is not None and last.at <= now:
        time.sleep(max(0.0, last.at + every - now))


def _waiting(requests: int, owner: int | None) -> Mapping[str, int]:
    """Take every request away; its number, where it is one. Of no other user than root and `owner` (None: any)."""
    found: dict[str, int] = {}
    for entry in sorted(os.listdir(requests)):
        if not entry.endswith(SUFFIX) or entry.startswith("."):
            continue
        number = _take(requests, entry, owner)
        name = entry.removesuffix(SUFFIX)
        if number is not None and NAME.fullmatch(name):
            found[name] = number
    return found


def _take(requests: int, entry: str, owner: int | None) -> int | None:
    """Take a request away; its number, if it has one. It is away before it is read: another that is put in its place
    meanwhile stays for the next round. A directory is no request. Raises MapError."""
    try:
        if stat.S_ISDIR(os.stat(entry, dir_fd=requests, follow_symlinks=False).st_mode):
            return None
        os.rename(entry, _TAKEN, src_dir_fd=requests, dst_dir_fd=requests)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MapError(
            f"{entry} cannot be taken away: {error.strerror}", remedy=f"remove {_TAKEN} from beside it"
        ) from error
    number = _number(requests, owner)
    with suppress(OSError):
        os.unlink(_TAKEN, dir_fd=requests)
    return number


def _number(requests: int, owner: int | None) -> int | None:
    try:
        descriptor = os.open(_TAKEN, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=requests)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (owner is not None and status.st_uid not in (0, owner)):
            return None
        said = os.read(descriptor, _LONGEST).strip()
    finally:
        os.close(descriptor)
    return int(said) if NUMBER.fullmatch(said) else None


def _answer(directory: Path, name: str, number: int, failed: str) -> None:
    told = failed.encode("utf-8", "backslashreplace")[: LONGEST_RESULT // 8].decode("utf-8", "ignore")
    result = directory / "results" / name
    fresh = result.with_name(atomic.temporary(name))
    fresh.write_bytes(msgspec.json.encode(Result(number, time.monotonic(), told)))
    fresh.chmod(0o644)
    fresh.replace(result)


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError([f"user: this host has no user {user!r}"]) from None


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the results while we are at work; another one of us waits."""
    results = directory / "results"
    try:
        check_trusted(directory)
        with suppress(FileExistsError):
            results.mkdir(mode=0o755)
        check_trusted(results)
        descriptor = os.open(results, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise MapError(f"{directory}: {error.strerror}", remedy=_MAKE) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _requests(directory: Path) -> Iterator[int]:
    try:
        descriptor = os.open(directory / "requests", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise MapError(f"{directory}/requests: {error.strerror}", remedy=_MAKE) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
