from __future__ import annotations

from pathlib import Path

from poprelay.mta.exim.acl import Clause, above, end, statements

CONFIGS = Path(__file__).parent / "configs"


def lines(name: str) -> list[str]:
    return (CONFIGS / name).read_text().splitlines()


def test_the_statements_of_a_list_are_read_in_their_order_with_their_lines() -> None:
    read = statements(lines("upstream.conf"), "acl_check_rcpt")
    assert [one.verb for one in read] == [*["accept", "deny"], *["accept"] * 3, *["require"] * 2, "accept"]
    assert [lines("upstream.conf")[one.line].split()[0] for one in read] == [one.verb for one in read]


def test_a_condition_that_goes_on_in_the_next_line_is_one() -> None:
    stop = statements(lines("upstream.conf"), "acl_check_rcpt")[5]
    assert stop.conditions == (Clause("domains", "+local_domains : +relay_to_domains"),)


def test_what_stands_behind_the_verb_and_what_is_negated_is_read() -> None:
    [deny, accept] = statements(lines("denies-others.conf"), "rcpt")
    assert [str(one) for one in deny.conditions] == [
        "domains = !site.test : !backup.test",
        "!hosts = 127.0.0.1",
        "!authenticated = *",
    ]
    assert accept.clauses == ()


def test_a_list_ends_where_the_next_one_or_a_section_begins() -> None:
    assert len(statements(lines("upstream.conf"), "acl_check_data")) == 1
    assert statements(lines("upstream.conf"), "everything_else") == []
    assert lines("silent.conf")[end(lines("silent.conf"), "rcpt") - 1] == "  accept domains = site.test"


def test_a_variable_is_set_under_its_name() -> None:
    [warn] = statements(["rcpt:", "  warn set acl_m_poprelay = ${readsocket{/x}{y}}"], "rcpt")
    assert warn.clauses == (Clause("set acl_m_poprelay", "${readsocket{/x}{y}}"),)


def test_the_comment_right_above_a_statement_belongs_to_it() -> None:
    text = lines("upstream.conf")
    stop = statements(text, "acl_check_rcpt")[5]
    assert text[above(text, stop.line)] == "  # The list of domains goes on in a second line."
