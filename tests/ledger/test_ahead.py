"""What is remembered of logins whose stamp was ahead of our clock, and when it is let go."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.desk import START, Desk, login
from poprelay.ledger import ahead
from poprelay.ledger.ahead import Ahead, Early
from poprelay.ledger.draft import Draft

YEAR = 365 * 86_400.0


class Mark(bytes):
    """Counts how often one was looked at."""

    looks: ClassVar[int] = 0

    def __hash__(self) -> int:
        Mark.looks += 1
        return super().__hash__()


def test_where_very_many_never_end_few_of_them_are_looked_at_to_let_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MOST", 1000)
    logins = Ahead()
    for number in range(1000):
        logins.put(Mark(b"%d" % number), Early(START + number, START + YEAR))
    for number in range(1000, 1100):
        now = START + number
        logins.put(Mark(b"%d" % number), Early(now, START + YEAR))
        logins.put(Mark(b"soon %d" % number), Early(now, now + 0.5))
        Mark.looks = 0
        assert logins.ended(now) == [b"%d" % (number - 1000), b"%d" % (number - 999)]
        assert sorted(logins.ended(now + 0.5)) == [b"%d" % (number - 1000), b"soon %d" % number]
        assert Mark.looks < 20
        for gone in (b"%d" % (number - 1000), b"soon %d" % number):
            logins.remove(gone)


def test_those_first_read_longest_ago_go_first_after_a_restart_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MOST", 3)
    desk = Desk()
    for number in range(4):
        desk.now += 1
        desk.take(login(f"user{number}", at=START + YEAR))
    desk.rows.ahead = dict(reversed(desk.rows.ahead.items()))
    desk.restart()
    desk.do(Draft.expire)
    assert sorted(early.read for early in desk.rows.snapshot().ahead.values()) == [START + 2, START + 3, START + 4]


def test_one_that_is_remembered_again_is_kept_to_its_later_end(monkeypatch: pytest.MonkeyPatch) -> None:
    logins = Ahead()
    logins.put(b"other", Early(START, START + 1))
    logins.put(b"login", Early(START, START + 10))
    logins.remove(b"login")
    logins.put(b"login", Early(START + 5, START + 20))
    assert logins.ended(START + 15) == [b"other"]
    assert sorted(logins.ended(START + 20)) == [b"login", b"other"]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), st.booleans()), max_size=60),
    st.integers(1, 10),
)
def test_it_lets_go_what_a_look_at_all_of_them_would(steps: list[tuple[int, int, bool]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "MOST", most)
        patch.setattr(ahead, "_SPARE", 2)
        logins, model = Ahead(), dict[bytes, Early]()
        for now, (number, lasts, forget) in enumerate(steps):
            name = b"%d" % number
            if name not in model:
                model[name] = Early(now, now + lasts)
                logins.put(name, model[name])
            over = [name for name, early in model.items() if early.until <= now]
            kept = [name for name in model if name not in over]
            gone = over + kept[: max(len(kept) - most, 0)]
            assert sorted(logins.ended(now)) == sorted(gone)
            if forget:
                for name in gone:
                    logins.remove(name)
                    del model[name]
            assert {name for name in (b"%d" % number for number in range(10)) if logins.get(name)} == set(model)
