from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from poprelay.config.places import Path, places

KEYS = st.sampled_from(["a", "b", "c-d", "e_1", "1", "", "f g", "ä.ö", 'q"q', "s's", "[h]", "#i", "="])
TEXTS = st.sampled_from(
    ["", "x", "[x]", "# y", '"', '""', "a = 1", "two\nlines", "\\", "}", "'", "]\n[t]\nk = 1", "ä, 茶"]
)
SCALARS = st.one_of(TEXTS, st.booleans(), st.integers(-9, 99), st.sampled_from([1.5, -2e3]))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=5)


class Writer:
    """Writes a table as TOML, in one of the many ways that there are."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw

    def pick(self, *among: str) -> str:
        return str(self._draw(st.sampled_from(among)))

    def document(self, table: dict[str, Any]) -> str:
        return "\n".join(self.lines(table, []))

    def lines(self, table: dict[str, Any], above: list[str]) -> Iterator[str]:
        """What can stand below the table's own header first, then the tables with headers of their own."""
        late: list[tuple[str, Any]] = []
        for key, value in table.items():
            tables = isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
            if (isinstance(value, dict) or tables) and self.pick("header", "inline") == "header":
                late.append((key, value))
                continue
            yield from self.between()
            yield f"{self.pair(key, value)}{self.pick('', ' # [no] = table')}"
        for key, value in late:
            for one in [value] if isinstance(value, dict) else value:
                yield from self.between()
                dotted = self.pick(".", " . ").join([*above, self.key(key)])
                space, times = self.pick("", " "), 1 if isinstance(value, dict) else 2
                header = f"{'[' * times}{space}{dotted}{space}{']' * times}"
                yield f"{self.pick('', '  ')}{header}{self.pick('', '# x')}"
                yield from self.lines(one, [*above, self.key(key)])

    def between(self) -> Iterator[str]:
        yield from self.pick("", "#", "# [a]\n# a = 1", "\n\n").split("\n") if self.pick("yes", "no") == "yes" else ()

    def pair(self, key: str, value: Any, *, inline: bool = False) -> str:
        equals = self.pick("=", " = ", "\t=  ")
        indent = "" if inline else self.pick("", "  ")
        if isinstance(value, dict) and len(value) == 1 and self.pick("dotted", "inline") == "dotted":
            ((inner, deep),) = value.items()
            return f"{indent}{self.key(key)}{self.pick('.', ' . ')}{self.key(inner)}{equals}{self.value(deep, inline)}"
        return f"{indent}{self.key(key)}{equals}{self.value(value, inline)}"

    def key(self, key: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9_-]+", key) and self.pick("bare", "quoted") == "bare":
            return key
        return f"'{key}'" if "'" not in key and self.pick("'", '"') == "'" else basic(key)

    def value(self, value: Any, inline: bool = False) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(self.pair(*each, inline=True) for each in value.items()) + "}"
        if isinstance(value, list):
            gap = self.pick("", " ") if inline else self.pick("", " ", "\n", " # ] , [\n  ")
            comma = gap + "," + gap
            return f"[{gap}{comma.join(self.value(one, inline) for one in value)}{gap}]"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return self.text(value, inline)
        return repr(value)

    def text(self, text: str, inline: bool) -> str:
        ways = [basic(text)]
        if "\n" not in text and "'" not in text:
            ways.append(f"'{text}'")
        if not inline:
            ways.append('"""\n' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""')
            if "'" not in text:
                ways.append(f"'''\n{text}'''")
            if '"""' not in text and "\\" not in text:
                ways.append(f'"""{text}"""' if not text.startswith("\n") else basic(text))
        return self.pick(*ways)


def basic(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def paths(value: Any, above: Path = ()) -> Iterator[tuple[Path, Any]]:
    if above:
        yield above, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from paths(one, (*above, key))


def stands(text: str, path: Path, value: Any) -> bool:
    """Whether `text` begins with what is at `path`: a header that leads to it, the key itself, or the element."""
    line = text.split("\n", 1)[0]
    names = [key for key in path if isinstance(key, str)]
    if line.startswith("[") and isinstance(value, dict | list) and header(line)[: len(names)] == names:
        return True
    if isinstance(path[-1], str):
        match = re.match(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""", text)
        return match is not None and list(tomllib.loads(f"{match[0]}=0")) == [path[-1]]
    return any(read(text[:length]) == [value] for length in range(1, len(text) + 1))


def header(line: str) -> list[str]:
    try:
        found: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return []
    names = []
    while found:
        ((name, found),) = found.items()
        names.append(name)
        found = found[0] if isinstance(found, list) else found
    return names


def read(text: str) -> list[Any]:
    try:
        return [tomllib.loads(f"x = {text}")["x"]]
    except tomllib.TOMLDecodeError:
        return []


def at(text: str, line: int, column: int) -> str:
    return "\n".join(text.split("\n")[line - 1 :])[column - 1 :]


@settings(max_examples=200)
@given(table=TABLES, data=st.data())
def test_every_path_that_tomllib_yields_has_a_place_and_stands_there(
    table: dict[str, Any], data: st.DataObject
) -> None:
    text = Writer(data.draw).document(table)
    assert tomllib.loads(text) == table
    found = places(text)
    expected = dict(paths(table))
    assert set(found) == set(expected)
    for path, value in expected.items():
        assert stands(at(text, *found[path]), path, value), (path, found[path])


def test_a_table_is_at_its_header_a_key_at_itself_and_an_element_at_itself() -> None:
    text = '[[maps]]\nkind = "text"\n  command = ["a",\n    "b"]\n[[maps]]\n'
    assert places(text) == {
        ("maps",): (1, 1),
        ("maps", 0): (1, 1),
        ("maps", 0, "kind"): (2, 1),
        ("maps", 0, "command"): (3, 3),
        ("maps", 0, "command", 0): (3, 14),
        ("maps", 0, "command", 1): (4, 5),
        ("maps", 1): (5, 1),
    }


def test_each_part_of_a_dotted_key_is_at_itself() -> None:
    assert places("relay.'period' = 1") == {("relay",): (1, 1), ("relay", "period"): (1, 7)}


def test_tables_below_an_array_of_tables_belong_to_its_last_element() -> None:
    assert places("[[a]]\n[[a]]\n[a.b]\nc = 1\n")["a", 1, "b", "c"] == (4, 1)


def test_a_table_named_by_a_header_below_it_keeps_the_first_place() -> None:
    assert places("[a.b]\n[a]\n")["a",] == (1, 1)


def test_quotes_that_end_a_text_of_many_lines_belong_to_it() -> None:
    text = "a = \"\"\"x\"\"\"\"\"\nb = '''y'''''\nc = 1\n"
    assert tomllib.loads(text) == {"a": 'x""', "b": "y''", "c": 1}
    assert places(text)["c",] == (3, 1)


def test_dates_with_a_blank_in_them_are_one_value() -> None:
    assert places("a = [1979-05-27 07:32:00, 07:32:00.5]\nb = 1\n")["a", 1] == (1, 27)


def test_an_empty_text_has_no_places() -> None:
    assert places("") == {}
    assert places("# only a comment") == {}
