"""What `poprelay check` says of a config: each setting that matters is in a sentence."""

from __future__ import annotations

import pytest

from poprelay.config.load import Document
from poprelay.daemon.configure import build_config
from poprelay.daemon.sentences import listed, sentences, spoken


def say(more: str = "", relay: str = "") -> str:
    source = '[[sources]]\nkind = "file"\npath = "/v/mail.log"\nagents = ["dovecot"]'
    text = f'[relay]\nperiod = "90m"\n{relay}\n{source}\n{more}'
    document = Document(text, "poprelay.toml")
    config = build_config(document)
    document.check()
    return "\n".join(sentences(config))


def test_the_least_config_says_what_opens_for_whom_and_where_all_is_kept() -> None:
    said = say()
    assert said.startswith("A POP or IMAP login lets its address relay for 1 hour and 30 minutes.")
    for sentence in (
        "no longer than 1 day after its last sign of life",
        "Reads /v/mail.log with the agent dovecot.",
        "Opens nothing for special ranges (private, loopback and so on), this host, its gateways and what Postfix",
        "At most 20 addresses for one user, and 1,000,000 grants in all; an address with more than 200 users",
        "Keeps the ledger in /var/lib/poprelay/private/ledger.db, and its history for 90 days",
        "Takes commands on unix:/run/poprelay/control.sock; root and the daemon's own user may change things.",
        "Logs at level info and above, as text, to stderr.",
        "Leaves the maps as they are when it stops",
    ):
        assert sentence in said


@pytest.mark.parametrize(
    ("relay", "sentence"),
    [
        ("require_tls = true", "A POP or IMAP login that TLS protected lets"),
        ("ipv6_prefix = 64", "its address (of IPv6 the whole /64) relay"),
        ('allow_networks = ["10.0.0.0/8"]', "But opens for 10.0.0.0/8 nevertheless."),
        ('deny_networks = ["9.9.9.9/32"]', "Never opens for 9.9.9.9."),
        ('deny_users = ["eve"]', "Never opens for the user eve."),
        ('deny_users = ["eve", "bob"]', "Never opens for the users bob and eve."),
        ('exclude_networks = ["9.9.9.0/24"]', "this host, its gateways and 9.9.9.0/24."),
    ],
)
def test_each_rule_is_said(relay: str, sentence: str) -> None:
    assert sentence in say(relay=relay)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ('[[maps]]\nkind = "lmdb"\npath = "/v/r.lmdb"', "Keeps the lmdb map /v/r.lmdb equal to the ledger."),
        ('[[services]]\nkind = "policy"\nlisten = "unix:/v/p"', "Answers policy questions on unix:/v/p."),
        ('[[standing]]\naddress = "9.9.9.9"\nuser = "printer"', "9.9.9.9 (printer) may always relay."),
        ('[[sources]]\nkind = "journal"\nagents = ["courier"]', "Reads the journal with the agent courier."),
        ('[daemon]\non_stop = "empty"', "Empties the maps when it stops."),
        ('[daemon]\non_stop = "wipe"', "Closes every grant when it is stopped, and empties the maps."),
        ('[control]\nwriters = ["ann"]', "root, the daemon's own user and ann may change things."),
        ('[log]\nformat = "json"\nto = "syslog"', "Logs at level info and above, as JSON, to syslog."),
        ('[metrics]\nlisten = "inet:127.0.0.1:9797"', "Shows its metrics to this machine on inet:127.0.0.1:9797."),
    ],
)
def test_each_part_is_said(more: str, sentence: str) -> None:
    assert sentence in say(more)


def test_spans_and_lists_are_spoken() -> None:
    assert [spoken(seconds) for seconds in (1, 61, 90_061)] == [
        "1 second",
        "1 minute and 1 second",
        "1 day, 1 hour, 1 minute and 1 second",
    ]
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]
