"""Whose entries count: the account and the unit, which nobody can choose, and what may not be missing."""

from __future__ import annotations

import pytest

from poprelay.errors import SourceError
from poprelay.sources.journaltrust import Choice, Entry, Speakers


def origin(**fields: object) -> Entry:
    usual = {"uid": "0", "command": "popd", "unit": "popd.service", "transport": "syslog"}
    return Entry(cursor="x", **{**usual, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("speakers", "said", "may"),
    [
        (Speakers(), {}, True),
        (Speakers(), {"transport": "journal"}, True),
        (Speakers(), {"transport": "stdout"}, False),
        (Speakers(), {"transport": "kernel"}, False),
        (Speakers(), {"transport": None}, False),
        (Speakers(), {"uid": "1000"}, False),
        (Speakers(), {"uid": "33"}, False),
        (Speakers(), {"uid": None}, False),
        (Speakers(), {"uid": ["0", "0"]}, False),
        (Speakers(), {"uid": "٠"}, False),
        (Speakers(), {"command": "logger"}, False),
        (Speakers(), {"command": None}, False),
        (Speakers(), {"unit": None}, True),
        (Speakers(uids=frozenset({8})), {"uid": "8"}, True),
        (Speakers(uids=frozenset({8})), {"uid": "0"}, False),
        (Speakers(uids=None, units=("imap@*.service",)), {"unit": "imap@1.service", "uid": "1000"}, True),
        (Speakers(uids=None, units=("imap@*.service",)), {"unit": "imap.service"}, False),
        (Speakers(uids=None, units=("imap@*.service",)), {"unit": None}, False),
        (Speakers(units=("popd.service",)), {"uid": "1000"}, False),
        (Speakers(servers=("popd.service",)), {"uid": "1000"}, True),
        (Speakers(servers=("popd.service",)), {"uid": "1000", "unit": "cron.service"}, False),
        (Speakers(servers=("popd.service",)), {"uid": "1000", "unit": None}, False),
        (Speakers(servers=("popd.service",)), {"unit": "cron.service"}, True),
        (Speakers(servers=("popd.service",)), {"uid": "1000", "command": "logger"}, False),
        (Speakers(commands=frozenset({"log"})), {"command": "log"}, True),
        (Speakers(commands=frozenset({"log"})), {"command": "popd"}, False),
        (Speakers(commands=frozenset({"logger"})), {"command": "logger"}, True),
    ],
)
def test_who_may_speak(speakers: Speakers, said: dict[str, object], may: bool) -> None:
    assert speakers.may(origin(**said)) is may


def test_root_and_the_servers_own_accounts_and_units_may_speak_unless_the_config_says_otherwise() -> None:
    assert Choice().speakers() == Speakers(frozenset({0}))
    assert Choice(accounts=("daemon", "no-such-account")).speakers().uids == frozenset({0, 1})
    assert Choice(uids=("8", "daemon"), accounts=("root",)).speakers().uids == frozenset({8, 1})
    assert Choice(servers=("popd.service",)).speakers() == Speakers(servers=("popd.service",))
    assert Choice(units=("a",), servers=("b",)).speakers() == Speakers(None, units=("a",))
    everything = Choice(uids=("8",), units=("a",), commands=("b",), servers=("c",)).speakers()
    assert everything == Speakers(frozenset({8}), (), ("a",), frozenset({"b"}))
    with pytest.raises(SourceError, match="no user 'no-such-account': correct uids"):
        Choice(uids=("no-such-account",)).speakers()
