"""The daemon as a whole, as a process: stop, observe, systemd's words, and what is wrong with a log."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.house import OTHER_LOG, SOCKETMAP, SPOOL_MAP, TEXT_MAP, House, lookup
from live.daemon import PROGRAM
from live.running import until
from poprelay.daemon.client import ask, connect


@pytest.fixture
def listener() -> Iterator[Callable[[Path], socket.socket]]:
    """A datagram socket that listens as systemd does."""
    opened: list[socket.socket] = []

    def make(path: Path) -> socket.socket:
        opened.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        opened[-1].bind(str(path))
        opened[-1].settimeout(10)
        return opened[-1]

    yield make
    for sock in opened:
        sock.close()


def test_sigterm_commits_what_was_just_written_and_keeps_the_maps(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    assert house.poprelay.stop() == 0
    assert house.in_text() == {"9.9.9.9"}
    assert not (house.poprelay.place / "control").exists()
    house.login("8.8.4.4")
    house.start()
    assert house.listed() == {"9.9.9.9", "8.8.4.4"}
    (row,) = [row for row in house.ask("list") if row["address"] == "9.9.9.9"]
    assert row["renewals"] == 0


def test_with_on_stop_empty_the_maps_are_empty_after_sigterm_and_full_after_the_next_start(house: House) -> None:
    house.poprelay.configure(house.settings(TEXT_MAP + 'interval = "1h"\n', SPOOL_MAP, '[daemon]\non_stop = "empty"'))
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    house.login("8.8.4.4")
    until((house.place / "spool/8.8.4.4").exists)
    assert house.poprelay.stop() == 0
    assert house.in_text() == set()
    assert list((house.place / "spool").iterdir()) == []
    house.start()
    until(lambda: house.in_text() == {"9.9.9.9", "8.8.4.4"})


def test_what_was_revoked_is_not_left_in_a_map_that_waits_for_its_interval(house: House) -> None:
    house.poprelay.configure(house.settings(TEXT_MAP + 'interval = "1h"\n'))
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    connection = connect(house.poprelay.place / "control")
    asked = ask(connection, "revoke", {"address": "9.9.9.9"})
    until(lambda: house.listed() == set())
    assert house.poprelay.stop() == 0
    assert house.in_text() == set()
    connection.close()
    del asked


def test_a_second_daemon_on_the_same_ledger_ends_with_one_clear_line(house: House) -> None:
    house.start()
    second = house.poprelay.run("run")
    assert second.exit == 1
    (line,) = second.err.splitlines()
    assert line.startswith(f"poprelay: process {house.poprelay.pid} already works on the ledger ")
    assert house.status()["problems"] == []


def test_observing_records_everything_and_publishes_nothing(house: House) -> None:
    house.start("--observe")
    house.login("9.9.9.9")
    until(lambda: house.listed() == {"9.9.9.9"})
    assert not (house.place / "relay.txt").exists()
    assert not (house.place / "s").exists()
    assert house.status()["observe"]
    assert [row["change"] for row in house.ask("history")] == ["opened"]
    assert house.poprelay.stop() == 0


def test_systemd_hears_of_readiness_the_watchdog_reloading_and_stopping(house: House, listener: Any) -> None:
    manager = listener(house.place / "n")
    house.poprelay.spawn(env={"NOTIFY_SOCKET": str(house.place / "n")})
    said: list[str] = []

    def hears(word: str) -> None:
        while not any(line.startswith(word) for line in said):
            said.extend(manager.recv(4096).decode().splitlines())

    hears("READY=1")
    said.clear()
    hears("WATCHDOG=1")
    house.poprelay.reload()
    hears("RELOADING=1")
    hears("MONOTONIC_USEC=")
    hears("READY=1")
    house.poprelay._daemon._process.terminate()
    hears("STOPPING=1")


def test_sockets_that_systemd_opened_are_used_and_left_to_it(house: House) -> None:
    shell = 'exec 3<&"$2" 4<&"$3"; export LISTEN_PID=$$ LISTEN_FDS=2; exec "$0" run -c "$1"'
    with socket.socket(socket.AF_UNIX) as service, socket.socket(socket.AF_UNIX) as control:
        for sock, path in ((service, house.place / "s"), (control, house.poprelay.place / "control")):
            sock.bind(str(path))
            sock.listen()
        inodes = [(house.place / "s").stat().st_ino, (house.poprelay.place / "control").stat().st_ino]
        high = [fcntl.fcntl(sock, fcntl.F_DUPFD, 40) for sock in (service, control)]
        try:
            with subprocess.Popen(
                ["bash", "-c", shell, str(PROGRAM), str(house.poprelay.config), *map(str, high)],
                pass_fds=high, stderr=subprocess.PIPE,
            ) as process:  # fmt: skip
                try:
                    until(lambda: house.answers() and house.status()["state"] == "running")
                    with socket.socket(socket.AF_UNIX) as sock:
                        sock.settimeout(5)
                        sock.connect(str(house.place / "s"))
                        assert "NOTFOUND" in lookup(sock, "9.9.9.9")
                finally:
                    process.terminate()
                assert process.wait(10) == 0
        finally:
            for fd in high:
                os.close(fd)
        assert inodes == [(house.place / "s").stat().st_ino, (house.poprelay.place / "control").stat().st_ino]


def test_under_observation_what_was_published_before_still_ends_and_nothing_is_added(house: House) -> None:
    def brief(*parts: str) -> str:
        return house.settings(*parts).replace('"30m"', '"4s"')

    house.poprelay.configure(brief(TEXT_MAP))
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    assert house.poprelay.stop() == 0
    house.poprelay.configure(brief(TEXT_MAP, SPOOL_MAP))
    house.start("--observe")
    house.login("8.8.4.4")
    until(lambda: "8.8.4.4" in house.listed())
    (answer,) = house.ask("explain", address="8.8.4.4")
    assert answer["answer"] == "no"
    assert "only observes" in " ".join(answer["why"])
    assert house.in_text() <= {"9.9.9.9"}
    until(lambda: house.in_text() == set(), seconds=8)
    assert not (house.place / "spool").exists()


def test_without_a_daemon_an_open_session_soon_holds_nothing(house: House) -> None:
    house.poprelay.configure(house.settings(TEXT_MAP).replace('"30m"', '"2s"'))
    house.start()
    house.say("imap-login: Login: user=<bob>, method=PLAIN, rip=8.8.4.4, lip=9.9.9.1, session=<b>")
    house.say("imap(bob)<1><b>: Disconnected: Logged out in=1 out=2")
    house.say("imap-login: Login: user=<ann>, method=PLAIN, rip=9.9.9.9, lip=9.9.9.1, session=<a>")
    until(lambda: house.in_text() == {"9.9.9.9"}, seconds=8)
    assert house.listed() == {"9.9.9.9"}
    assert house.poprelay.stop() == 0
    time.sleep(2)
    assert house.poprelay.run("cleanup").exit == 0
    assert house.in_text() == {"9.9.9.9"}, "a restart cuts nobody off"
    lock = house.poprelay.place / "ledger.db.lock"
    os.utime(lock, (lock.stat().st_atime, time.time() - 120))
    assert house.poprelay.run("cleanup").exit == 0
    assert house.in_text() == set(), "but who knows what was logged since"
    (answer,) = house.poprelay.run("explain", "9.9.9.9", "--json").objects()
    assert (answer["answer"], list(answer["maps"].values())) == ("cannot tell", [False])
    assert house.poprelay.run("list", "--json").objects() == []
    aside = house.log.rename(house.place / "aside.log")
    house.log.symlink_to(house.log)
    house.poprelay.start()
    until(lambda: house.status()["maps"][0]["in_step"])
    until(lambda: "Too many levels of symbolic links" in house.printed())
    assert house.in_text() == set(), "nor does the daemon, before it has read the log"
    assert house.ask("explain", address="9.9.9.9")[0]["answer"] == "cannot tell"
    house.log.unlink()
    aside.rename(house.log)
    until(lambda: house.in_text() == {"9.9.9.9"}, seconds=8)
    assert house.listed() == {"9.9.9.9"}
    assert house.ask("explain", address="9.9.9.9")[0]["answer"] == "yes"
    house.say("imap(ann)<1><a>: Disconnected: Logged out in=1 out=2")
    until(lambda: house.in_text() == set(), seconds=8)


def test_a_map_that_somebody_removes_is_back_at_once(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    (house.place / "relay.txt").unlink()
    until((house.place / "relay.txt").exists, seconds=4)
    until(lambda: house.in_text() == {"9.9.9.9"})
    assert "somebody else has touched the map" in house.printed()
    assert house.status()["problems"] == []


def test_a_damaged_ledger_is_set_aside_and_what_stands_in_the_logs_does_not_come_back(house: House) -> None:
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.listed() == {"9.9.9.9"})
    assert house.poprelay.stop() == 0
    ledger = house.poprelay.place / "ledger.db"
    ledger.write_bytes(b"this is no ledger" * 1000)
    house.login("8.8.4.4")
    house.start()
    problem, lost = house.status()["problems"]
    assert "was damaged and is set aside as" in problem
    assert "without a position begins at its end" in lost
    assert Path(house.status()["ledger"]["set_aside"]).read_bytes().startswith(b"this is no ledger")
    assert house.listed() == set()
    assert house.in_text() == set()
    house.login("8.8.8.8")
    until(lambda: house.listed() == {"8.8.8.8"})


def test_a_log_that_is_missing_is_shown_and_followed_from_its_start_once_it_is_there(house: House) -> None:
    house.poprelay.configure(house.settings(TEXT_MAP, OTHER_LOG))
    house.start()
    other = house.place / "other.log"
    assert house.part("sources", str(other))["state"] == "missing"
    assert house.status()["problems"] == [f"source {other}: the file is missing"]
    house.login("9.9.9.9", log=other)
    until(lambda: house.listed() == {"9.9.9.9"})
    assert house.status()["problems"] == []


def test_a_log_that_cannot_be_read_is_a_problem_and_is_tried_again(house: House) -> None:
    house.log.unlink()
    house.log.mkdir()
    house.poprelay.start()
    until(lambda: house.status()["problems"])
    (problem,) = house.status()["problems"]
    assert problem.startswith(f"source {house.log}: ")
    house.log.rmdir()
    house.login("9.9.9.9")
    until(lambda: house.listed() == {"9.9.9.9"})
    assert house.status()["problems"] == []


def test_a_map_that_cannot_be_written_is_a_problem_and_is_tried_again(house: House) -> None:
    house.poprelay.configure(house.settings(TEXT_MAP.replace("{place}", "{place}/later")))
    house.poprelay.spawn()
    until(house.answers)
    until(lambda: house.status()["problems"])
    assert house.status()["problems"][0].startswith(f"map text {house.place}/later/relay.txt: ")
    house.login("9.9.9.9")
    (house.place / "later").mkdir()
    until(
        lambda: (
            (house.place / "later/relay.txt").exists() and "9.9.9.9" in (house.place / "later/relay.txt").read_text()
        )
    )
    until(lambda: house.status()["problems"] == [])


def test_a_socket_with_too_long_a_path_is_refused_in_one_clear_line(house: House) -> None:
    house.poprelay.configure(house.settings(SOCKETMAP.replace("/s", "/" + "s" * 100)))
    ran = house.poprelay.run("run")
    assert ran.exit == 78
    (line,) = ran.err.splitlines()
    assert "at most 103 bytes" in line


def test_a_control_socket_that_cannot_be_made_ends_the_start_in_one_clear_line(house: House) -> None:
    config = house.poprelay.config
    config.write_text(config.read_text().replace("d/control", "nowhere/control"))
    ran = house.poprelay.run("run")
    assert ran.exit == 1
    (line,) = [line for line in ran.err.splitlines() if line.startswith("poprelay: ")]
    assert line.startswith(f"poprelay: cannot listen on unix:{house.place}/nowhere/control: ")
    assert "make the directory" in line


def test_a_service_that_cannot_listen_is_a_problem_and_the_rest_works(house: House) -> None:
    (house.place / "s").write_text("a person's file")
    house.start()
    (problem,) = house.status()["problems"]
    assert "a file that is not a socket is there" in problem
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    assert (house.place / "s").read_text() == "a person's file"


def test_the_ledger_its_files_and_the_control_socket_are_not_for_everybody(house: House) -> None:
    house.start()
    for file in house.poprelay.place.glob("ledger.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((house.poprelay.place / "control").stat().st_mode) == 0o660


def test_a_ledger_that_is_full_is_a_problem_as_long_as_it_is(house: House) -> None:
    house.poprelay.configure(house.settings(relay="max_grants = 2"))
    house.start()
    house.login("9.9.9.9")
    until(lambda: house.listed() == {"9.9.9.9"})
    assert house.status()["problems"] == []
    house.login("8.8.8.8")
    until(lambda: house.status()["problems"] == ["there are 2 grants, and max_grants is 2: new logins open nothing"])
    house.ask("revoke", address="8.8.8.8")
    assert house.status()["problems"] == []


def test_that_a_service_had_no_room_is_a_warning(house: House) -> None:
    house.poprelay.configure(house.settings(f"{SOCKETMAP}max_connections = 1\n"))
    house.start()
    name = house.status()["services"][0]["name"]
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as more:
        for sock in (one, more):
            sock.connect(str(house.place / "s"))
        assert more.recv(1) == b""
    status = house.status()
    assert status["warnings"][-1] == f"service {name}: peers were turned away lately: more than 1 connections"
    assert status["problems"] == []
