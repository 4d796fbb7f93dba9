"""The command line as such: help, version, completion, and what is not understood."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from live.daemon import PROGRAM
from poprelay.cli.main import COMMANDS, run


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain"], ["explain", "mx"], ["explain", ""], ["explain", "9.9.9.9", "8.8.8.8"], ["explain", "9.9.9.09"],
        ["allow", "9.9.9.9", "--for", "soon"], ["allow", "9.9.9.9", "--for", "0s"], ["allow", "9.9.9.9", "--for"],
        ["allow", "\x1b[2J"], ["revoke"], ["revoke", "--deny", "x", "--user", "u"], ["history", "--limit", "0"],
        ["history", "--limit", "many"], ["history", "--since", "yesterday"], ["list", "--address", "9.9.9"],
        ["list", "--usr", "x"], ["completion"], ["completion", "tcsh"],
        ["replay", "-", "--allow-networks", "9.9.9.9/8"], ["lst"], ["--frobnicate"], ["list", "\udcff"],
    ],
)  # fmt: skip
def test_odd_arguments_are_refused_in_one_line_with_exit_2(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert re.fullmatch(r"poprelay: .+; see: poprelay.* --help", line)
    assert "\x1b" not in line


def test_an_unknown_command_gets_the_nearest_one_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["hystory"]) == 2
    assert "did you mean history?" in capfd.readouterr().err


def test_the_version_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"poprelay \d+\.\d+\.\d+\n", capfd.readouterr().out)


def test_help_lists_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capfd.readouterr().out
    for name, (_, line) in COMMANDS.items():
        assert name in out
        assert " ".join(line.split()[:3]) in out
    for name in COMMANDS:
        assert run([name, "--help"]) == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_script_for_each_shell(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_POPRELAY_COMPLETE" in capfd.readouterr().out


def test_completion_completes_commands_options_and_agents() -> None:
    def complete(*words: str) -> set[str]:
        line = " ".join(("poprelay", *words))
        env = {**os.environ, "_POPRELAY_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
        done = subprocess.run([str(PROGRAM)], env=env, capture_output=True, text=True, check=False)
        return {each.partition(",")[2] for each in done.stdout.splitlines()}

    assert complete("re") == {"revoke", "replay"}
    assert "--deny" in complete("revoke", "--d")
    assert complete("agents", "vp") == complete("match", "--agent", "vp") == {"vpop3d", "vpopmail"}


def in_a_shell(line: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line in which $P is our program."""
    env = {**os.environ, "P": str(PROGRAM), **environ}
    return subprocess.run(["sh", "-c", line], env=env, capture_output=True, check=False)


@pytest.mark.parametrize("line", ["$P agents >&-", "$P agents <&- >&- 2>&-", "$P status -c /nonexistent 2>&-"])
def test_a_closed_stream_is_one_that_nobody_reads(line: str) -> None:
    done = in_a_shell(line)
    assert (done.returncode, done.stdout, done.stderr) == (78 if "/nonexistent" in line else 0, b"", b"")


def test_what_the_locale_cannot_write_is_escaped(tmp_path: Path) -> None:
    said = "dovecot: imap-login: Login: user=<jörg>, method=PLAIN, rip=9.9.9.9, lip=1.1.1.1, mpid=1, TLS"
    (tmp_path / "mail.log").write_text(f"Nov 23 12:00:00 mx {said}\n")
    done = in_a_shell(f"$P match {tmp_path}/mail.log", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb" user=j\xf6rg address=9.9.9.9 " in done.stdout
