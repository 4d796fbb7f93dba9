"""Changes as rows, and as the few words of a line."""

from __future__ import annotations

from ledger.desk import HOME, HOUR, MINUTE, OFFICE, PERIOD, START, Desk
from poprelay.daemon.rows import change_brief, change_row
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.model import Change, Refused
from poprelay.spans import rfc3339

ORDER = [
    "at",
    "change",
    "address",
    "user",
    "basis",
    "opened",
    "until",
    "held",
    "agent",
    "sessions",
    "reason",
    "renewals",
]


def happened() -> tuple[Desk, list[Change]]:
    """One change of each kind."""
    desk = Desk(Rules(RuleTerms(deny_users=frozenset({"eve"}))))
    changes = desk.login("ann")
    desk.now += 5 * MINUTE
    changes = [*changes, *desk.login("ann"), *desk.login("eve", OFFICE)]
    desk.now += HOUR
    return desk, [*changes, *desk.expire()]


def test_the_keys_of_a_row_are_the_same_and_in_the_same_order_whatever_happened() -> None:
    desk, changes = happened()
    assert [change_row(desk.ledger, change)["change"] for change in changes] == [
        "opened",
        "renewed",
        "refused",
        "closed",
    ]
    assert [list(change_row(desk.ledger, change)) for change in changes] == [ORDER] * 4


def test_a_line_says_what_the_row_says() -> None:
    desk, changes = happened()
    for change in changes:
        row, brief = change_row(desk.ledger, change), change_brief(desk.ledger, change)
        assert brief == {key: row[key] for key in brief}
    assert [change_brief(desk.ledger, change)["until"] for change in changes] == [
        rfc3339(START + PERIOD), rfc3339(START + 5 * MINUTE + PERIOD), None, rfc3339(START + 5 * MINUTE + PERIOD),
    ]  # fmt: skip


def test_a_row_says_held_where_a_session_carries_a_grant_beyond_its_period_and_not_since_it_was_renewed() -> None:
    desk = Desk()
    opened = desk.login()
    desk.now += 5 * MINUTE
    desk.login()
    assert [change_row(desk.ledger, change)["held"] for change in opened] == [False]
    desk.prove()
    desk.login(session="s")
    (row,) = [change_row(desk.ledger, change) for change in opened]
    assert (row["held"], row["sessions"], row["until"]) == (True, 1, rfc3339(START + 24 * HOUR))


def test_what_was_refused_is_a_row_without_a_grant() -> None:
    desk, changes = happened()
    (refused,) = [change for change in changes if isinstance(change, Refused)]
    row = change_row(desk.ledger, refused)
    assert (row["address"], row["user"], row["reason"], row["opened"]) == (OFFICE, "eve", "denied", None)
    assert HOME not in row.values()
