"""What systemd is told, and what it hands over."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from poprelay.daemon import systemd


def test_readiness_is_told_to_whoever_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        assert systemd.notify("READY=1", "STATUS=well", environ={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert manager.recv(100) == b"READY=1\nSTATUS=well"


def test_nobody_listening_is_no_error(tmp_path: Path) -> None:
    assert not systemd.notify("READY=1", environ={})
    assert not systemd.notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "none")})


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    assert systemd.activated_sockets({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1)}) == {}


def test_activated_sockets_are_found_by_where_they_listen_and_taken_once(tmp_path: Path) -> None:
    script = (
        "import os; os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "from poprelay.daemon.systemd import activated_sockets\n"
        "print(sorted(activated_sockets()), activated_sockets(), 'LISTEN_FDS' in os.environ)"
    )
    with socket.socket(socket.AF_UNIX) as unix, socket.socket(socket.AF_INET6) as inet:
        unix.bind(str(tmp_path / "s"))
        unix.listen()
        inet.bind(("::1", 0))
        inet.listen()
        port = inet.getsockname()[1]
        handed: list[int] = []

        def high(sock: socket.socket) -> str:
            handed.append(fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, 50))
            return str(handed[-1])

        shell = 'exec 3<&"$2" 4<&"$3"; exec "$0" -c "$1"'
        command = ["bash", "-c", shell, sys.executable, script, high(unix), high(inet)]
        done = subprocess.run(
            command, pass_fds=tuple(handed), env={**os.environ, "LISTEN_FDS": "2"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout == f"['inet:[::1]:{port}', 'unix:{tmp_path}/s'] {{}} False\n", done.stderr
        for fd in handed:
            os.close(fd)


def test_without_a_descriptor_it_is_no_error_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", refuse)
    assert not systemd.notify("WATCHDOG=1", environ={"NOTIFY_SOCKET": "/run/notify"})
