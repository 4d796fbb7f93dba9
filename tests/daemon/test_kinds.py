from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from poprelay.config.section import Section
from poprelay.daemon import kinds
from poprelay.daemon.kinds import BUILTIN, Role, find_kind
from poprelay.errors import UnknownKind


class Dbm:
    """A map that somebody else wrote."""

    @classmethod
    def from_section(cls, section: Section) -> Dbm:
        return cls()


class Half:
    """Something that the config cannot make."""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    """Entry points that other packages give; fill it."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(kinds, "entry_points", lambda group: EntryPoints(points).select(group=group))
    kinds._others.cache_clear()
    yield points
    kinds._others.cache_clear()


def give(installed: list[EntryPoint], name: str, value: str, group: str = "poprelay.maps") -> None:
    installed.append(EntryPoint(name, value, group))


def refusal(role: Role, name: str) -> UnknownKind:
    with pytest.raises(UnknownKind) as error:
        find_kind(role, name)
    return error.value


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, table in BUILTIN.items() for name in table])
def test_every_built_in_kind_can_be_imported_and_made_by_the_config(role: Role, name: str) -> None:
    assert callable(find_kind(role, name).from_section)


def test_another_package_gives_a_kind(installed: list[EntryPoint]) -> None:
    give(installed, "dbm", f"{__name__}:Dbm")
    assert find_kind("map", "dbm").__name__ == "Dbm"


def test_a_kind_is_one_of_its_role_only(installed: list[EntryPoint]) -> None:
    give(installed, "dbm", f"{__name__}:Dbm")
    assert "no service of kind 'dbm'" in str(refusal("service", "dbm"))
    assert "no map of kind 'file'" in str(refusal("map", "file"))


def test_an_unknown_kind_gets_the_nearest_known_one_of_other_packages_too(installed: list[EntryPoint]) -> None:
    give(installed, "postgres", "theirs:Map")
    assert str(refusal("map", "postgre")) == "there is no map of kind 'postgre': did you mean 'postgres'?"
    assert str(refusal("source", "fiel")) == "there is no source of kind 'fiel': did you mean 'file'?"


def test_a_kind_unlike_all_gets_the_list(installed: list[EntryPoint]) -> None:
    give(installed, "theirs", "theirs:Map")
    known = sorted([*BUILTIN["map"], "theirs"])
    assert str(refusal("map", "xyzzy")).endswith(f": known are {', '.join(known[:-1])} and {known[-1]}")


def test_a_kind_that_a_package_gives_a_second_time_is_refused(installed: list[EntryPoint]) -> None:
    give(installed, "lmdb", "theirs:Map")
    error = refusal("map", "lmdb")
    assert error.message == "there is more than one map of kind 'lmdb': in poprelay, theirs:Map"
    assert error.remedy == "uninstall all but one"


def test_two_packages_that_give_one_kind_are_refused(installed: list[EntryPoint]) -> None:
    give(installed, "dbm", "theirs:Map")
    give(installed, "dbm", "others:Map")
    assert "in theirs:Map, others:Map" in str(refusal("map", "dbm"))


def test_a_kind_that_lacks_an_extra_says_what_it_could_not_import(installed: list[EntryPoint]) -> None:
    give(installed, "dbm", "a_module_that_is_not_there:Map")
    error = refusal("map", "dbm")
    assert "cannot be imported: No module named 'a_module_that_is_not_there'" in error.message
    assert error.remedy == "install what a_module_that_is_not_there:Map needs, its extras included"


def test_a_kind_whose_class_is_gone_says_so(installed: list[EntryPoint]) -> None:
    give(installed, "dbm", f"{__name__}:Gone")
    assert "cannot be imported" in refusal("map", "dbm").message


def test_what_the_config_cannot_make_is_no_kind(installed: list[EntryPoint]) -> None:
    give(installed, "half", f"{__name__}:Half")
    assert "has no from_section" in refusal("map", "half").message


def test_entry_points_of_other_packages_are_looked_up_under_the_name_of_the_role(
    installed: list[EntryPoint],
) -> None:
    for group in ("poprelay.sources", "poprelay.maps", "poprelay.services", "poprelay.agents"):
        give(installed, "theirs", f"{group}:Kind", group)
    for role in BUILTIN:
        assert [point.group for point in kinds._others(role)] == [f"poprelay.{role}s"]
