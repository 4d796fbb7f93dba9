"""Root's part for `setup`: its list and its units, as they are to be, and somebody who serves while it is proved."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import poprelay
from poprelay.config.load import Document
from poprelay.daemon import units
from poprelay.daemon.root.rootlist import CONFIG, parse_list
from poprelay.daemon.root.rootpart import serve_requests
from poprelay.daemon.setup.starting import USER
from poprelay.errors import MtaError, PoprelayError
from poprelay.maps.root import DIRECTORY
from poprelay.mta import Edit, Folder
from poprelay.mta.apply import Record, make

UNITS: Final = ("poprelay-root.path", "poprelay-root.service")
_SHIPPED: Final = (
    Path(sys.prefix, "share/poprelay/systemd"),
    Path(poprelay.__file__).parents[2] / "packaging/systemd",
)
"""Where our units lie: as they are installed, and beside the source."""
_PROGRAM: Final = "/usr/bin/poprelay"
_HEAD: Final = """\
# What root's part does for poprelay, and nothing else: poprelay-root-commands(1).

user = "poprelay"
"""
_FOLDERS: Final = (Folder(DIRECTORY), Folder(DIRECTORY / "requests", USER, USER), Folder(DIRECTORY / "results"))
_TICK: Final = 0.02


def edits(section: str, path: Path = CONFIG) -> list[Edit]:
    """Root's list with these commands, and our units where systemd has none of that name; nothing for no section."""
    if not section:
        return []
    try:
        text = path.read_text()
    except FileNotFoundError:
        text = _HEAD
    except (OSError, UnicodeDecodeError) as error:
        raise MtaError(f"{path} cannot be read: {error}", remedy="run it as root") from error
    wanted = parse_list(Document(section, path.name)).commands
    there = parse_list(Document(text, path.name)).commands if text != _HEAD else {}
    for name, command in wanted.items():
        if there.get(name, command) != command:
            raise MtaError(f"{path} has another command that is called {name}", remedy="take it out, or rename it")
    if not wanted.keys() <= there.keys():
        text = f"{text.rstrip()}\n\n{section}"
    parse_list(Document(text, path.name))
    return [Edit(path, text.encode()), *_units()]


@contextmanager
def attending(record: Record, say: Callable[[str], None]) -> Iterator[None]:
    """Somebody who serves what is asked of root's part: systemd's unit, which stays, or we, for this time only.

    What ends the unit, if it was not enabled, goes into the record.
    """
    for folder in _FOLDERS:
        make(folder)
    if units.booted() and units.known(UNITS[0]):
        units.enable(UNITS[:1], record)
        say("root's part is enabled: systemctl status poprelay-root.path")
        yield
        return
    ended = threading.Event()
    server = threading.Thread(target=_serve, args=(ended,))
    server.start()
    try:
        yield
        say("root's part ran only for this proof: start it now, and at every boot (packaging/systemd/poprelay-root.*)")
    finally:
        ended.set()
        server.join()


def _serve(ended: threading.Event) -> None:
    while not ended.wait(_TICK):
        try:
            list(serve_requests(CONFIG, DIRECTORY))
        except (PoprelayError, OSError):
            continue  # whoever asked was answered so, and says it


def _units() -> list[Edit]:
    if not units.booted() or units.known(UNITS[0]):
        return []
    shipped = next((folder for folder in _SHIPPED if (folder / UNITS[0]).exists()), None)
    if shipped is None:
        return []
    program = _PROGRAM if Path(_PROGRAM).exists() else str(Path(sys.executable).with_name("poprelay"))
    return [Edit(units.OWN / unit, (shipped / unit).read_text().replace(_PROGRAM, program).encode()) for unit in UNITS]
