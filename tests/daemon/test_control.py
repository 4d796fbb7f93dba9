"""The control socket: who may ask, what is answered to nonsense, and that nobody holds it up."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ledger.desk import START
from poprelay.config.section import Listen
from poprelay.daemon import control as module
from poprelay.daemon import operations, reading
from poprelay.daemon.client import ask, connect
from poprelay.daemon.control import ControlServer
from poprelay.daemon.keeper import Keeper
from poprelay.errors import NoDaemon, NotPermitted, PoprelayError, Refused
from poprelay.ledger import history
from poprelay.ledger.record import Record
from poprelay.ledger.sqlite import SqliteStore
from poprelay.model import Address, Grant, Opened
from poprelay.services.listener import bind

ROOT = os.geteuid() == 0


class House:
    """A keeper in a house without maps, about which all is well."""

    observe = False
    is_served = True

    def __init__(self, keeper: Keeper, path: Path) -> None:
        self.keeper = keeper
        self.ledger_path = path / "none.db"

    def status(self) -> dict[str, Any]:
        return {"problems": []}

    def map_holds(self, address: Address) -> dict[str, bool | None]:
        return {}


@pytest.fixture
async def serve(keeper: Keeper, place: Path) -> AsyncIterator[Callable[..., Any]]:
    """Listens for commands on `place/c`."""
    servers: list[ControlServer] = []

    async def begin(*writers: str, mode: int = 0o666) -> ControlServer:
        server = ControlServer(House(keeper, place), writers)
        await server.start(bind(Listen(unix=place / "c", host="", port=0), mode=mode))
        servers.append(server)
        return server

    yield begin
    for server in servers:
        await server.stop()


def answer(path: Path, request: bytes, *, half_close: bool = False) -> list[dict[str, Any]]:
    """Everything that is answered to some bytes, until the other side hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.connect(str(path / "c"))
        sock.sendall(request)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as lines:
            return [json.loads(line) for line in lines]


def rows(path: Path, operation: str, **arguments: Any) -> list[dict[str, Any]]:
    return list(ask(connect(path / "c"), operation, arguments, wait=5))


