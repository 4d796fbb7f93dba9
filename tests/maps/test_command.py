"""Running an operator's command."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from poprelay.errors import MapError
from poprelay.maps import command


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def test_arguments_reach_the_command_as_they_are_with_no_shell(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command.run(python("import sys; open(sys.argv[1], 'w').write(sys.argv[2])", str(out), "$HOME; rm *"), timeout=10)
    assert out.read_text() == "$HOME; rm *"


def test_a_failing_command_is_told_with_its_last_line_escaped() -> None:
    program = r"import sys; print('first'); print('last\x1b[31m\u202ered\n'); sys.exit(3)"
    with pytest.raises(MapError, match=r"failed \(exit code 3\): last\\x1b\[31m\\u202ered") as caught:
        command.run(python(program), timeout=10)
    assert "\x1b" not in str(caught.value)
    assert "first" not in caught.value.message.partition("failed")[2]


def test_a_command_ended_by_a_signal_is_told() -> None:
    with pytest.raises(MapError, match="signal 9"):
        command.run(python("import os; os.kill(os.getpid(), 9)"), timeout=10)


def test_a_missing_command_is_told_with_the_remedy() -> None:
    with pytest.raises(MapError, match="cannot be started: No such file or directory: correct the command"):
        command.run(["/nonexistent/postmap", "hash:/x"], timeout=10)


def test_a_hanging_command_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open(sys.argv[1], 'w').write(str(p.pid)); time.sleep(60)"
    )
    began = time.monotonic()
    with pytest.raises(MapError, match=r"did not end within 1 s and was killed"):
        command.run(python(program, str(note)), timeout=1)
    assert time.monotonic() - began < 5
    child = int(note.read_text())
    for _ in range(100):
        if is_gone(child):
            break
        time.sleep(0.02)
    assert is_gone(child)


def is_gone(pid: int) -> bool:
    """Whether it has ended; one that nobody has waited for yet has ended too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_a_command_that_closes_its_output_and_hangs_is_killed_too() -> None:
    with pytest.raises(MapError, match="did not end"):
        command.run(python("import os, time; os.close(1); os.close(2); time.sleep(60)"), timeout=0.7)


def test_a_server_that_the_command_leaves_running_is_left_alone_and_not_waited_for(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'], "
        "start_new_session=True); open(sys.argv[1], 'w').write(str(p.pid))"
    )
    began = time.monotonic()
    command.run(python(program, str(note)), timeout=20)
    assert time.monotonic() - began < 10
    server = int(note.read_text())
    assert not is_gone(server)
    os.kill(server, signal.SIGKILL)


def test_endless_output_neither_fills_the_memory_nor_escapes_the_time_limit() -> None:
    with pytest.raises(MapError, match="did not end"):
        command.run(python("while True: print('x' * 65536)"), timeout=0.5)


def test_a_command_does_not_speak_to_systemd_in_our_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    command.run(python("import os, sys; sys.exit('NOTIFY_SOCKET' in os.environ)"), timeout=10)


@pytest.mark.parametrize(
    "text", ["a < b", "a | b", "a; b", "a && b", "a > b", "a & b", "(a)", "a 2>&1", "", "  ", "a 'b"]
)
def test_a_command_that_needs_a_shell_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs a shell|empty|quotation"):
        command.parse(text)
