from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from poprelay import errors
from poprelay.errors import ConfigError, MapError, PoprelayError


def tree(error: type[PoprelayError] = PoprelayError) -> Iterator[type[PoprelayError]]:
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from tree(child)


def test_the_tree_at_the_top_of_the_module_is_the_real_one() -> None:
    drawn = re.findall(r"[├└]── (\w+) .*exit (\d+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted((error.__name__, str(error.exit_code)) for error in tree())


@pytest.mark.parametrize("error", [*tree()], ids=lambda error: error.__name__)
def test_exit_codes_are_those_that_are_documented(error: type[PoprelayError]) -> None:
    assert error.exit_code in {1, 3, 65, 70, 77, 78}


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    assert {error.__name__ for error in tree() if error.retry} == {
        "SourceError",
        "MapError",
        "ServiceError",
        "StoreError",
    }


def test_an_error_is_one_sentence_with_the_next_step() -> None:
    error = MapError("the map is missing", remedy="make it", path="/x")
    assert (str(error), error.remedy, error.fields) == ("the map is missing: make it", "make it", {"path": "/x"})
    assert str(MapError("the map is missing")) == "the map is missing"


def test_a_config_error_has_every_problem_in_a_line() -> None:
    error = ConfigError(["a:1:1: x", "a:2:1: y"])
    assert (str(error), error.problems) == ("a:1:1: x\na:2:1: y", ("a:1:1: x", "a:2:1: y"))
