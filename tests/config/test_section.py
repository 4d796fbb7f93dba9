from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.config.listen import Listen
from poprelay.config.section import Section

Load = Callable[[str], tuple[Section, Callable[[], list[str]]]]

READERS: dict[str, tuple[Callable[[Section], Any], type]] = {
    "text": (lambda section: section.text("key"), str),
    "flag": (lambda section: section.flag("key"), bool),
    "integer": (lambda section: section.integer("key", low=3, high=9), int),
    "duration": (lambda section: section.duration("key"), float),
    "choice": (lambda section: section.choice("key", ("a", "b")), str),
    "texts": (lambda section: section.texts("key"), tuple),
    "one_or_more": (lambda section: section.one_or_more("key"), tuple),
    "file": (lambda section: section.file("key"), Path),
    "mode": (lambda section: section.mode("key", 0o600), int),
    "networks": (lambda section: section.networks("key"), tuple),
    "listen": (lambda section: section.listen("key"), Listen),
    "tables": (lambda section: section.tables("key"), list),
}


@pytest.mark.parametrize("name", READERS)
@given(
    value=st.one_of(
        st.text(max_size=8),
        st.sampled_from(["30m", "0s", "/a", "/..", "unix:/a", "inet:127.0.0.1:1", "192.0.2.0/24", "0660", "a"]),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.lists(st.one_of(st.text(max_size=3), st.integers(), st.sampled_from(["::/0", "::1%a"])), max_size=3),
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        st.dates(),
    )
)
def test_whatever_is_written_gives_a_value_of_the_right_type_and_never_an_exception(name: str, value: object) -> None:
    read, kind = READERS[name]
    section = Section({"key": value}, (), [])
    assert isinstance(read(section), kind)
    section.finish()
    assert section.sound == (not section.problems)


@pytest.mark.parametrize("name", [name for name in READERS if name not in {"mode", "networks", "tables"}])
def test_what_is_missing_gives_a_harmless_value_and_one_problem_at_the_section(name: str) -> None:
    read, kind = READERS[name]
    section = Section({}, ("maps", 0), [])
    assert isinstance(read(section), kind)
    assert [problem.path for problem in section.problems] == [("maps", 0)]
    assert section.problems[0].message == "key is missing"


def test_values_are_read_as_what_they_mean(load: Load) -> None:
    root, problems = load(
        """
        period = "90m"
        mode = "0640"
        networks = ["192.0.2.0/24", "2001:db8::/32", "9.9.9.9", "mta"]
        listen = "inet:[0:0::1]:10027"
        path = "//var/lib/relay"
        names = ["a", "b", "a"]
        pattern = "x"
        """
    )
    assert root.duration("period") == 5400.0
    assert root.mode("mode", 0) == 0o640
    assert root.networks("networks", word="mta") == tuple(
        map(ip_network, ("192.0.2.0/24", "2001:db8::/32", "9.9.9.9/32"))
    )
    assert root.listen("listen") == Listen(host="::1", port=10027)
    assert root.file("path") == Path("/var/lib/relay")
    assert root.texts("names") == ("a", "b", "a")
    assert root.one_or_more("pattern") == ((None, "x"),)
    assert root.one_or_more("names") == ((0, "a"), (1, "b"))
    assert problems() == ["x.toml:7:28: names[2]: 'a' is there twice; leave one out"]


def test_a_default_is_given_for_what_is_not_there_and_is_not_judged(load: Load) -> None:
    root, problems = load("")
    assert root.text("a", "") == ""
    assert root.duration("b", 0.0) == 0.0
    assert root.texts("c", ()) == ()
    assert root.file("d", Path("relative")) == Path("relative")
    assert root.integer("e", 5, low=3) == 5
    assert root.networks("f") == ()
    assert root.table("g") is None
    assert root.tables("h") == []
    assert root.one_or_more("i", required=False) == ()
    assert problems() == []


def test_a_default_that_is_wrong_is_the_callers_mistake_and_shows(load: Load) -> None:
    root, problems = load("")
    root.choice("a", ("x", "y"), "z")
    assert problems() == ["x.toml:1:1: a: 'z' is not known; known are x and y"]


