"""The operator's own agents: how they read, beyond what is refused (see tests/config/refused)."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from poprelay.agents.base import Agent
from poprelay.config.load import Document
from poprelay.daemon.agents.ownagents import OwnAgents, read_agents
from poprelay.model import Event, Logout
from poprelay.scan import Scanner

NOW = 1796000000.0  # 2026-11-29
AT = "Nov 23 12:18:10 mx"


def own(text: str) -> OwnAgents:
    document = Document(text, "x.toml")
    found = read_agents(document.root)
    document.check()
    return found


def agent(text: str, name: str) -> Agent:
    found = own(text).agents[name]
    assert found is not None
    return found


def seen(agent: Agent, lines: Sequence[str]) -> list[Event]:
    block = "".join(f"{line}\n" for line in lines).encode()
    return Scanner([agent], source="log", zone=ZoneInfo("UTC")).scan(block, now=NOW, horizon=NOW).events


OPEN = """
[[agents]]
name = "oursite"
program = "popd"
login = '''login ok user=(?P<user>[^ ]+) from=(?P<address>[0-9a-fA-F.:]+)'''
"""


def test_an_open_end_is_taken_whatever_follows_but_not_where_a_name_could_have_held_it() -> None:
    lines = [
        f"{AT} popd: login ok user=ann from=192.0.2.7",
        f"{AT} popd: login ok user=bob from=2001:DB8::7 in 3 ms",
        f"{AT} popd: login ok user=x from=192.0.2.66 from=203.0.113.9",
        f"{AT} popd: login ok user=x from=192.0.2.66 y from=203.0.113.9 in 3 ms",
    ]
    assert [(event.user, event.address) for event in seen(agent(OPEN, "oursite"), lines)] == [
        ("ann", "192.0.2.7"),
        ("bob", "2001:db8::7"),
    ]
    (doubt,) = own(OPEN).doubts
    assert doubt.path == ("agents", 0, "login")


def test_a_sound_pattern_is_run_as_it_is_written() -> None:
    closed = OPEN.replace(":]+)'''", ":]+)$'''")
    (pattern,) = agent(closed, "oursite").login_patterns
    assert pattern.pattern.decode() in closed
    assert own(closed).doubts == []


LIKE = """
[[agents]]
name = "dovecot-lab"
like = "dovecot"
program = "dovecot-lab"
"""
LOGIN = "imap-login: Login: user=<ann>, method=PLAIN, rip=192.0.2.7, lip=198.51.100.1, mpid=4, TLS, session=<k>"


def test_an_agent_like_another_reads_its_own_tag_only() -> None:
    lab = agent(LIKE, "dovecot-lab")
    (event,) = seen(lab, [f"{AT} dovecot-lab: {LOGIN}", f"{AT} dovecot: {LOGIN}"])
    assert (event.user, event.address, event.service, event.session, event.agent) == (
        "ann",
        "192.0.2.7",
        "imap",
        "k",
        "dovecot-lab",
    )


def test_it_has_the_other_s_logouts_and_hooks_as_well() -> None:
    lab = agent(LIKE, "dovecot-lab")
    (event,) = seen(lab, [f"{AT} dovecot-lab: imap(ann)<4><k>: Disconnected: Logged out in=1 out=2"])
    assert isinstance(event, Logout)
    assert lab.tls("TLS") is True
    assert lab.tls("secured") is None


def test_services_say_what_a_word_of_the_log_means_and_the_others_stay() -> None:
    text = """
[[agents]]
name = "uw-lab"
like = "uw-imap"
program = ["ipop3d", "imapd-lab"]
services = { "imapd-lab" = "imap" }
"""
    line = "Login user=ann host=mx.example.net [192.0.2.7]"
    events = seen(agent(text, "uw-lab"), [f"{AT} ipop3d[7]: {line}", f"{AT} imapd-lab[7]: {line}"])
    assert [event.service for event in events] == ["pop3", "imap"]


def test_an_own_agent_may_be_like_an_own_one() -> None:
    text = OPEN + '[[agents]]\nname = "second"\nlike = "oursite"\nprogram = "popd2"\n'
    lines = [f"{AT} popd2: login ok user={name} from=192.0.2.7" for name in ("ann", "x from=192.0.2.66")]
    assert [event.user for event in seen(agent(text, "second"), lines)] == ["ann"]
