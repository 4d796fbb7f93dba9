"""`kill -9` at any moment loses no login and counts none twice."""

from __future__ import annotations

import random
import shutil
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from live.daemon import Poprelay
from live.running import until

KILLS: Final = 100
USERS: Final = 300
LAST: Final = "last"
"""The user of the last line: when he is listed, all lines have been read."""

SETTINGS: Final = """
[relay]
period = "6h"
exclude_networks = []
[[sources]]
kind = "file"
path = "{log}"
agents = ["dovecot"]
[[maps]]
kind = "lmdb"
path = "{place}.lmdb"
"""


class Mailhost:
    """A host on which users log in and out, and whose log is rotated in both ways; lines as Dovecot 2.3 writes them."""

    def __init__(self, log: Path, chance: random.Random) -> None:
        self.log = log
        self.lines: list[bytes] = []
        """Every line that was ever written, in order."""
        self._chance = chance
        self._file = log.open("ab", buffering=0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mail host")
        self._sessions = 0

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Write the last line, and no more."""
        self._ended.set()
        self._thread.join()
        self._login(LAST)
        self._file.close()

    def _work(self) -> None:
        while not self._ended.wait(self._chance.uniform(0.0005, 0.004)):
            match self._chance.randrange(300):
                case 0:
                    self._rotate_by_rename()
                case 1:
                    self._rotate_by_copy_and_truncate()
                case _:
                    self._session()

    def _session(self) -> None:
        user = f"user{self._chance.randrange(USERS)}"
        session = self._login(user)
        if self._chance.random() < 0.5:
            self._say(f"imap({user})<{self._sessions}><{session}>: Disconnected: Logged out in=8 out=468")

    def _login(self, user: str) -> str:
        self._sessions += 1
        session = f"s{self._sessions}/AAAB"
        method = f"user=<{user}>, method=PLAIN, rip={address(user)}, lip=9.9.9.9"
        self._say(f"imap-login: Login: {method}, mpid={self._sessions}, TLS, session=<{session}>")
        return session

    def _say(self, message: str) -> None:
        line = f"{datetime.now():%b %e %H:%M:%S} mx dovecot: {message}\n".encode()
        cut = self._chance.randrange(len(line)) if self._chance.random() < 0.1 else 0
        for part in (line[:cut], line[cut:]):
            self._file.write(part)
            if cut:
                time.sleep(0.003)
        self.lines.append(line)

    def _rotate_by_rename(self) -> None:
        """As logrotate does it: the writer goes on for a while in the file that it has open."""
        self._shift()
        self.log.rename(self._older(1))
        self.log.touch()
        for _ in range(self._chance.randrange(4)):
            self._session()
        self._file.close()
        self._file = self.log.open("ab", buffering=0)

    def _rotate_by_copy_and_truncate(self) -> None:
        """As logrotate's copytruncate; nothing is written between the two."""
        self._shift()
        shutil.copyfile(self.log, self._older(1))
        self._file.truncate(0)

    def _shift(self) -> None:
        for number in range(self._kept(), 0, -1):
            self._older(number).rename(self._older(number + 1))

    def _kept(self) -> int:
        number = 0
        while self._older(number + 1).exists():
            number += 1
        return number

    def _older(self, number: int) -> Path:
        return self.log.with_name(f"{self.log.name}.{number}")


def address(user: str) -> str:
    """Where this user always comes from: a global address of his own."""
    number = USERS if user == LAST else int(user.removeprefix("user"))
    return f"8.8.{number // 250}.{number % 250 + 1}"


def grants(poprelay: Poprelay) -> dict[tuple[str, str, str], str]:
    """Every live grant, and until when, once all lines have been read, and open sessions hold for that."""
    until(lambda: (address(LAST), LAST) in poprelay.allowed(), seconds=30, step=0.1, what="the last line is read")
    listed: list[dict[str, Any]] = []

    def sessions_hold() -> bool:
        listed[:] = poprelay.run("list", "--json").objects()
        return all(each["held"] for each in listed if each["sessions"])

    until(sessions_hold, seconds=10, step=0.1, what="sessions are believed")
    return {(each["address"], each["user"], each["basis"]): each["until"] for each in listed}


@pytest.fixture
def chance() -> random.Random:
    seed = time.time_ns()
    print(f"random.Random({seed})")
    return random.Random(seed)


def test_after_a_hundred_kills_all_is_as_after_one_clean_run(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random
) -> None:
    place = tmp_path_factory.mktemp("kill")
    log = place / "logs/mail.log"
    log.parent.mkdir()
    mailhost = Mailhost(log, random.Random(chance.random()))
    killed = Poprelay(place / "killed", SETTINGS.format(log=log, place=place / "killed"))

    mailhost.start()
    try:
        for _ in range(KILLS):
            if chance.random() < 0.5:
                killed.spawn()  # some die while they start
            else:
                killed.start()  # and some at work
            time.sleep(chance.uniform(0.0, 0.3))
            killed.kill()
    finally:
        mailhost.end()

    killed.start()
    try:
        after_kills = grants(killed)
        history = killed.run("history", "--json", "--limit", "100000").objects()
    finally:
        assert killed.stop() == 0

    clean_log = place / "all.log"
    clean_log.write_bytes(b"".join(mailhost.lines))
    clean = Poprelay(place / "clean", SETTINGS.format(log=clean_log, place=place / "clean"))
    clean.start()
    try:
        after_one_run = grants(clean)
    finally:
        assert clean.stop() == 0

    assert len(after_one_run) > USERS / 2
    assert after_kills == after_one_run
    opened = sorted((row["address"], row["user"]) for row in history if row["change"] == "opened")
    assert opened == sorted((address, user) for address, user, _ in after_one_run), "each was opened once"
    assert {row["change"] for row in history} == {"opened"}