def test_an_empty_text_is_refused_unless_that_is_the_default(load: Load) -> None:
    root, problems = load('a = ""\nb = ""\n')
    assert (root.text("a"), root.text("b", "")) == ("", "")
    assert problems() == ["x.toml:1:1: a: is empty"]


def test_an_empty_list_is_refused_only_where_a_list_is_required(load: Load) -> None:
    root, problems = load("a = []\nb = []\nc = []\n")
    assert (root.texts("a"), root.texts("b", ()), root.networks("c")) == ((), (), ())
    assert problems() == ["x.toml:1:1: a: is empty; name at least one"]


def test_an_element_keeps_its_number_when_one_before_it_is_wrong(load: Load) -> None:
    root, problems = load('agents = [7, "dovecot", ""]\n')
    assert root.numbered("agents") == ((1, "dovecot"),)
    root.refuse("agents", "is not wanted", number=1)
    assert problems() == [
        "x.toml:1:11: agents[0]: must be text in quotes, not a whole number",
        "x.toml:1:25: agents[2]: is empty",
        "x.toml:1:14: agents[1]: is not wanted",
    ]


def test_asking_twice_tells_a_mistake_once(load: Load) -> None:
    root, problems = load("a = 1\n")
    assert (root.text("a"), root.text("a")) == ("", "")
    assert len(problems()) == 1


def test_keys_that_nobody_asked_for_are_refused_with_the_nearest_known_one(load: Load) -> None:
    root, problems = load("pahts = 1\nvalue = 1\nhosts = 1\n")
    root.text("path", "")
    root.given("value")
    root.finish()
    assert problems() == [
        "x.toml:1:1: pahts: is not known here; did you mean 'path'?",
        "x.toml:3:1: hosts: is not known here; known are path and value",
    ]


def test_a_mistake_at_a_key_that_is_not_there_is_told_at_the_table_around_it(load: Load) -> None:
    root, problems = load("\n[[maps]]\nkind = 'x'\n")
    (section,) = root.tables("maps")
    section.refuse("path", "is too long")
    assert section.path == "maps[0]"
    assert problems() == ["x.toml:2:1: maps[0].path: is too long"]


def test_a_table_that_is_none_is_told_once_and_not_for_what_it_lacks(load: Load) -> None:
    root, problems = load("relay = 3\n")
    section = root.table("relay")
    assert section is not None
    section.text("period")
    assert problems() == ["x.toml:1:1: relay: must be a table, not a whole number; write [relay]"]


def test_a_section_is_sound_until_something_in_it_is_wrong(load: Load) -> None:
    root, _ = load("[[maps]]\n[[maps]]\n")
    first, second = root.tables("maps")
    second.text("path")
    assert (first.sound, second.sound, root.sound) == (True, False, False)


@pytest.mark.parametrize("text", ["8", "0", "00", "0o660", "0778", "1777", "-660", "66000000", "rw", " 0660", "٠٦٦٠"])
def test_what_is_no_file_mode_is_refused(text: str, load: Load) -> None:
    root, problems = load(f'mode = "{text}"\n')
    assert root.mode("mode", 0o600) == 0o600
    assert len(problems()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "unix:",
        "unix:x",
        "unix:/a/../b",
        "unix:/a\\u0000",
        "inet:",
        "inet:1",
        "inet:1:",
        "inet:127.0.0.1:+1",
        "inet:127.0.0.1:1_0",
        "inet:127.0.0.1:٣",
        "inet:127.0.0.1:99999999",
        "inet:[127.0.0.1]:1",
        "inet:::1:1",
        "inet:[fe80::1%eth0]:1",
        "inet:mx:25",
        "tcp:127.0.0.1:1",
        "/run/x",
    ],
)
def test_what_is_no_place_to_listen_is_refused(text: str, load: Load) -> None:
    root, problems = load(f'listen = "{text}"\n')
    root.listen("listen")
    assert len(problems()) == 1
