from __future__ import annotations

import grp
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.config.section import Listen, Problem, Section
from poprelay.errors import ServiceError
from poprelay.services.listener import Door, adopt, bind, loopback


def at(path: Path) -> Listen:
    return Listen(unix=path, host="", port=0)


@pytest.fixture
def group() -> str:
    """A group that this process may give a file to."""
    return grp.getgrgid(os.getgroups()[0] if os.getgroups() else os.getgid()).gr_name


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_unix_socket_has_its_mode_and_group_before_anyone_can_come_in(tmp_path: Path, mode: int, group: str) -> None:
    path = tmp_path / "s"
    with bind(at(path), mode=mode, group=group):
        status = path.stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == mode
        assert grp.getgrgid(status.st_gid).gr_name == group
        with socket.socket(socket.AF_UNIX) as early, pytest.raises(ConnectionRefusedError):
            early.connect(str(path))


def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind(at(path)) as first:
        first.listen()
    assert path.exists()
    with bind(at(path)) as second:
        second.listen()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))


def test_the_socket_of_a_live_daemon_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind(at(path)) as live:
        live.listen()
        with pytest.raises(ServiceError, match="another process listens there: stop it"):
            bind(at(path))
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))


def test_a_live_daemon_with_a_full_queue_is_live(tmp_path: Path) -> None:
    path = tmp_path / "s"
    waiting: list[socket.socket] = []
    with bind(at(path)) as live:
        live.listen(1)
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(str(path))
        except BlockingIOError:
            pass
        with pytest.raises(ServiceError, match="another process listens there"):
            bind(at(path))
    for sock in waiting:
        sock.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link", "fifo"])
def test_what_is_not_a_socket_is_never_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case _:
            os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(ServiceError, match="not a socket is there: move it away"):
        bind(at(path))
    assert path.lstat() == before


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"No such file.*make the directory .*/gone, owned by"):
        bind(at(tmp_path / "gone" / "s"))


def test_a_path_that_is_too_long_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot listen on unix:"):
        bind(at(tmp_path / ("s" * 200)))


def test_an_unknown_group_leaves_no_socket_behind(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="there is no group 'nosuchgroup'"):
        bind(at(tmp_path / "s"), group="nosuchgroup")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_says_so(loopback_door: Callable[[str], Door], host: str) -> None:
    taken = loopback_door(host).listen
    with bind(taken) as live:
        live.listen()
        with pytest.raises(ServiceError, match="something else listens there; choose another port"):
            bind(taken)


@pytest.mark.parametrize(
    ("host", "inside"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("192.0.2.1", False)],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, inside: bool) -> None:
    assert loopback(host) is inside


def test_a_name_is_not_loopback_whatever_it_resolves_to() -> None:
    assert not loopback("localhost")


def test_a_socket_that_was_handed_over_stays_with_whoever_gave_it(tmp_path: Path) -> None:
    with bind(at(tmp_path / "s")) as given:
        adopt(given).close()
        given.listen()


def test_a_socket_that_others_can_reach_is_not_taken_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as given:
        given.bind(("0.0.0.0", 0))
        with pytest.raises(ServiceError, match="other machines can reach"):
            adopt(given)


def test_a_datagram_socket_is_not_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as given:
        given.bind(str(tmp_path / "d"))
        with pytest.raises(ServiceError, match="no stream socket"):
            adopt(given)


def read(**table: object) -> tuple[Door, list[str]]:
    problems: list[Problem] = []
    section = Section(table, ("services", 0), problems)
    door = Door.from_section(section, idle=60.0)
    section.finish()
    return door, [f"{problem.path[-1]}: {problem.message}; {problem.remedy}" for problem in problems]


def test_a_door_is_read_with_its_defaults() -> None:
    assert read(listen="unix:/run/s") == (Door(Listen(unix=Path("/run/s")), 0o660, "", 1000, 60.0), [])


def test_a_door_is_read_with_all_its_keys() -> None:
    assert read(listen="unix:/run/s", mode="0600", group="postfix", max_connections=7, idle="2m") == (
        Door(Listen(unix=Path("/run/s")), 0o600, "postfix", 7, 120.0),
        [],
    )


@pytest.mark.parametrize("listen", ["inet:127.0.0.1:10027", "inet:[::1]:10027"])
def test_loopback_is_a_place_to_listen(listen: str) -> None:
    door, problems = read(listen=listen)
    assert str(door.listen) == listen
    assert problems == []


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "[::]", "[2001:db8::1]"])
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    _, [problem] = read(listen=f"inet:{host}:10027")
    assert "can be reached from other machines" in problem
    assert problem.endswith("; listen on 127.0.0.1, [::1] or a unix socket")


def test_mode_and_group_are_refused_where_there_is_no_file() -> None:
    _, problems = read(listen="inet:127.0.0.1:10027", mode="0600", group="postfix")
    assert [problem.partition(";")[0] for problem in problems] == [
        "mode: only a unix socket has one",
        "group: only a unix socket has one",
    ]


def test_a_path_that_no_system_takes_is_refused() -> None:
    _, [problem] = read(listen="unix:/" + "s" * 103)
    assert problem == "listen: a unix socket's path has at most 103 bytes; choose a shorter one"
