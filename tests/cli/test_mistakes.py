"""What was typed wrongly, and what cannot be read: exit codes that a script can tell from 'no'."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from poprelay.cli.main import run

LINE = b"Nov 23 12:00:00 mx dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=9.9.9.9, lip=1.1.1.1, mpid=1\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["match", "/nonexistent"], "/nonexistent cannot be read: No such file or directory"),
        (["replay", "/nonexistent"], "/nonexistent cannot be read: No such file or directory"),
        (["match", "/dev/null", "--agent", "dovecott"], "there is no agent 'dovecott': did you mean 'dovecot'?"),
        (["agents", "dovecott"], "there is no agent 'dovecott': did you mean 'dovecot'?"),
        (["list", "--address", "127.0.0.1/9"], "'127.0.0.1/9' is not one full IPv4 or IPv6 address"),
        (["list", "--address", "2620:fe::9/64"], "'2620:fe::9/64' is not one full IPv4 or IPv6 address"),
        (["allow", "9.9.9"], "'9.9.9' is not one full IPv4 or IPv6 address"),
        (["allow", "9.9.9.9", "--for", "soon"], "'soon' is not a span"),
        (["matsch"], "there is no command 'matsch'; did you mean match?"),
        (["list", "--user"], "requires an argument; see: poprelay list --help"),
        (["check", "x.toml"], "a config is named with -c; see: poprelay check --help"),
        (["doctor", "postfixx"], "there is no MTA 'postfixx' that we know"),
        (["doctor", "--mta-config", "/etc/postfix"], "name the MTA, too"),
        (["doctor", "sendmail", "--mta-config", "/etc/mail"], "sendmail has one config only"),
    ],
)
def test_a_mistake_is_usage_and_says_what_is_meant(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", [["match"], ["replay", "-c", "{place}/poprelay.toml"]])
@pytest.mark.parametrize(("mode", "who"), [(0o640, "as root, or as a member of the group adm"), (0o600, "as root")])
def test_a_log_that_may_not_be_read_names_who_may(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: list[str],
    mode: int,
    who: str,
) -> None:
    log = tmp_path / "mail.log"
    log.touch(mode)
    if not log.stat().st_gid:
        os.chown(log, -1, 4)
    source = '[[sources]]\nkind = "stdin"\nagents = ["dovecot"]\n'
    (tmp_path / "poprelay.toml").write_text(f'[relay]\nperiod = "30m"\n{source}')

    def refuse(name: str) -> None:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("poprelay.sources.archive.io.FileIO", refuse)
    monkeypatch.setattr("poprelay.cli.reading.getgrgid", lambda number: SimpleNamespace(gr_name="adm"))
    assert run([*(word.format(place=tmp_path) for word in command), str(log)]) == 77
    assert capsys.readouterr().err == f"poprelay: {log} cannot be read: Permission denied: run it {who}\n"


@pytest.mark.parametrize("command", ["match", "replay"])
def test_a_damaged_log_is_neither_a_login_nor_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    log = tmp_path / "mail.log.gz"
    log.write_bytes(gzip.compress(LINE * 20_000)[:-200])
    assert run([command, str(log)]) == 65
    assert "cannot be read to its end" in capsys.readouterr().err


def test_a_granted_network_may_be_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["list", "--address", "2620:fe::/64", "-c", str(tmp_path / "none.toml")]) == 78
    assert "there is no such file" in capsys.readouterr().err
