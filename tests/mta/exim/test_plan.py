from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from mta.exim.conftest import Made
from poprelay.errors import MtaError
from poprelay.mta import Part
from poprelay.mta.exim import Exim
from poprelay.mta.exim.acl import Clause
from poprelay.mta.exim.asking import question
from poprelay.mta.exim.instance import Instance

CONFIGS = Path(__file__).parent / "configs"
SPOOL = "condition = ${if exists{/var/lib/poprelay/spool/$sender_host_address}}"


def planned(monkeypatch: pytest.MonkeyPatch, instance: Instance, kind: str = "spool") -> str:
    """The config as it would be."""
    monkeypatch.setattr(Instance, "read", classmethod(lambda _: instance))
    [edit] = Exim().plan(kind).edits
    assert edit.path == instance.config
    return edit.content.decode()


def added(before: str, after: str) -> tuple[str, str]:
    """What is new, as one line, and the first line behind it; the rest is as it was."""
    old, new = before.splitlines(), after.splitlines()
    first = next(number for number, line in enumerate(new) if number >= len(old) or line != old[number])
    count = len(new) - len(old)
    assert new[:first] + new[first + count :] == old
    words = [line.strip() for line in new[first : first + count] if line.strip()]
    return " / ".join(words[1:]), new[first + count].strip()


@pytest.mark.parametrize(
    ("name", "stops", "only", "behind"),
    [
        (
            "upstream.conf",
            "require message",
            "!domains = +local_domains : +relay_to_domains / ",
            "# The list of domains goes on in a second line.",
        ),
        ("old.conf", "deny   message", "", "# all others"),
        (
            "denies-others.conf",
            "deny domains",
            "domains = !site.test : !backup.test / ",
            "deny domains = !site.test : !backup.test",
        ),
        ("silent.conf", "", "", "begin routers"),
    ],
)
def test_the_question_stands_before_what_refuses_strangers(
    made: Made, monkeypatch: pytest.MonkeyPatch, name: str, stops: str, only: str, behind: str
) -> None:
    text = (CONFIGS / name).read_text()
    new, next_ = added(text, planned(monkeypatch, made(text, stops=stops)))
    assert new == f"accept / {only}{SPOOL} / control = submission/sender_retain"
    assert next_ == behind


def test_a_socket_is_asked_once_and_what_it_cannot_tell_is_deferred(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (CONFIGS / "upstream.conf").read_text()
    new, _ = added(text, planned(monkeypatch, made(text), "readsocket"))
    assert new.count("readsocket{/var/lib/poprelay/exim/readsocket}{$sender_host_address\\n}{2s}{}{unavailable}") == 1
    assert new.count("!domains = +local_domains : +relay_to_domains") == 3
    assert "accept / !domains = +local_domains : +relay_to_domains / condition = ${if eq{$acl_m_poprelay}{yes}}" in new
    assert "condition = ${if !eq{$acl_m_poprelay}{no}}" in new


def test_lists_of_hosts_are_asked_by_address(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (CONFIGS / "upstream.conf").read_text()
    instance = made(text)
    assert "hosts = net-iplsearch;/var/lib/poprelay/relay.iplsearch" in planned(monkeypatch, instance, "iplsearch")
    assert "hosts = /var/lib/poprelay/relay.hosts" in planned(monkeypatch, instance, "hosts")


def test_what_asks_already_is_left_alone(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (CONFIGS / "upstream.conf").read_text()
    asking = planned(monkeypatch, made(text))
    made(asking)
    instance = made(asking)
    monkeypatch.setattr(Instance, "read", classmethod(lambda _: instance))
    assert Exim().plan("spool").edits == ()


@pytest.mark.parametrize(
    ("stops", "said", "message"),
    [
        ("require message", "250 Accepted", "may relay already"),
        ("require verify", "550 no", "cannot be told where our question belongs"),
    ],
)
def test_where_it_is_not_clear_what_refuses_strangers_nothing_is_planned(
    made: Made, monkeypatch: pytest.MonkeyPatch, stops: str, said: str, message: str
) -> None:
    with pytest.raises(MtaError, match=message):
        planned(monkeypatch, made((CONFIGS / "upstream.conf").read_text(), stops=stops, said=said))


def test_a_list_whose_name_is_worked_out_is_not_touched(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = made((CONFIGS / "silent.conf").read_text(), values={"acl_smtp_rcpt": "${if eq{1}{1}{rcpt}}"})
    with pytest.raises(MtaError, match="not the name of a list"):
        planned(monkeypatch, instance)


def test_the_page_shows_what_is_written() -> None:
    page = (Path(__file__).parents[3] / "docs/mta/exim.md").read_text()
    others = Clause("domains", "+local_domains : +relay_to_domains", negated=True)
    for part in (
        Part("map", "spool", "/var/lib/poprelay/spool"),
        Part("service", "readsocket", "unix:/var/lib/poprelay/exim/readsocket"),
    ):
        assert indent(question(part, others), "  ") in page
    accept = question(Part("map", "exim", "/var/lib/poprelay/relay.iplsearch"), others).partition("\n")[2]
    assert indent(accept, "  ") in page
