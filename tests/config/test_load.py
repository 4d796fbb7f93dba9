from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.config.load import Document, control_socket, read_document
from poprelay.config.problem import Problem
from poprelay.errors import ConfigError, NotPermitted

GOOD = b'[relay]\nperiod = "30m"\n'


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        read_document(path)
    assert error.value.exit_code == 78
    (problem,) = error.value.problems
    return problem


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "poprelay.toml"


def test_a_missing_file_is_named_with_the_next_step(file: Path) -> None:
    assert refusal(file) == f"{file}: there is no such file; `poprelay setup` writes one, or name another one with -c"


def test_a_directory_is_no_config(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: is a directory; name the file in it"


def test_a_file_that_may_not_be_read_says_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(NotPermitted, match="may not be read by this user; run this as root") as error:
        read_document(file)
    assert error.value.exit_code == 77


def test_a_disk_that_fails_is_told_in_its_own_words(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    assert refusal(file) == f"{file}: cannot be read: Input/output error"


def test_a_name_that_would_move_the_cursor_does_not(tmp_path: Path) -> None:
    assert r"x\x1b[2J\xff: there is no" in refusal(tmp_path / os.fsdecode(b"x\x1b[2J\xff"))


def test_a_file_that_is_not_utf_8_is_refused_at_the_first_wrong_byte(file: Path) -> None:
    file.write_bytes(GOOD + "deny_users = ['é".encode() + b"\xe9']\n")
    assert refusal(file) == "poprelay.toml:3:17: is not UTF-8; save the file as UTF-8"


def test_a_byte_order_mark_is_refused_by_its_name(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + GOOD)
    assert refusal(file) == "poprelay.toml:1:1: begins with a byte order mark; save the file as UTF-8 without one"


def test_utf_16_is_not_utf_8(file: Path) -> None:
    file.write_text(GOOD.decode(), "utf-16")
    assert refusal(file).startswith("poprelay.toml:1:1: is not UTF-8")


def test_a_nul_is_refused_where_it_stands(file: Path) -> None:
    file.write_bytes(GOOD + b"\0")
    assert refusal(file).startswith("poprelay.toml:3:1: ")


def test_lines_that_end_as_on_windows_count_as_lines(file: Path) -> None:
    file.write_bytes(GOOD.replace(b"\n", b"\r\n") + b"x = 1\r\n")
    document = read_document(file)
    assert document.place(("relay", "x")) == (3, 1)


def test_an_unfinished_file_is_refused_at_its_end(file: Path) -> None:
    file.write_bytes(GOOD + b"x = [1")
    assert refusal(file) == "poprelay.toml:3:7: unclosed array; this is not TOML (https://toml.io)"


@pytest.mark.parametrize("text", ["[" * 20_000, "a = " + "[" * 20_000 + "]" * 20_000, "a = " + "{a=" * 20_000])
def test_brackets_without_end_are_refused_and_do_no_harm(text: str, file: Path) -> None:
    file.write_text(text)
    assert refusal(file).startswith("poprelay.toml:1:")


def test_a_number_of_thousands_of_digits_is_refused(file: Path) -> None:
    file.write_bytes(GOOD + b"x = " + b"9" * 5000)
    assert "has a number of thousands of digits" in refusal(file)


@given(st.text(alphabet="[]{}=,.#\"'\\\n\t abc01-:\u00e9\x00\x7f\x85", max_size=40))
def test_no_text_at_all_raises_anything_but_a_refusal(text: str) -> None:
    try:
        document = Document(text, "x.toml")
    except ConfigError as error:
        (problem,) = error.problems
        assert problem.startswith("x.toml:")
        assert problem.isprintable()
    else:
        document.root.finish()
        assert len(document.root.problems) == len(document.root.spec)


def test_problems_are_told_in_the_order_of_the_file_and_all_at_once() -> None:
    document = Document("a = 1\nb = 1\n\n[c]\nd = 1\n", "x.toml")
    document.root.problems += [Problem(("c", "d"), "three"), Problem((), "zero"), Problem(("b",), "two", "fix it")]
    with pytest.raises(ConfigError) as error:
        document.check()
    assert error.value.problems == ("x.toml:1:1: zero", "x.toml:2:1: b: two; fix it", "x.toml:5:1: c.d: three")


def test_the_control_socket_is_found_in_a_config_that_is_otherwise_wrong(file: Path) -> None:
    file.write_text('period = 3\n[control]\nlisten = "unix:/run/x.sock"\nmode = 7\n')
    assert control_socket(file) == Path("/run/x.sock")


@pytest.mark.parametrize("text", ["", "control = 7\n", "[control]\n"])
def test_the_control_socket_is_where_it_always_is_unless_the_config_moves_it(text: str, file: Path) -> None:
    file.write_text(text)
    assert control_socket(file) == Path("/run/poprelay/control.sock")
