"""A disk that does not answer any more is left behind when the daemon ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from daemon.house import SOCKETMAP, SPOOL_MAP, TEXT_MAP, House
from live.running import until

HANGS = """
import os, sys
from pathlib import Path

from poprelay.cli.main import main
from poprelay.daemon import daemon, storage
from poprelay.maps import atomic
from poprelay.sources import file

daemon.DRAIN, daemon.LAST = 0.5, 2.0
really = {function}


def hangs(*arguments, **options):
    if Path({sign!r}).exists():
        Path({sign!r}).write_text("hangs")
        os.read(os.pipe()[0], 1)  # nobody writes there
    return really(*arguments, **options)


{function} = hangs
del sys.argv[1]
main()
"""


@pytest.fixture
def sign(place: Path) -> Path:
    """Where it is, the function hangs; once it does, it is written there."""
    return place / "hang"


def hanging(house: House, sign: Path, function: str) -> None:
    """Let the daemon run with a function that can hang."""
    program = house.place / "program.py"
    program.write_text(HANGS.format(function=function, sign=str(sign)))
    house.poprelay.prefix = [sys.executable, str(program)]


def test_a_log_whose_file_system_hangs_keeps_no_daemon_from_ending(house: House, sign: Path) -> None:
    hanging(house, sign, "file.LogReader.step")
    house.start()
    sign.touch()
    until(sign.read_text)
    assert house.poprelay.stop() == 0
    assert "stopped" in house.printed().splitlines()[-1]


@pytest.mark.parametrize("on_stop", ["keep", "empty"])
def test_nor_does_a_map_whose_disk_hangs_and_the_others_are_seen_to(house: House, sign: Path, on_stop: str) -> None:
    hanging(house, sign, "atomic.replace")
    daemon = f'[daemon]\non_stop = "{on_stop}"\n'
    house.poprelay.configure(house.settings(TEXT_MAP, SPOOL_MAP, SOCKETMAP, daemon))
    house.start()
    house.login("9.9.9.9")
    spool = house.place / "spool"
    until(lambda: house.in_text() == {"9.9.9.9"} and (spool / "9.9.9.9").exists())
    sign.touch()
    house.login("8.8.8.8")
    until(sign.read_text)
    assert house.poprelay.stop() == 0
    assert "stopped" in house.printed().splitlines()[-1]
    assert (spool / "9.9.9.9").exists() == (on_stop == "keep")


def test_nor_does_the_check_of_a_ledger_that_was_not_closed(house: House, sign: Path) -> None:
    hanging(house, sign, "storage.check_whole")
    house.start()
    house.poprelay.kill()
    sign.touch()
    house.start()
    until(sign.read_text)
    assert house.poprelay.stop() == 0
    assert "stopped" in house.printed().splitlines()[-1]
