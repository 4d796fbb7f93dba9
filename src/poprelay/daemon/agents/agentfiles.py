"""Agents in Python files of their own: one file, or all of a directory that the config names.

A file is a program, and the daemon runs it; so in the config's directory it must be the daemon's own user's or root's,
and nobody else may write it, nor the directory. Its samples lie beside it, in `samples/NAME.log`.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Container, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

from poprelay.agents.base import Agent
from poprelay.errors import AgentError

_PACKAGE: Final = "poprelay_agent_file"
_loading: Final[set[str]] = set()
_MINE: Final = "must be root's or the daemon's own user's, for it is code that the daemon runs"


def load_file(path: Path) -> list[Agent]:
    """Every agent that a Python file defines, in its order. The file is run. Raises AgentError."""
    module = _module(path)
    kinds = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Agent) and each.__module__ == module.__name__
    ]
    found = [kind() for kind in kinds if kind.name]
    if not found:
        raise AgentError(
            f"{path} defines no agent", remedy="write a class made from poprelay.Agent in it, with a name", path=path
        )
    return found


def load_folder(folder: Path, known: Container[str]) -> Iterator[Agent | AgentError]:
    """Every agent of a directory's `*.py` files, by name of the file; what is wrong with a file stands in its place.

    `known` are the names that others have.
    """
    flaw = _flaw(folder, stat.S_ISDIR, "directory")
    if flaw is not None:
        yield flaw
        return
    seen: dict[str, Path] = {}
    for path in sorted(folder.glob("*.py")):
        wrong = _flaw(path, stat.S_ISREG, "file")
        if wrong is not None:
            yield wrong
            continue
        try:
            agents = load_file(path)
        except AgentError as error:
            yield error
            continue
        for agent in agents:
            if agent.name in known or agent.name in seen:
                where = f" in {seen[agent.name]}" if agent.name in seen else ""
                message = f"{path}: there is an agent {agent.name!r} already{where}"
                yield AgentError(message, remedy="give it another name", path=path)
            else:
                seen[agent.name] = path
                yield agent


def _flaw(path: Path, is_kind: object, kind: str) -> AgentError | None:
    """Why this is no place for code."""
    assert callable(is_kind)
    try:
        status = path.stat()
    except OSError as error:
        return AgentError(f"{path} cannot be read: {error.strerror or error}", remedy=f"name a {kind} of agents")
    if not is_kind(status.st_mode):
        return AgentError(f"{path} is no {kind}", remedy=f"put a {kind} there")
    if status.st_uid not in {0, os.geteuid()}:
        return AgentError(f"{path} belongs to user {status.st_uid}, and {_MINE}", remedy=f"chown root {path}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        who = "others" if status.st_mode & stat.S_IWOTH else "its group"
        message = f"{path} can be written by {who}, and it is code that the daemon runs"
        return AgentError(message, remedy=f"chmod go-w {path}")
    return None


def _module(path: Path) -> ModuleType:
    name = f"{_PACKAGE}.{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AgentError(f"{path} is no Python file", remedy="name one that ends in .py", path=path)
    module = module_from_spec(spec)
    module.__package__ = ""
    if name in _loading:  # it runs a command that loads it
        raise AgentError(f"{path} is being loaded already", remedy="load it once", path=path)
    _loading.add(name)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise AgentError(f"{path}:{error.lineno}: {error.msg}", remedy="mend the file", path=path) from error
    except SystemExit as error:
        message = f"{path}{_line(error, path)} ends the program when it is loaded"
        raise AgentError(message, remedy='write `if __name__ == "__main__":` above what runs it', path=path) from error
    except Exception as error:  # somebody else's code may raise anything
        line = _line(error, path)
        message = f"{path}{line} cannot be run: {type(error).__name__}: {error}"
        raise AgentError(message, remedy="mend the file", path=path) from error
    finally:
        _loading.discard(name)
        sys.dont_write_bytecode = writes
    return module


def _line(error: BaseException, path: Path) -> str:
    """The line of the file where it went wrong, as `:7`."""
    numbers, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            numbers.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{numbers[-1]}" if numbers else ""
