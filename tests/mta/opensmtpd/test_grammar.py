from __future__ import annotations

from pathlib import Path

from poprelay.mta.opensmtpd.grammar import parse

FILE = Path("/etc/smtpd.conf")


def words(text: str, **files: str) -> list[tuple[str, ...]]:
    return [one.words for one in parse(text, FILE, lambda name: files[Path(name).name])]


def test_comments_and_empty_lines_say_nothing() -> None:
    assert words("# match\n\n \t# x\nlisten on all # but\n") == [("listen", "on", "all")]


def test_a_line_goes_on_behind_a_backslash_and_within_braces() -> None:
    assert words("match for any \\\n  reject\n") == [("match", "for", "any", "reject")]
    text = 'table t {\n  192.0.2.7,\n  "::1"\n}\nlisten on all'
    assert words(text) == [("table", "t", "{", "192.0.2.7", ",", "::1", "}"), ("listen", "on", "all")]


def test_a_macro_stands_for_its_value() -> None:
    assert words('out = "relay"\nmatch for any action $out\n') == [("match", "for", "any", "action", "relay")]


def test_a_quoted_hash_begins_no_comment() -> None:
    assert words('action "a#b" relay\n') == [("action", "a#b", "relay")]


def test_an_included_file_stands_in_its_place_and_is_known() -> None:
    found = parse('include "/etc/more"\nlisten on all\n', FILE, lambda name: "match for any reject\n")
    assert [(str(one.file), one.words[0]) for one in found] == [("/etc/more", "match"), (str(FILE), "listen")]


def test_a_file_that_includes_itself_comes_to_an_end() -> None:
    assert ("listen", "on", "all") in words('include "/etc/more"\n', more='include "/etc/more"\nlisten on all\n')


def test_each_statement_knows_its_place_in_the_text() -> None:
    text = "# first\nlisten on all\nmatch for any reject\n"
    assert [text[one.begin : one.end] for one in parse(text, FILE, str)] == [
        "listen on all\n",
        "match for any reject\n",
    ]
