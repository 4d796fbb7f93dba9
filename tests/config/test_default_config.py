"""`packaging/poprelay.toml`: the config that people begin with, and the one page where every setting is explained."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from poprelay.clock import Clock
from poprelay.config.load import Document
from poprelay.config.section import Section
from poprelay.daemon.configure import Config, build_config
from poprelay.daemon.kinds import BUILTIN

FILE = Path(__file__).parents[2] / "packaging" / "poprelay.toml"
TEXT = FILE.read_text("utf-8")
FULL = re.sub(r"^#(?=[a-z_0-9]+ = |\[)", "", TEXT, flags=re.MULTILINE)
"""The same with every setting in force."""

Keys = tuple[str | int, ...]


class Read(NamedTuple):
    config: Config
    problems: list[str]
    known: dict[Keys, set[str]]
    """What each section was asked for, by what it is known as."""


def read(document: Document, monkeypatch: pytest.MonkeyPatch) -> Read:
    known: dict[Keys, set[str]] = {}
    finish = Section.finish

    def note(section: Section) -> None:
        known.setdefault(known_as(section.keys, section.spec), set()).update(section.asked)
        finish(section)

    with monkeypatch.context() as patch:
        patch.setattr(Section, "finish", note)
        config = build_config(document)
    return Read(config, [document.sentence(problem) for problem in document.root.problems], known)


def parts(config: Config) -> list[object]:
    """All that was built, as values that can be compared (a source makes its scanner late, so only its name)."""
    return [
        config.settings,
        *((part.kind, part.name) for part in config.sources),
        *(
            {name: value for name, value in vars(part.object).items() if not isinstance(value, Clock)}
            for part in (*config.maps, *config.services)
        ),
    ]


def sections(table: dict[str, Any], above: Keys = ()) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Every table with its path, the whole file first."""
    yield above, table
    for key, value in table.items():
        if isinstance(value, dict):
            yield from sections(value, (*above, key))
        elif isinstance(value, list):
            for number, one in enumerate(value):
                if isinstance(one, dict):
                    yield from sections(one, (*above, key, number))


def known_as(keys: Keys, table: dict[str, Any]) -> Keys:
    """A section's path, but those of an array go by their kind if they have one, and together if they have none."""
    return (keys[0], str(table.get("kind", "each")), *keys[2:]) if len(keys) > 1 else keys


def settings(table: dict[str, Any]) -> Iterator[Keys]:
    """The path of every key that is not a section."""
    for keys, section in sections(table):
        for key, value in section.items():
            if not isinstance(value, dict) and not (isinstance(value, list) and value and isinstance(value[0], dict)):
                yield (*keys, key)


def without(document: Document, keys: Keys) -> Document:
    """The document, but for one key."""
    spec = copy.deepcopy(document.root.spec)
    table: Any = spec
    for key in keys[:-1]:
        table = table[key]
    del table[keys[-1]]
    shorter = copy.copy(document)
    shorter.root = Section(spec, (), [])
    return shorter


def test_it_is_accepted_as_it_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(Document(TEXT, FILE.name), monkeypatch)
    assert found.problems == []
    assert [part.name for part in found.config.sources] == ["/var/log/mail.log"]
    assert [part.kind for part in found.config.services] == ["socketmap"]
    assert found.config.maps == ()


def test_it_is_accepted_with_every_setting_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(Document(FULL, FILE.name), monkeypatch).problems == []


def test_it_shows_every_kind_and_every_key_that_the_config_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[Keys, set[str]] = {}
    for keys, table in sections(tomllib.loads(FULL)):
        shown.setdefault(known_as(keys, table), set()).update(table)
    assert read(Document(FULL, FILE.name), monkeypatch).known == shown
    for role, kinds in BUILTIN.items():
        assert {where[1] for where in shown if where[:1] == (f"{role}s",)} >= {*kinds}


@pytest.mark.parametrize("keys", list(settings(tomllib.loads(FULL))), ids=lambda keys: ".".join(map(str, keys)))
def test_what_it_shows_is_the_default_or_must_be_given(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Document(FULL, FILE.name)
    shorter = read(without(whole, keys), monkeypatch)
    needed = re.compile(rf"\b{NEEDED_FOR.get(str(keys[-1]), keys[-1])} is missing|has no group 'session'|is special")
    if shorter.problems:
        assert any(needed.search(problem) for problem in shorter.problems), shorter.problems
    elif keys[-1] not in EXAMPLES:
        assert parts(shorter.config) == parts(read(whole, monkeypatch).config)


EXAMPLES = {"group", "timezone", "logout", "stdin", "agents_directory"}
"""Keys that it gives another value than the default: what there is to say has no default."""
NEEDED_FOR = {"line": "login", "like": "login"}
"""What is missing where a key is left out, if it is called otherwise: a line does without login and program."""


def test_a_line_explains_each_setting_of_a_section_where_it_first_stands() -> None:
    lines = TEXT.splitlines()
    explained = {
        match[1]
        for line, before in zip(lines[1:], lines, strict=False)
        if (match := re.match(r"#?([a-z_0-9]+) = ", line)) and before.startswith("# ")
    }
    said = {str(keys[-1]) for keys in settings(tomllib.loads(FULL)) if keys[-2] != "services"}  # there, words of a log
    pairs = {"kind", "path", "address", "group", "mode", "history_max_rows", "agents", "listen"}
    assert said - explained <= pairs
