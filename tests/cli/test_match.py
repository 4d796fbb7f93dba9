"""`poprelay match`: events, counts, and what it says where it saw no login."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from poprelay.cli import hints, reading
from poprelay.cli.main import run

AT = "Nov 23 12:18:10 mx"
LOGIN = "imap-login: Login: user=<ann>, method=PLAIN, rip=192.0.2.7, lip=198.51.100.1, mpid=4, TLS, session=<k>"
NEARLY = "imap-login: Login: user=<ann>, method=PLAIN, rip=nowhere, lip=198.51.100.1"
UW = "imapd[7]: Login user=bob host=mx.example.net [192.0.2.8]"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "mail.log"


def matched(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], str]:
    code = run(["match", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def rows(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_each_login_is_one_line_and_nothing_is_hinted(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    log.write_text(f"{AT} dovecot: {LOGIN}\n{AT} {UW}\n")
    code, lines, err = matched(capsys, log, "--timezone", "UTC")
    assert (code, err) == (0, "")
    assert lines[0].endswith(" user=ann address=192.0.2.7 service=imap tls=yes session=k agent=dovecot")
    assert lines[1].startswith(f"{log}:2: login ")


def test_near_misses_are_hinted_at_and_shown_when_asked_for(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    log.write_text(f"{AT} dovecot: {LOGIN}\n{AT} dovecot: {NEARLY}\n")
    code, lines, err = matched(capsys, log)
    assert (code, len(lines)) == (0, 1)
    assert err == "poprelay: 1 line looks like a login but matches nothing; --near-misses shows them\n"
    code, lines, err = matched(capsys, log, "--near-misses")
    assert lines[1] == f"{log}:2: unmatched {AT} dovecot: {NEARLY}"
    assert err == ""


def test_an_agent_that_sees_nothing_is_told_which_others_do(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    log.write_text(f"{AT} dovecot: {LOGIN}\n{AT} dovecot: {LOGIN}\n{AT} {UW}\n")
    code, lines, err = matched(capsys, log, "--agent", "vpop3d")
    assert (code, lines) == (1, [])
    assert err == "poprelay: did you mean the agent dovecot, which sees 2 logins, or uw-imap, which sees 1 login?\n"


def test_so_it_is_with_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{AT} dovecot: {LOGIN}\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    code, _, err = matched(capsys, "-", "--agent", "vpop3d", "--summary")
    assert code == 1
    assert err == "poprelay: did you mean the agent dovecot, which sees 1 login?\n"


def test_a_server_under_another_name_is_recognised_by_its_lines(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    log.write_text(f"{AT} dovecot-lab: {LOGIN}\n{AT} sshd[7]: Accepted login for ann from 192.0.2.7\n")
    code, _, err = matched(capsys, log)
    assert code == 1
    assert err == (
        "poprelay: dovecot-lab writes a line that looks like a login, and no agent reads it; "
        'dovecot would: write [[agents]] with like = "dovecot" and program = "dovecot-lab"\n'
    )


def test_a_server_that_nobody_knows_is_named(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    log.write_text(f"{AT} popd[7]: ann logged in from 192.0.2.7\n{AT} popd[7]: login failed for x from 192.0.2.7\n")
    code, _, err = matched(capsys, log)
    assert code == 1
    assert err.startswith(
        "poprelay: popd writes a line that looks like a login, and no agent reads it; write [[agents]]"
    )


def test_a_server_that_logs_no_address_is_not_asked_a_pattern_for(
    capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    log.write_text(f"{AT} imap4d[7]: Incoming connection opened from 192.0.2.7\n")
    code, _, err = matched(capsys, log)
    assert code == 1
    assert err == (
        "poprelay: imap4d writes a line that looks like a login, and no agent reads it; "
        "GNU mailutils does not log from where a login comes, so none can count\n"
    )


def test_a_log_without_anything_gets_a_word_too(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    log.write_text(f"{AT} postfix/smtpd[7]: connect from unknown[192.0.2.7]\n")
    said = "poprelay: no agent sees a login there; see --near-misses, or write [[agents]] for a log of your own\n"
    assert matched(capsys, log) == (1, [], said)
    assert matched(capsys, log, "--near-misses")[2] == said.replace("see --near-misses, or ", "")


def test_no_hint_can_move_the_cursor(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    log.write_bytes(f"{AT} \x1b[2Jd: {LOGIN}\n".replace("[2J", "\x9b2J").encode("latin-1"))
    _, _, err = matched(capsys, log)
    assert all(character.isprintable() or character == "\n" for character in err)


def test_a_summary_counts_logins_logouts_and_near_misses_of_each_agent(
    capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    gone = f"{AT} dovecot: imap(ann)<4><k>: Disconnected: Logged out in=1 out=2\n"
    log.write_text(f"{AT} dovecot: {LOGIN}\n{gone}{AT} dovecot: {NEARLY}\n{AT} {UW}\n{AT} imapd: Login user=x host=x\n")
    code, lines, _ = matched(capsys, log, "--summary", "--json", "--agent", "dovecot", "--agent", "uw-imap")
    assert code == 0
    assert rows(lines) == [
        {"agent": "dovecot", "logins": 1, "logouts": 1, "near_misses": 1},
        {"agent": "uw-imap", "logins": 1, "logouts": 0, "near_misses": 1},
        {"unmatched": 2},
    ]
    code, lines, _ = matched(capsys, log, "--summary", "--agent", "uw-imap")
    assert lines == [
        "uw-imap: 1 logins, 0 logouts, 1 near misses",
        "1 lines look like a login but match nothing",
    ]


def test_the_agents_of_a_config_take_part(capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path) -> None:
    config = tmp_path / "poprelay.toml"
    config.write_text('[[agents]]\nname = "lab"\nlike = "dovecot"\nprogram = "dovecot-lab"\n')
    log.write_text(f"{AT} dovecot-lab: {LOGIN}\n")
    code, lines, err = matched(capsys, log, "-c", config, "--agent", "lab")
    assert (code, len(lines), err) == (0, 1, "")


def test_progress_is_shown_on_a_terminal_and_gone_at_the_end(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(reading, "EVERY", -1.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    log.write_text(f"{AT} dovecot: {LOGIN}\n" * 10)
    assert run(["match", str(log), "--summary"]) == 0
    assert "1.3/1.3 kB" in terminal.getvalue()
    assert str(log) in terminal.getvalue().replace("\n", "")


def test_no_progress_is_shown_elsewhere(
    capsys: pytest.CaptureFixture[str], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EVERY", -1.0)
    log.write_text(f"{AT} dovecot: {LOGIN}\n" * 10)
    assert matched(capsys, log, "--summary")[2] == ""


def test_hints_look_no_further_than_they_may(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_text(f"{AT} dovecot: {LOGIN}\n")
    assert [*reading.first_blocks(str(log), (), 0)] == []
    assert len([*reading.first_blocks(str(log), (), hints.SEARCHED)]) == 1
    assert [*reading.first_blocks("-", [b"a\n", b"b\n"], 1)] == [b"a\n"]
