"""Root's part serves what is asked for, from root's list alone."""

from __future__ import annotations

import fcntl
import getpass
import os
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

from poprelay.daemon.root.rootpart import serve_requests
from poprelay.errors import ConfigError, MapError, NotPermitted
from poprelay.maps import root
from poprelay.maps.root import Result, RootCommand, read_result


class House:
    """A directory to ask in, and root's list, whose command `note` writes a line and `fail` fails."""

    def __init__(self, place: Path) -> None:
        self.directory = place / "root"
        self.requests = self.directory / "requests"
        self.requests.mkdir(parents=True)
        self.noted = place / "noted"
        self.list = place / "root.toml"
        self.write_list(
            f'[[commands]]\nname = "note"\nsteps = [{{ run = ["/bin/sh", "-c", "echo x >>{self.noted}"] }}]\n'
            '[[commands]]\nname = "fail"\nsteps = [{ run = ["/bin/sh", "-c", "echo no such map; exit 3"] }]\n'
        )

    def write_list(self, commands: str) -> None:
        self.list.write_text(f'user = "{getpass.getuser()}"\n{commands}')

    def ask(self, name: str, said: str = "7\n") -> Path:
        request = self.requests / f"{name}.request"
        request.write_text(said)
        return request

    def serve(self) -> list[tuple[str, str]]:
        return list(serve_requests(self.list, self.directory))

    def result(self, name: str) -> Result | None:
        return read_result(self.directory / "results" / name)

    def notes(self) -> int:
        return self.noted.read_text().count("x") if self.noted.exists() else 0


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Whoever runs the tests is root there."""
    monkeypatch.setattr(root, "ROOT_UID", os.geteuid())
    return House(tmp_path)


def test_a_request_is_taken_away_its_command_run_and_its_number_answered(house: House) -> None:
    request = house.ask("note", "12345\n")
    assert house.serve() == [("note", "")]
    assert not request.exists()
    assert house.notes() == 1
    result = house.result("note")
    assert result is not None
    assert (result.request, result.failed) == (12345, "")
    assert 0.0 <= time.monotonic() - result.at < 10.0


def test_a_request_that_comes_while_another_is_read_is_served_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, later = os.read, iter(["8"])

    def and_ask(descriptor: int, most: int) -> bytes:
        said = read(descriptor, most)
        for number in later:
            fresh = house.requests / ".fresh"
            fresh.write_text(number)
            fresh.replace(house.requests / "note.request")
        return said

    house.ask("note")
    monkeypatch.setattr(os, "read", and_ask)
    served = house.serve()
    monkeypatch.undo()
    assert served == [("note", ""), ("note", "")]
    assert house.result("note") == Result(8, mock.ANY)


def test_without_a_request_nothing_runs(house: House) -> None:
    assert house.serve() == []
    assert house.notes() == 0


def test_what_a_failed_command_said_is_answered(house: House) -> None:
    house.ask("fail")
    ((name, failed),) = house.serve()
    assert name == "fail"
    assert "failed (exit code 3): no such map" in failed
    result = house.result("fail")
    assert result is not None
    assert result.failed == failed


def test_a_name_that_is_not_in_the_list_is_answered_so(house: House) -> None:
    house.ask("other")
    assert house.serve() == [("other", "there is no such command in root's list")]


@pytest.mark.parametrize("said", ["", "7 8", "-7", "x", "7; rm", "7" * 21, "٧", "$(id)"])
def test_what_is_no_number_is_taken_away_and_nothing_runs(house: House, said: str) -> None:
    request = house.ask("note", said)
    assert house.serve() == []
    assert not request.exists()
    assert house.notes() == 0


@pytest.mark.parametrize("name", ["%note", "Note", "note.x", "a b", "-x", "n" * 64])
def test_a_name_that_no_entry_can_have_is_taken_away(house: House, name: str) -> None:
    request = house.requests / f"{name}.request"
    request.write_text("7")
    assert house.serve() == []
    assert not request.exists()


def test_a_link_or_a_pipe_is_no_request(house: House, tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("7")
    (house.requests / "note.request").symlink_to(number)
    os.mkfifo(house.requests / "fail.request")
    assert house.serve() == []
    assert list(house.requests.iterdir()) == []
    assert number.exists()


def test_a_directory_in_the_place_of_a_request_is_left_and_does_no_harm(house: House) -> None:
    (house.requests / "note.request").mkdir()
    house.ask("fail")
    assert [name for name, _ in house.serve()] == ["fail"]


def test_what_keeps_requests_from_being_taken_away_is_told(house: House) -> None:
    (house.requests / ".taken").mkdir()
    house.ask("note")
    with pytest.raises(MapError, match=r"note\.request cannot be taken away: Is a directory") as error:
        house.serve()
    assert error.value.remedy == "remove .taken from beside it"
    (house.requests / ".taken").rmdir()
    (house.requests / ".taken").write_text("left by one that was killed")
    assert house.serve() == [("note", "")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_request_of_a_third_user_is_no_request(house: House) -> None:
    os.chown(house.ask("note"), 65534, 65534)
    assert house.serve() == []
    assert house.notes() == 0


def test_between_two_runs_of_a_command_its_time_passes_whoever_runs_them(house: House) -> None:
    began = time.monotonic()
    for number in (1, 2):
        house.ask("note", str(number))
        house.serve()
    assert time.monotonic() - began >= 1.0
    assert house.notes() == 2


def test_a_program_that_others_can_write_is_not_run(house: House, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho x >>{house.noted}\n")
    program.chmod(0o777)
    house.write_list(f'[[commands]]\nname = "note"\nsteps = [{{ run = ["{program}"] }}]\n')
    house.ask("note")
    ((_, failed),) = house.serve()
    assert "others than root can write" in failed
    program.chmod(0o755)
    house.ask("note")
    assert house.serve() == [("note", "")]
    assert house.notes() == 1


def test_steps_copy_and_run_and_end_where_one_fails(house: House, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    house.write_list(
        f'[[commands]]\nname = "note"\nsteps = [{{ copy = ["{source}"], to = "{target}" }}, '
        f'{{ run = ["/bin/sh", "-c", "cat >>{house.noted}"], stdin = "{target}" }}]\n'
    )
    house.ask("note")
    assert house.serve() == [("note", f"{source}: No such file or directory")]
    assert house.notes() == 0
    source.write_text("x\n")
    house.ask("note")
    assert house.serve() == [("note", "")]
    assert (target.read_text(), house.notes()) == ("x\n", 1)


@pytest.mark.parametrize("spoil", ["mode", "text", "user", "missing"])
def test_where_the_list_cannot_be_used_each_request_is_answered_so_and_nothing_runs(house: House, spoil: str) -> None:
    if spoil == "mode":
        house.list.chmod(0o666)
    elif spoil == "missing":
        house.list.unlink()
    else:
        house.list.write_text("x" if spoil == "text" else house.list.read_text().replace("user =", 'user = "no-" #'))
    request = house.ask("note", "9")
    with pytest.raises((ConfigError, NotPermitted, FileNotFoundError)):
        house.serve()
    assert not request.exists(), "systemd would start us again for it at once"
    result = house.result("note")
    assert result is not None
    assert result.request == 9
    assert result.failed.startswith(str(house.list))
    assert house.notes() == 0


def test_without_its_directories_the_next_step_is_told(house: House, tmp_path: Path) -> None:
    house.requests.rmdir()
    with pytest.raises(MapError, match="systemd-tmpfiles"):
        house.serve()
    with pytest.raises(MapError, match="systemd-tmpfiles"):
        list(serve_requests(house.list, tmp_path / "none"))


def test_while_one_is_at_work_another_waits(house: House) -> None:
    house.serve()
    house.ask("note")
    done = threading.Event()

    def serve() -> None:
        house.serve()
        done.set()

    thread = threading.Thread(target=serve)
    other = os.open(house.directory / "results", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread.start()
        assert not done.wait(0.1)
    finally:
        os.close(other)
    thread.join()
    assert house.notes() == 1


def test_who_asks_and_who_serves_understand_each_other(house: House) -> None:
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            house.serve()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        RootCommand("note", house.directory)(house.list)
        with pytest.raises(MapError, match="no such map"):
            RootCommand("fail", house.directory)(house.list)
        with pytest.raises(MapError, match="no such command"):
            RootCommand("other", house.directory)(house.list)
    finally:
        stop.set()
        thread.join()
    assert house.notes() == 1