@pytest.fixture
def past(place: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A ledger with 25 changes at `place/none.db`, of which 10 make a page; and the numbers of the rows made of it."""
    grant = Grant(Address("9.9.9.9"), "ann", "login", START, START + 60, START, START, 60.0, "dovecot")
    with closing(SqliteStore(place / "none.db")) as store:
        store.commit([Record(history=[Opened(START, grant)] * 25)])
    made: list[int] = []
    whole = history._past

    def note(row: tuple[Any, ...]) -> history.Past:
        made.append(row[0])
        return whole(row)

    monkeypatch.setattr(history, "_past", note)
    monkeypatch.setattr(operations, "PAGE", 10)
    return made


@pytest.mark.parametrize(("limit", "told"), [(10_000_000, 25), (20, 20), (13, 13), (1, 1)])
async def test_a_long_history_is_in_hand_only_by_the_page(
    keeper: Keeper, place: Path, past: list[int], limit: int, told: int
) -> None:
    rows = operations.OPERATIONS["history"].run(House(keeper, place), "root", {"limit": limit})
    beyond: list[int] = []
    async for _ in rows:
        beyond.append(len(past) - len(beyond))
    assert len(beyond) == told
    assert past == list(range(25, 25 - told, -1)), "each once, newest first"
    assert max(beyond) <= 10


async def test_others_get_their_turns_while_a_history_is_told(
    keeper: Keeper, place: Path, past: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "PAGE", 25)
    monkeypatch.setattr(operations, "BREATH", 5)
    rows = operations.OPERATIONS["history"].run(House(keeper, place), "root", {})
    await anext(rows)
    turns: list[str] = []
    asyncio.get_running_loop().call_soon(turns.append, "another's")
    assert [bool(turns) async for _ in rows] == [False] * 4 + [True] * 20


def test_without_a_daemon_too_it_is_in_hand_only_by_the_page(
    place: Path, past: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "become_owner", lambda ledger: None)
    monkeypatch.setattr(reading, "BREATH", 5)
    config = place / "poprelay.toml"
    config.write_text(
        f'[relay]\nperiod = "30m"\n[ledger]\npath = "{place}/none.db"\n'
        f'[[sources]]\nkind = "file"\npath = "{place}/log"\nagents = ["dovecot"]\n'
    )
    rows = reading.look(config, "history", {})
    next(rows)
    assert len(past) == 10
    assert len(list(rows)) == 24


async def test_an_operation_is_answered_row_by_row_and_with_its_exit_code(serve: Any, place: Path) -> None:
    await serve()
    allowed = await asyncio.to_thread(rows, place, "allow", address="9.9.9.9", user="ann", reason="printer")
    listed = await asyncio.to_thread(rows, place, "list")
    assert [(row["address"], row["user"], row["change"]) for row in allowed] == [("9.9.9.9", "ann", "opened")]
    assert [(row["address"], row["basis"], row["reason"]) for row in listed] == [("9.9.9.9", "allow", "printer")]
    asked = ask(connect(place / "c"), "explain", {"address": "8.8.4.4"}, wait=5)
    await asyncio.to_thread(list, asked)
    assert asked.exit_code == 1


@pytest.mark.parametrize(
    "request_",
    [b"\n", b"hello\n", b"[]\n", b'{"operation": 7}\n', b'{"operation": "list", "arguments": []}\n', b"\xff\xfe\n",
     b'{"operation": "li\n', b"[" * 60_000 + b"\n", b"1" * 60_000 + b"\n", b"x" * 70_000 + b"\n", b"x" * 200_000],
    ids=["blank", "words", "list", "number", "arguments", "bytes", "cut", "nested", "long number", "long", "endless"],
)  # fmt: skip
async def test_garbage_is_answered_and_dropped(serve: Any, place: Path, request_: bytes) -> None:
    server = await serve()
    (said,) = await asyncio.to_thread(answer, place, request_)
    assert server.counts()["refused_malformed"] == 1
    assert said == {"error": "the request is not one JSON object in one line of at most 64 KiB", "exit": 2}
    assert await asyncio.to_thread(rows, place, "list") == []


@pytest.mark.parametrize(
    ("operation", "arguments", "why"),
    [
        ("dance", {}, "no operation 'dance'"),
        ("list", {"usr": "ann"}, "do not fit"),
        ("list", {"user": 7}, "do not fit"),
        ("list", {"address": "mx"}, "'mx' is not one full"),
        ("list", {"address": "2001:db8::/64"}, "is not one full"),
        ("history", {"limit": -1}, "do not fit"),
        ("history", {"limit": 10**30}, "do not fit"),
        ("history", {"since": "soon"}, "not a span"),
        ("allow", {"address": "127.0.0.1"}, "--force"),
        ("allow", {"address": "9.9.9.9", "span": "0s"}, "not a span"),
        ("allow", {"address": "9.9.9.9", "reason": "\ud800"}, "half a character"),
        ("revoke", {}, "nothing to revoke"),
        ("revoke", {"user": "\ud800"}, "half a character"),
    ],
)
async def test_odd_arguments_get_one_sentence(
    serve: Any, place: Path, operation: str, arguments: dict[str, Any], why: str
) -> None:
    await serve()
    with pytest.raises(PoprelayError) as caught:
        await asyncio.to_thread(rows, place, operation, **arguments)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


class Ear:
    """In the place of the asking side's socket: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self.told += map(json.loads, data.splitlines())

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass

    def get_extra_info(self, name: str) -> None:
        pass


ORDERS = [
    ("allow", {"address": "9.9.9.9"}),
    ("allow", {"address": "127.0.0.1", "user": "ann", "span": "1h", "force": True}),
    ("revoke", {"address": "9.9.9.9", "deny": "99999999d"}),
    *((name, {}) for name in operations.OPERATIONS),
]
NAMES = st.sampled_from(["address", "user", "reason", "span", "deny", "since", "limit", "force", "id"])
SCALARS = st.sampled_from(["9.9.9.9", "2001:db8::/32", "1h", "0s", 1, -1, 10**40, 1e400])
ODD = st.recursive(
    SCALARS | st.none() | st.booleans() | st.text(st.characters(), max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
REQUESTS = st.builds(
    lambda order, more: {"operation": order[0], "arguments": {**order[1], **more}},
    st.sampled_from(ORDERS),
    st.just({}) | st.dictionaries(NAMES, ODD, max_size=2),
)
ASKED = st.binary(max_size=40) | (REQUESTS | ODD | st.fixed_dictionaries({"operation": ODD, "arguments": ODD})).map(
    lambda request: json.dumps(request).encode() + b"\n"
)


@pytest.mark.parametrize("uid", [0, 65534])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=ASKED)
async def test_whatever_is_asked_is_no_bug_and_opens_nothing_for_who_may_not_write(
    keeper: Keeper, place: Path, uid: int, asked: bytes
) -> None:
    reader, ear = asyncio.StreamReader(limit=module.LONGEST_REQUEST), Ear()
    reader.feed_data(asked)
    reader.feed_eof()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "peer_uid", lambda sock: uid)
        await asyncio.create_task(ControlServer(House(keeper, place), ())._meet(reader, ear))  # type: ignore[arg-type]
    assert all(row.get("exit") != 70 for row in ear.told), ear.told
    assert uid == 0 or [*keeper.ledger.grants(keeper.clock.now())] == []


async def test_an_operation_that_breaks_is_a_bug_of_ours_and_ends_nothing(
    serve: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await serve()

    async def broken(*_: object) -> Any:
        raise ValueError("oops")
        yield {}

    monkeypatch.setitem(operations.OPERATIONS, "list", operations.Operation(operations.Filter, broken))
    (said,) = await asyncio.to_thread(answer, place, b'{"operation": "list"}\n')
    assert said["exit"] == 70
    assert "oops" in said["error"]


async def test_who_closes_the_sending_half_is_answered(serve: Any, place: Path) -> None:
    await serve()
    said = await asyncio.to_thread(answer, place, b'{"operation": "explain", "arguments": {"address": "9.9.9.9"}}\n',
                                   half_close=True)  # fmt: skip
    assert said[-1] == {"exit": 1}


async def test_who_says_nothing_is_dropped(serve: Any, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_WITHIN", 0.05)
    server = await serve()
    (said,) = await asyncio.to_thread(answer, place, b'{"operation":')
    assert said == {"error": "no request within 0.05 seconds", "exit": 2}
    assert server.counts()["refused_stalled"] == 1


async def test_who_does_not_read_is_dropped(
    serve: Any, place: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(module, "ROW_TAKEN_WITHIN", 0.05)
    server = await serve()

    def order(draft: Any) -> None:
        for number in range(5_000):
            draft.allow(Address(f"9.{number // 250}.9.{number % 250}"), "ann")

    await keeper.open(order)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(str(place / "c"))
        sock.sendall(b'{"operation": "list"}\n')
        await eventually(lambda: server._open)
        await eventually(lambda: not server._open)
    assert server.counts() == {"refused_slow": 1, "connections": 0}


async def test_what_keeps_happening_is_logged_once_and_counted_each_time(serve: Any, place: Path) -> None:
    server = await serve()
    with capture_logs() as logs:
        for _ in range(3):
            await asyncio.to_thread(answer, place, b"hello\n")
    assert server.counts()["refused_malformed"] == 3
    (said,) = [line for line in logs if line["event"] == "peer refused"]
    assert (said["service"], said["reason"], said["log_level"]) == ("control", "malformed", "warning")
    assert "hello" not in str(said)


async def test_too_many_connections_are_told_so_and_those_before_are_served(
    serve: Any, place: Path, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(module, "MOST_CONNECTIONS", 3)
    server = await serve()
    early = [connect(place / "c") for _ in range(3)]
    await eventually(lambda: len(server._open) == 3)
    with pytest.raises(Refused, match="too many"):
        await asyncio.to_thread(rows, place, "list")
    assert server.counts()["refused_crowded"] == 1
    for connection in early:
        assert await asyncio.to_thread(list, ask(connection, "list", {}, wait=5)) == []
    assert await asyncio.to_thread(rows, place, "list") == []


async def test_those_who_may_only_read_cannot_keep_out_those_who_may_write(
    serve: Any, place: Path, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(module, "MOST_OF_ONE", 2)
    server = await serve()
    for who, refused in ((("eve", False), True), (("root", True), False)):
        monkeypatch.setattr(server, "_peer", lambda _, who=who: who)
        early = [connect(place / "c") for _ in range(2)]
        await eventually(lambda: [*server._open.values()].count(who) == 2)  # noqa: B023 - it is awaited here
        if refused:
            with pytest.raises(Refused, match="too many"):
                await asyncio.to_thread(rows, place, "list")
        else:
            assert await asyncio.to_thread(rows, place, "list") == []
        for connection in early:
            connection.close()


async def test_a_watch_shows_changes_and_ends_when_the_peer_goes(
    serve: Any, place: Path, keeper: Keeper, eventually: Any
) -> None:
    await serve()
    connection = connect(place / "c")
    watching = iter(ask(connection, "watch", {"user": "ann"}, wait=5))
    await eventually(lambda: keeper.listeners)
    await keeper.open(lambda draft: draft.allow(Address("9.9.9.9"), "bob"))
    await keeper.open(lambda draft: draft.allow(Address("9.9.9.9"), "ann"))
    row = await asyncio.to_thread(next, watching)
    assert (row["change"], row["user"]) == ("opened", "ann")
    watching.close()  # type: ignore[attr-defined]  # it is a generator
    connection.close()
    await eventually(lambda: not keeper.listeners)


async def test_a_watch_of_all_begins_with_those_who_may_relay(
    serve: Any, place: Path, keeper: Keeper, eventually: Any
) -> None:
    await serve()
    await keeper.open(lambda draft: draft.allow(Address("9.9.9.9"), "ann"))
    connection = connect(place / "c")
    watching = iter(ask(connection, "watch", {"all": True}, wait=5))
    row = await asyncio.to_thread(next, watching)
    assert (row["change"], row["user"], row["address"]) == (None, "ann", "9.9.9.9")
    await keeper.open(lambda draft: draft.allow(Address("9.9.9.8"), "bob"))
    row = await asyncio.to_thread(next, watching)
    assert (row["change"], row["user"]) == ("opened", "bob")
    watching.close()  # type: ignore[attr-defined]  # it is a generator
    connection.close()


async def test_a_watch_that_reads_too_slowly_is_told_that_it_has_missed_changes(
    serve: Any, place: Path, keeper: Keeper, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MOST_WAITING", 5)
    await serve()
    watching = ask(connect(place / "c"), "watch", {}, wait=5)
    await eventually(lambda: keeper.listeners)

    def order(draft: Any) -> None:
        for number in range(9):
            draft.allow(Address(f"9.9.9.{number}"), "ann")

    await keeper.open(order)
    shown: list[str] = []

    def read() -> None:
        shown.extend(row["address"] for row in watching)

    with pytest.raises(PoprelayError, match="some are not shown"):
        await asyncio.to_thread(read)
    assert len(shown) == 5


async def test_stopping_ends_what_is_open(serve: Any, place: Path, keeper: Keeper, eventually: Any) -> None:
    server = await serve()
    watching = ask(connect(place / "c"), "watch", {}, wait=5)
    await eventually(lambda: keeper.listeners)
    await server.stop()
    with pytest.raises(NoDaemon, match="went away"):
        await asyncio.to_thread(list, watching)
    with pytest.raises(NoDaemon):
        connect(place / "c")


async def test_who_asks_is_known_by_the_kernels_word(serve: Any, place: Path, keeper: Keeper) -> None:
    await serve()
    await asyncio.to_thread(rows, place, "revoke", address="9.9.9.9", deny="1d")
    (order,) = keeper.ledger.revocations()
    assert order.by == pwd.getpwuid(os.geteuid()).pw_name


AS_ANOTHER = """
import json, os, socket, sys  # before: another user may not be able to read Python's files
os.setgroups([]); os.setgid(65534); os.setuid(int(sys.argv[1]))
sock = socket.socket(socket.AF_UNIX); sock.settimeout(5)
try:
    sock.connect(sys.argv[2])
except PermissionError:
    sys.exit("may not connect")
sock.sendall(sys.argv[3].encode() + b"\\n")
while said := sock.recv(4096):
    os.write(1, said)
"""


@pytest.fixture
def ask_as() -> Callable[..., Any]:
    """Asks as another user id; what is answered, or the exit message."""

    async def carry_out(path: Path, operation: str, uid: int = 65534, **arguments: Any) -> str:
        request = json.dumps({"operation": operation, "arguments": arguments})
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-S", "-c", AS_ANOTHER, str(uid), str(path / "c"), request],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout or done.stderr.strip()

    return carry_out


@pytest.mark.skipif(not ROOT, reason="only root can be somebody else")
async def test_another_user_may_read_but_not_write_unless_listed(serve: Any, place: Path, ask_as: Any) -> None:
    server = await serve()
    assert json.loads(await ask_as(place, "list")) == {"exit": 0}
    said = json.loads(await ask_as(place, "allow", address="9.9.9.9"))
    assert said["exit"] == NotPermitted.exit_code == 77
    assert said["error"].startswith("nobody may not allow: ")
    await server.stop()
    await serve("nobody")
    assert '"opened"' in await ask_as(place, "allow", address="9.9.9.9")


@pytest.mark.skipif(not ROOT, reason="only root can be somebody else")
async def test_a_user_id_beyond_two_thousand_million_is_nobody_special(serve: Any, place: Path, ask_as: Any) -> None:
    await serve()
    said = json.loads(await ask_as(place, "wipe", 4_000_000_000))
    assert said["error"].startswith("uid 4000000000 may not wipe: ")


@pytest.mark.skipif(not ROOT, reason="root comes in everywhere")
async def test_the_mode_of_the_socket_says_who_may_come_in(serve: Any, place: Path, ask_as: Any) -> None:
    await serve(mode=0o660)
    assert stat.S_IMODE((place / "c").stat().st_mode) == 0o660
    assert await ask_as(place, "list") == "may not connect"
