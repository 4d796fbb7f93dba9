"""What is allowed but probably not meant; what contradicts itself is in the golden files of `tests/config/refused`."""

from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.daemon.configure import read_config

LEAST = """
[relay]
period = "{period}"
{relay}
[[sources]]
kind = "file"
path = "/v/mail.log"
agents = ["dovecot"]
[[maps]]
kind = "text"
path = "/v/relay"
{more}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "poprelay.toml"


def doubts(file: Path, more: str = "", *, relay: str = "", period: str = "30m") -> list[str]:
    if not file.exists():
        file.touch(0o640)
    file.write_text(LEAST.format(period=period, relay=relay, more=more))
    return list(read_config(file).warnings)


def test_a_plain_config_leaves_no_doubt(file: Path) -> None:
    assert doubts(file) == []


@pytest.mark.parametrize(
    ("more", "relay", "word"),
    [
        ("", 'allow_networks = ["0.0.0.0/0"]', "loopback"),
        ("", 'allow_networks = ["127.0.0.0/8"]', "loopback"),
        ('[control]\nmode = "0666"', "", "every user of this host can see who logged in"),
        ('[metrics]\nlisten = "unix:/v/m"\nmode = "0666"', "", "every user of this host can see what poprelay counts"),
        ('[[services]]\nkind = "socketmap"\nlisten = "unix:/v/s"\nvalue = "1"', "", "permits only by accident"),
        ('[control]\ngroup = "nosuchgroup"', "", "this host has no group 'nosuchgroup'"),
        ('[control]\nwriters = ["nosuchuser"]', "", "this host has no user 'nosuchuser'"),
        ('[[services]]\nkind = "policy"\nlisten = "unix:/v/p"\ngroup = "nosuchgroup"', "", "no group 'nosuchgroup'"),
    ],
)
def test_what_is_hardly_meant_is_told_with_its_place(file: Path, more: str, relay: str, word: str) -> None:
    (told,) = doubts(file, more, relay=relay)
    assert told.startswith("poprelay.toml:")
    assert word in told


def test_a_long_period_is_doubted(file: Path) -> None:
    assert doubts(file, period="1d") == []
    (told,) = doubts(file, period="2d")
    assert "somebody else's" in told


def test_a_config_that_others_may_write_is_doubted(file: Path) -> None:
    doubts(file)
    file.chmod(0o662)
    (told,) = doubts(file)
    assert "chmod go-w" in told


def test_a_server_whose_own_log_can_be_forged_is_doubted_in_a_file(file: Path) -> None:
    more = '[[sources]]\nkind = "{}"\n{}agents = ["nginx-mail"]'
    (told,) = doubts(file, more.format("file", 'path = "/v/error.log"\n'))
    assert "a client can begin a line, and forge a login" in told
    assert "see: poprelay agents nginx-mail" in told
    assert doubts(file, more.format("journal", "")) == []


def test_an_agent_that_is_like_another_is_told_with_the_name_of_that_one(file: Path) -> None:
    source = '[[sources]]\nkind = "file"\npath = "/v/error.log"\nagents = ["n2"]\n'
    agent = '[[agents]]\nname = "n2"\nlike = "nginx-mail"\nservices = { "2110" = "pop3" }'
    (told,) = doubts(file, source + agent)
    assert ("n2: in its own log" in told, "see: poprelay agents nginx-mail" in told) == (True, True)


def test_a_log_that_is_named_by_a_pattern_is_doubted(file: Path) -> None:
    (told,) = doubts(file, '[[sources]]\nkind = "file"\npath = "/v/mail*.log"\nagents = ["dovecot"]')
    assert "sources[1].path: a pattern is taken literally" in told


def test_an_agent_that_never_says_tls_is_doubted_where_tls_is_required(file: Path) -> None:
    more = '[[sources]]\nkind = "stdin"\nagents = ["dovecot", "uw-imap"]'
    assert doubts(file, more) == []
    (told,) = doubts(file, more, relay="require_tls = true")
    assert "sources[1].agents[1]: uw-imap never says whether TLS was used" in told


def test_who_tells_nobody_is_doubted(file: Path) -> None:
    file.touch(0o640)
    file.write_text(LEAST.format(period="30m", relay="", more="").partition("[[maps]]")[0])
    (told,) = read_config(file).warnings
    assert "nothing tells an MTA" in told
