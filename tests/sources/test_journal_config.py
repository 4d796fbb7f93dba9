"""What a config may say of the journal, and which command comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.agents import catalog
from poprelay.config.problem import Problem
from poprelay.config.section import Section
from poprelay.sources.journal import JournalSource
from poprelay.sources.journalctl import Journal


def configured(*agents: str, **keys: object) -> tuple[JournalSource, list[Problem]]:
    problems: list[Problem] = []
    section = Section({"kind": "journal", "agents": [*agents], **keys}, ("sources", 0), problems)
    section.text("kind")
    section.texts("agents")
    source = JournalSource.from_section(section, [catalog.find(name) for name in agents])
    section.finish()
    return source, problems


def test_a_config_names_the_journal_and_who_may_speak() -> None:
    source, problems = configured("dovecot", hosts=["mx"], uids=["0", "mail"], units=["a"], commands=["log"])
    assert problems == []
    assert source.name == "journal"
    assert source.state()["state"] == "waiting"
    assert configured("dovecot", directory="/var/log/journal/remote")[0].name == "/var/log/journal/remote"
    assert configured("dovecot", namespace="mail")[0].name == "journal mail"
    assert configured("dovecot", name="here")[0].name == "here"


@pytest.mark.parametrize(
    ("agent", "keys", "key", "message"),
    [
        ("dovecot", {"directory": "journal"}, "directory", "'journal' is not"),
        ("dovecot", {"directory": "/a", "namespace": "b"}, "namespace", "directory says already which journal"),
        ("dovecot", {"uids": ["4294967295"]}, "uids", "4294967295 is no user id"),
        ("dovecot", {"uids": [0]}, "uids", "must be text"),
        ("dovecot", {"units": ["a", "a"]}, "units", "is there twice"),
        ("dovecot", {"timezone": "UTC"}, "timezone", "is not known here"),
        ("exchange", {}, "agents", "exchange is for a log of the server's own, which is not in the journal"),
    ],
)
def test_a_config_that_the_journal_cannot_serve_is_refused(
    agent: str, keys: dict[str, object], key: str, message: str
) -> None:
    _, problems = configured(agent, **keys)
    assert [(each.path[2], message in each.message) for each in problems] == [(key, True)], problems


def test_a_directory_is_read_with_all_hosts_and_boots_in_it() -> None:
    command = Journal(Path("/j")).command("--follow", programs=("a", "b"))
    assert {"--directory=/j", "--merge", "SYSLOG_IDENTIFIER=a", "SYSLOG_IDENTIFIER=b"} <= {*command}
    assert "--namespace=mail" in Journal(namespace="mail").command()
    assert "--merge" not in Journal(namespace="mail").command()
