"""The conversations in the golden files beside this one: bytes in, what the engine reads, bytes out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from poprelay.model import Absent, Address, Allowed, Grant, Outcome, Unavailable
from poprelay.wire import Bad
from poprelay.wire.policy import Delegated, Policy
from poprelay.wire.readsocket import ReadSocket
from poprelay.wire.socketmap import Query, Socketmap
from poprelay.wire.tcptable import TcpTable
from wire.dialogues import DIALOGUES, is_over

HERE = Path(__file__).parent
Rows = list[tuple[str, str, str]]


def conversations() -> Iterator[tuple[str, str, Rows]]:
    for file in sorted(HERE.glob("*.golden")):
        title, rows = "", Rows()
        for line in [*file.read_text("utf-8").splitlines(), "== end"]:
            if line.startswith("=="):
                if rows:
                    yield file.stem, title, rows
                title, rows = line[2:].strip(), Rows()
            elif line and not line.startswith("#"):
                piece, reads, answer = (column.strip(" ") for column in re.split(r" *\| ", line))
                rows.append((piece, reads, answer))


def raw(text: str) -> bytes:
    return unescaped(text.replace("{R}", r"request=smtpd_access_policy\n")).encode("latin-1")


def unescaped(text: str) -> str:
    text = re.sub(r"\{(.)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
    return text.encode("ascii").decode("unicode_escape")


def spelled(request: Query | Delegated | str | Bad) -> str:
    match request:
        case str(key):
            return f'"{key}"'
        case Bad(word):
            return f"!{word}"
        case Query(name, key):
            return f'{name} "{key}"'
        case Delegated(state, address):
            return f'{state} "{address}"'.strip()


def find(address: Address) -> Outcome:
    if address in {"192.0.2.7", "2001:db8::7"}:
        return Allowed((Grant(address, "ann", "login", 0.0, 60.0, 0.0, 0.0, 60.0, "dovecot"),))
    return Unavailable("starting up") if address == "192.0.2.99" else Absent()


ENGINES: dict[str, Callable[[], Socketmap | Policy | ReadSocket | TcpTable]] = {
    "socketmap": Socketmap,
    "sendmail": Socketmap,
    "policy": Policy,
    "readsocket": ReadSocket,
    "tcp_table": TcpTable,
}
CASES = [pytest.param(kind, rows, id=f"{kind}: {title}") for kind, title, rows in conversations()]


@pytest.mark.parametrize(("kind", "rows"), CASES)
def test_the_engine_reads_what_the_golden_file_says(kind: str, rows: Rows) -> None:
    engine = ENGINES[kind]()
    for piece, reads, _ in rows:
        assert "; ".join(map(spelled, engine.feed(raw(piece)))) == ("" if reads == "-" else unescaped(reads))


@pytest.mark.parametrize(("kind", "rows"), CASES)
def test_the_service_answers_what_the_golden_file_says(kind: str, rows: Rows) -> None:
    dialogue = DIALOGUES[kind](find)
    for piece, _, answer in rows:
        closed = is_over(dialogue)
        expected, closes, _ = answer.partition(" (closed)")
        assert dialogue.receive(raw(piece)) == (b"" if expected == "-" else raw(expected))
        assert is_over(dialogue) == (closed or bool(closes))


def test_there_are_conversations_for_every_engine() -> None:
    assert {kind for kind, _, _ in conversations()} == set(ENGINES) == set(DIALOGUES)
