"""`poprelay agents`, and `poprelay agents lint`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from poprelay.agents import catalog
from poprelay.cli.main import run

CONFIG = Path(__file__).parents[1] / "config"
AGENT = """
import poprelay

class Tiny(poprelay.Agent):
    name = "tiny"
    program = "tinyd"
    login = r"(?P<user>[^ ]+) came from (?P<address>[0-9.]+)"
"""

END = "its end is open, and what tells a login from a failure stands behind what a client wrote"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["agents", *arguments])
    return code, *capsys.readouterr()


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_agent_is_listed_with_a_line_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys)
    assert code == 0
    assert [line.partition(": ")[0] for line in out.splitlines()] == list(catalog.names())
    assert all(line.partition(": ")[2] for line in out.splitlines())


def test_one_agent_is_shown_with_its_programs_patterns_and_samples(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "vpop3d")
    assert code == 0
    assert "programs: vpop3d" in out
    assert r"\) Authenticated\.?$" in out
    assert "#= login user=ann" in out


def test_an_agent_says_which_versions_it_knows_what_to_switch_on_and_what_is_not_safe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = said(capsys, "nginx-mail")
    assert "\nversions: seen: nginx 1.22" in out
    assert "\nswitch on: Level info" in out
    assert "\nnot safe: Its own file" in out
    assert "\na newline in a user name: logged as it is; not safe" in out
    assert "\na newline in a user name: replaced" in said(capsys, "dovecot")[1]
    assert "\na newline in a user name: not known" in said(capsys, "vpop3d")[1]


def test_an_unknown_agent_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "dovecto")
    assert (code, out) == (2, "")
    assert "did you mean 'dovecot'?" in err


def test_lint_takes_a_config_as_its_file_and_ignores_none(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "lint", "-c", "/etc/poprelay/poprelay.toml")
    assert code == 2
    assert "poprelay agents lint /etc/poprelay/poprelay.toml" in err


def test_only_lint_takes_a_second_word(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "dovecot", "vpop3d")
    assert code == 2
    assert "'vpop3d'" in err


def test_an_agent_without_a_fault_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "lint", "vpop3d") == (0, "vpop3d: well\n", "")
    code, out, _ = said(capsys, "lint", "vpop3d", "--json")
    assert (code, rows(out)) == (0, [{"agent": "vpop3d", "file": None, "severity": None}])


def test_all_agents_are_checked_without_a_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "BUILTIN", {name: catalog.BUILTIN[name] for name in ("uw-imap", "vpop3d")})
    assert said(capsys, "lint") == (0, "uw-imap: well\nvpop3d: well\n", "")


def test_a_fault_is_shown_with_its_place_its_reason_and_a_mended_pattern(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "tiny.py"
    file.write_text(AGENT)
    code, out, _ = said(capsys, "lint", str(file))
    assert code == 1
    assert out.splitlines()[:6] == [
        f"{file}: tiny: error: login: {END}",
        r"      (?P<user>[^ ]+) came from (?P<address>[0-9.]+)",
        r"                                                    ^",
        "    a failed login whose user name holds all of that is taken",
        "    mend it: say all of the message and end it in $",
        r"      (?P<user>[^ ]+) came from (?P<address>[0-9.]+)$",
    ]
    assert f"{file}: tiny: error: samples: there is no attack" in out
    code, out, _ = said(capsys, "lint", str(file), "--json")
    first = rows(out)[0]
    assert (code, first["severity"], first["about"], first["place"]) == (1, "error", "end", 46)
    assert first["rewritten"] == first["pattern"] + "$"


def test_a_doubt_alone_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "lint", str(CONFIG / "accepted" / "agent-with-an-open-end.toml"))
    assert code == 0
    assert "oursite: warning: login: its end is open" in out


@pytest.mark.parametrize(
    ("file", "about"),
    [
        ("agent-pattern-can-be-fooled", "forgery"),
        ("agent-pattern-backtracks", "backtracking"),
        ("agent-pattern-end-open", "end"),
        ("agent-pattern-is-no-expression", "config"),
        ("agent-pattern-without-own-text", "config"),
        ("agent-incomplete", "config"),
    ],
)
def test_a_config_s_own_agents_are_checked(capsys: pytest.CaptureFixture[str], file: str, about: str) -> None:
    path = CONFIG / "refused" / f"{file}.toml"
    code, out, _ = said(capsys, "lint", str(path), "--json")
    found = rows(out)
    assert code == 1
    assert about in {row["about"] for row in found}
    assert len({row["message"] for row in found}) == len(found)
    assert all(row["file"].startswith(f"{path}:") for row in found)


def test_what_cannot_be_run_or_is_not_there_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("class A(")
    code, out, _ = said(capsys, "lint", str(file))
    assert code == 1
    assert "was never closed" in out
    code, _, err = said(capsys, "lint", str(tmp_path / "none.py"))
    assert code == 78
    assert f"there is no file {tmp_path}/none.py" in err
    code, _, err = said(capsys, "lint", str(tmp_path / "none.toml"))
    assert (code, f"there is no file {tmp_path}/none.toml: name an agent" in err) == (78, True)
    code, _, err = said(capsys, "lint", "none.py")
    assert (code, "there is no file none.py" in err) == (78, True)
    code, _, err = said(capsys, "lint", "dovecto")
    assert (code, "there is no file 'dovecto', and no agent of that name: did you mean" in err) == (78, True)


def test_a_config_without_agents_of_its_own_is_no_input_for_lint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "poprelay.toml"
    file.write_text('[relay]\nperiod = "30m"\n')
    code, out, err = said(capsys, "lint", str(file))
    assert (code, out) == (78, "")
    assert f"{file} has no [[agents]]" in err


def test_every_file_of_a_directory_is_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(AGENT)
    (tmp_path / "b.py").write_text(AGENT.replace("tiny", "b"))
    _, out, _ = said(capsys, "lint", str(tmp_path), "--json")
    assert {row["agent"] for row in rows(out)} == {"tiny", "b"}
    (tmp_path / "empty").mkdir()
    assert said(capsys, "lint", str(tmp_path / "empty"))[0] == 78


def test_an_agent_that_the_engine_cannot_make_is_one_finding(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "tiny.py"
    file.write_text(AGENT.replace("P<user>", "P<usr>"))
    code, out, _ = said(capsys, "lint", str(file), "--json")
    (row,) = rows(out)
    assert (code, row["about"], row["place"]) == (1, "pattern", 0)
    assert "did you mean 'user'?" in row["remedy"]


def test_a_config_s_agents_are_listed_too(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(CONFIG / "accepted" / "agent-like-another.toml")
    code, out, _ = said(capsys, "-c", config)
    assert code == 0
    assert (
        out.splitlines()[0]
        == "dovecot-lab: Dovecot. `program` is the syslog tag: the `instance_name`, if that was changed."
    )
    code, out, _ = said(capsys, "uw-lab", "-c", config)
    assert "programs: ipop3d-lab, imapd-lab" in out
