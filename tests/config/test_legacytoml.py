"""A Mail::POPRelay config as TOML."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from poprelay.config.legacy import DEFAULTS, KNOWN, read_legacy
from poprelay.config.legacytoml import to_toml

LEAST = "mailRelayFile = /etc/mail/access\nmailRelayPeriod = 3600\n"


def toml(text: str = "", agent: str | None = None) -> str:
    return to_toml(read_legacy(LEAST + text, "old.conf"), agent)


def table(text: str = "", agent: str | None = None) -> dict[str, Any]:
    return tomllib.loads(toml(text, agent))


def test_it_is_one_source_a_spool_and_a_relay_file_with_the_ledger_in_the_spool() -> None:
    found = table("mailRelayDirectory = /srv/spool")
    assert found["relay"]["period"] == "3600s"
    assert [one["path"] for one in found["sources"]] == ["/var/log/maillog"]
    assert [(one["kind"], one["path"]) for one in found["maps"]] == [
        ("spool", "/srv/spool"),
        ("text", "/etc/mail/access"),
    ]
    assert found["ledger"]["path"] == "/srv/spool/.ledger.db"
    assert found["control"]["listen"] == "unix:/srv/spool/.control.sock"
    assert found["daemon"]["on_stop"] == "wipe"


def test_the_database_command_comes_before_the_restart() -> None:
    commands = table("mailRelayIsDatabase = 1\nmailProgramRestart = 1")["maps"][1]["commands"]
    assert commands == [
        {"run": ["/usr/sbin/makemap", "hash", "/etc/mail/access"], "stdin": "/etc/mail/access"},
        {"run": ["/etc/init.d/sendmail", "restart"]},
    ]


@pytest.mark.parametrize(
    ("agent", "ours"),
    [
        ("ipop3d", ["uw-imap"]),
        ("qpopper", ["qpopper-stats", "qpopper"]),
        ("vpopd", ["vpop3d"]),
        ("oursite", ["oursite"]),
        (None, ["uw-imap", "qpopper-stats", "qpopper", "vpop3d"]),
    ],
)
def test_each_old_command_has_its_agents(agent: str | None, ours: list[str]) -> None:
    assert table("", agent)["sources"][0]["agents"] == ours


@pytest.mark.parametrize(("expression", "agent"), KNOWN.items())
def test_the_originals_own_expressions_become_our_anchored_agents(expression: str, agent: str) -> None:
    found = table(f"mailLogRegExp = {expression}", "another")
    assert found["sources"][0]["agents"] == table("", agent)["sources"][0]["agents"]
    assert all("line" not in one for one in found.get("agents", ()))


def test_another_expression_becomes_an_agent_for_lines_with_a_warning_and_the_anchored_form() -> None:
    text = toml(r"mailLogRegExp = popd: .+user=(\w+) from (\d+\.\d+\.\d+\.\d+)", "ipop3d")
    found = tomllib.loads(text)
    assert found["sources"][0]["agents"] == ["mailLogRegExp"]
    assert found["agents"] == [{"name": "mailLogRegExp", "line": r"popd: .+user=(\w+) from (\d+\.\d+\.\d+\.\d+)"}]
    assert "# Warning: it is forgeable: " in text
    assert "# program = \"popd\"\n# login = '(?:[^ =]+ )*user=(?P<user>\\w+) from (?P<address>[0-9a-fA-F.:]+)$'" in text


@pytest.mark.parametrize("flags", ["", "mailRelayIsDatabase = 1\nmailProgramRestart = 1\n"])
def test_a_comment_says_of_every_option_that_was_given_what_became_of_it(flags: str) -> None:
    values = {option: default or "x" for option, default in DEFAULTS.items()} | {
        "mailRelayFile": "/etc/mail/access",
        "mailRelayFileFormat": "%i RELAY",
        "mailRelayPeriod": "60",
        "mailLogRegExp": r"popd (\w+) ([\d.]+)",
        "mailRelayIsDatabase": "0",
        "mailProgramRestart": "0",
    }
    text = toml("\n".join(f"{name} = {value}" for name, value in values.items()) + "\n" + flags)
    comments = " ".join(line.removeprefix("# ") for line in text.split("\n") if line.startswith("#"))
    for option in DEFAULTS:
        assert f"{option} = " in comments, option
        assert "; " in comments.split(f"{option} = ", 1)[1]


def test_nothing_in_a_value_gets_out_of_its_comment_or_string() -> None:
    evil = 'x"\u2028[relay]\\'
    found = tomllib.loads(
        toml(f"mailLogFile = /{evil}\nmailProgramRestart = 1\nmailProgramRestartCommand = a {evil}\x1bx")
    )
    assert found["sources"][0]["path"] == f"/{evil}"
    assert set(found) == {"relay", "sources", "agents", "maps", "ledger", "control", "daemon"}


def test_a_control_socket_whose_path_would_be_too_long_lies_elsewhere() -> None:
    listen = table(f"mailRelayDirectory = /{'x' * 100}")["control"]["listen"]
    assert listen.startswith("unix:/run/poprelay-")
