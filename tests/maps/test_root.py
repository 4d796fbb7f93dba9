"""Asking root's part."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from live.running import until
from poprelay.errors import MapError
from poprelay.maps import root
from poprelay.maps.root import NUMBER, Result, RootCommand, read_result

FILE = Path("/nonexistent/relay")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to ask; whoever runs the tests is root there."""
    monkeypatch.setattr(root, "ROOT_UID", os.geteuid())
    for name in ("requests", "results"):
        (tmp_path / name).mkdir()
    return tmp_path


@contextmanager
def answering(directory: Path, answer: Callable[[int], Result | None]) -> Iterator[list[int]]:
    """Takes each request for `make` away, and writes what `answer` makes of it."""
    numbers: list[int] = []
    done = threading.Event()

    def serve() -> None:
        while not done.wait(0.002):
            request = directory / "requests/make.request"
            if request.exists():
                said = request.replace(directory / "taken").read_bytes().strip()
                assert NUMBER.fullmatch(said)
                numbers.append(int(said))
                result = answer(int(said))
                if result is not None:
                    fresh = directory / "results/.make"
                    fresh.write_bytes(msgspec.json.encode(result))
                    fresh.replace(directory / "results/make")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield numbers
    finally:
        done.set()
        thread.join()


def test_it_returns_when_its_request_was_served(directory: Path) -> None:
    ask = RootCommand("make", directory)
    with answering(directory, lambda number: Result(number, 0.0)) as numbers:
        ask(FILE)
        ask(FILE)
    assert len(numbers) == len(set(numbers)) == 2


def test_what_failed_is_told(directory: Path) -> None:
    with (
        answering(directory, lambda number: Result(number, 0.0, "makemap failed (exit code 1)")),
        pytest.raises(MapError, match=r"root's part: make: makemap failed \(exit code 1\)"),
    ):
        RootCommand("make", directory)(FILE)


def test_a_run_for_a_later_request_of_ours_counts_and_one_before_or_for_another_process_does_not(
    directory: Path,
) -> None:
    ask = RootCommand("make", directory, timeout=0.1)
    with answering(directory, lambda number: Result(number + 1, 0.0)):
        ask(FILE)
    (directory / "results/make").unlink()
    for shift in (-1, 10**9, -(10**9)):
        with (
            answering(directory, lambda number, shift=shift: Result(number + shift, 0.0)),  # type: ignore[misc]
            pytest.raises(MapError, match="did not end make within"),
        ):
            ask(FILE)


def test_where_nobody_takes_the_request_that_is_told(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "PICK_UP", 0.05)
    with pytest.raises(MapError, match=r"does not answer: nobody took .*enable --now poprelay-root\.path"):
        RootCommand("make", directory)(FILE)


def test_where_it_is_not_installed_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"cannot be asked: .*poprelay-root\.path"):
        RootCommand("make", tmp_path / "none")(FILE)


def test_a_request_is_digits_and_nothing_else(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "PICK_UP", 0.01)
    with pytest.raises(MapError):
        RootCommand("make", directory)(FILE)
    (request,) = (directory / "requests").iterdir()
    assert request.name == "make.request"
    assert NUMBER.fullmatch(request.read_bytes().rstrip(b"\n"))


def test_two_that_ask_for_the_same_at_once_are_both_answered(directory: Path) -> None:
    ask = RootCommand("make", directory, timeout=5.0)
    failures: list[BaseException] = []

    def call() -> None:
        try:
            for _ in range(5):
                ask(FILE)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    with answering(directory, lambda number: Result(number, 0.0)):
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: not any(thread.is_alive() for thread in threads))
    assert failures == []


def test_a_result_counts_only_if_it_is_roots(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = directory / "results/make"
    path.write_bytes(msgspec.json.encode(Result(7, 0.0)))
    assert read_result(path) == Result(7, 0.0)
    monkeypatch.setattr(root, "ROOT_UID", os.geteuid() + 1)
    assert read_result(path) is None


def test_what_is_no_result_is_none_and_a_link_is_not_followed(directory: Path) -> None:
    path = directory / "results/make"
    path.write_bytes(b'{"request": "x"}')
    assert read_result(path) is None
    link = directory / "results/link"
    link.symlink_to(path)
    with pytest.raises(OSError, match="Too many levels"):
        read_result(link)
