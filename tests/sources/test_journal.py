"""The journal source with a journalctl of the test's own making: what it asks for, and what it does when that fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

import pytest
from structlog.testing import LogCapture

from poprelay.agents.base import Agent
from poprelay.errors import SourceError
from poprelay.model import Login
from poprelay.scan import Scanner
from poprelay.sources import Batch, journal, journalctl
from poprelay.sources.journal import JournalSource
from poprelay.sources.journalctl import Journal
from poprelay.sources.journalentries import Position, Tags, same_entry
from poprelay.sources.journaltrust import Choice

BOOT, EARLIER = "b" * 32, "a" * 32


def cursor(number: int, *, boot: str = BOOT, file: str = "f" * 32) -> str:
    return f"s={file};i={number:x};b={boot};m={number:x};t={number:x};x={number:x}"


def entry(number: int, message: object, *, boot: str = BOOT, **fields: object) -> bytes:
    """One line of `journalctl -o json`."""
    usual = {"SYSLOG_IDENTIFIER": "popd", "_HOSTNAME": "mx", "_PID": "7", "_UID": "0", "_COMM": "popd"}
    own = {
        "__CURSOR": cursor(number, boot=boot),
        "__REALTIME_TIMESTAMP": f"{1_800_000_000_000_000 + number}",
        "_TRANSPORT": "syslog",
        "MESSAGE": message,
    }
    return json.dumps({**usual, **own, **fields}, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def login(number: int, user: str, *, boot: str = BOOT, **fields: object) -> bytes:
    return entry(number, f"login {user} 192.0.2.7", boot=boot, **fields)


class Popd(Agent):
    name = "popd"
    program = "popd"
    login = (r'login (?P<user>[^" ]+) (?P<address>[0-9.]+)$', r'"entered" (?P<user>[^" ]+) (?P<address>[0-9.]+)$')


class Fake:
    """A journalctl that does what the test writes in shell, and notes how it was called."""

    def __init__(self, place: Path) -> None:
        self.path = place / "journalctl"
        self.entries = place / "entries"
        self.calls_path = place / "calls"
        self.entries.write_bytes(b"")
        self.calls_path.write_text("")
        self.does(end='cat "$entries"', follow="exec sleep 60")

    def does(self, *, end: str, follow: str) -> None:
        """`end` without `--follow`, `follow` with it."""
        self.path.write_text(
            f'#!/bin/sh\necho "$*" >>{self.calls_path}\nentries={self.entries}\n'
            f'case "$*" in *--follow*) {follow};; *) {end};; esac\n'
        )
        self.path.chmod(0o755)

    def holds(self, *lines: bytes) -> None:
        self.entries.write_bytes(b"".join(lines))

    def calls(self) -> list[list[str]]:
        return [line.split() for line in self.calls_path.read_text().splitlines()]

    def source(
        self, agents: Iterable[Agent] = (), choice: Choice | None = None, *, renew: float = 600.0, name: str = "journal"
    ) -> JournalSource:
        used = [*agents] or [Popd()]
        return JournalSource(
            Journal(program=str(self.path)),
            Tags.of(used),
            lambda: Scanner(used, source=name),
            choice or Choice(),
            renew=renew,
        )


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text(f"{BOOT}\n")
    monkeypatch.setattr(journal, "_BOOT", boot_id)
    return Fake(tmp_path)


async def read(
    source: JournalSource, position: bytes | None = None, *, until: Callable[[Batch], bool] | None = None
) -> tuple[list[str], bytes]:
    """The users of all logins up to the batch for which `until` holds, or that is caught up; and the position then."""
    users: list[str] = []
    batches = source.batches(position)
    assert isinstance(batches, AsyncGenerator)
    async with asyncio.timeout(20), contextlib.aclosing(batches):
        async for batch in batches:
            users += [event.user for event in batch.events if isinstance(event, Login)]
            if batch.caught_up if until is None else until(batch):
                return users, batch.position
    raise AssertionError("the journal never ends")


async def test_reading_goes_to_the_end_and_then_follows_from_there(fake: Fake) -> None:
    fake.does(end='cat "$entries"', follow=f"cat {fake.entries}.more; exec sleep 60")
    fake.holds(login(1, "ann"), login(2, "bob"))
    Path(f"{fake.entries}.more").write_bytes(login(2, "bob") + login(3, "carl"))
    caught_up = 0

    def third(batch: Batch) -> bool:
        nonlocal caught_up
        caught_up += batch.caught_up
        return caught_up == 2

    users, position = await read(fake.source(), until=third)

    assert users == ["ann", "bob", "carl"]
    assert Position.decode(position).cursor == cursor(3)
    first, second = fake.calls()
    assert "--output=json" in first
    assert "SYSLOG_IDENTIFIER=popd" in first
    assert not any(word.startswith(("--follow", "--cursor", "_BOOT_ID")) for word in first)
    assert {"--follow", "--no-tail", f"--cursor={cursor(2)}"} <= {*second}


async def test_reading_again_begins_at_the_cursor_and_leaves_its_entry_out(fake: Fake) -> None:
    fake.holds(login(1, "ann"))
    _, position = await read(fake.source())
    fake.holds(login(1, "ann"), login(2, "bob"))

    users, _ = await read(fake.source(), position)

    assert users == ["bob"]
    assert f"--cursor={cursor(1)}" in fake.calls()[-1]
    assert not any("after-cursor" in word for call in fake.calls() for word in call)


async def test_an_entry_that_has_moved_to_another_file_is_known_again(fake: Fake) -> None:
    fake.holds(login(1, "ann"))
    _, position = await read(fake.source())
    moved = login(1, "ann").replace(b"s=" + b"f" * 32, b"s=" + b"e" * 32)
    fake.holds(moved, login(2, "bob"))

    assert (await read(fake.source(), position))[0] == ["bob"]
    assert not same_entry(cursor(1), cursor(2))


async def test_a_new_boot_is_read_from_its_beginning_whatever_its_clock_says(fake: Fake) -> None:
    fake.holds(login(900, "ann", boot=EARLIER))
    _, position = await read(fake.source())
    fake.does(
        end=f'case "$*" in *_BOOT_ID=*) cat {fake.entries}.new;; *) cat "$entries";; esac', follow="exec sleep 60"
    )
    fake.holds(login(900, "ann", boot=EARLIER), login(901, "bob", boot=EARLIER), login(902, "dora"))
    Path(f"{fake.entries}.new").write_bytes(login(100, "carl") + login(902, "dora"))
    fake.calls_path.write_text("")

    users, position = await read(fake.source(), position)

    assert users == ["bob", "carl", "dora"]
    before, current = (call for call in fake.calls() if "--follow" not in call)
    assert f"--cursor={cursor(900, boot=EARLIER)}" in before
    assert current.count(f"_BOOT_ID={BOOT}") == 2, "of the servers' entries and of journald's own"
    assert Position.decode(position).cursor == cursor(902)


async def test_a_position_in_an_earlier_boot_follows_this_boot_from_its_beginning(fake: Fake) -> None:
    fake.holds(login(900, "ann", boot=EARLIER))
    _, position = await read(fake.source())
    fake.does(end="true", follow=f"cat {fake.entries}.new; exec sleep 60")
    Path(f"{fake.entries}.new").write_bytes(login(1, "bob"))

    users, _ = await read(fake.source(), position, until=lambda batch: bool(batch.events))

    assert users == ["bob"]
    assert not any(word.startswith("--cursor") for word in fake.calls()[-1])


async def test_a_start_at_the_end_begins_behind_the_newest_entry_of_all(fake: Fake) -> None:
    fake.does(
        end=f'case "$*" in *--lines=1*) cat {fake.entries}.last;; *) cat "$entries";; esac', follow="exec sleep 60"
    )
    Path(f"{fake.entries}.last").write_bytes(b'{"__CURSOR":"' + cursor(5).encode() + b'","_UID":"0"}\n')
    batches = fake.source().batches(None, at_end=True)

    first = await anext(batches)

    assert (first.events, first.caught_up, Position.decode(first.position).cursor) == ((), True, cursor(5))
    assert isinstance(batches, AsyncGenerator)
    await batches.aclose()


async def test_a_half_read_entry_counts_only_when_it_is_read_again(fake: Fake) -> None:
    fake.holds(login(1, "ann"), login(2, "bob")[:-20])
    fake.does(end='cat "$entries"; kill -9 $$', follow="exec sleep 60")
    positions: list[bytes] = []

    def note(batch: Batch) -> bool:
        positions.append(batch.position)
        return False

    with pytest.raises(SourceError, match="journalctl ended with signal SIGKILL"):
        await read(fake.source(), until=note)
    fake.does(end='cat "$entries"', follow="exec sleep 60")
    fake.holds(login(1, "ann"), login(2, "bob"))

    assert (await read(fake.source(), positions[-1]))[0] == ["bob"]


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("echo one >&2; echo Failed to open: reason >&2; exit 1", r"ended with exit code 1: Failed to open: reason"),
        ("exit 3", r"ended with exit code 3: \(silence\)"),
        (
            "echo Hint: You are currently not seeing messages from other users and the system. >&2",
            r"poprelay may not read all of the journal: .* systemd-journal",
        ),
        (
            "echo No journal files were opened due to insufficient permissions. >&2; exit 1",
            r"poprelay may not read all of the journal: .* systemd-journal",
        ),
    ],
)
async def test_a_journalctl_that_fails_is_an_error_that_says_why(fake: Fake, end: str, error: str) -> None:
    fake.does(end=end, follow="exec sleep 60")
    with pytest.raises(SourceError, match=error) as raised:
        await read(fake.source())
    assert raised.value.retry


async def test_a_follower_that_ends_by_itself_is_an_error(fake: Fake) -> None:
    fake.does(end="true", follow="true")
    with pytest.raises(SourceError, match="journalctl ended by itself"):
        await read(fake.source(), until=lambda batch: False)


async def test_a_journalctl_that_closes_its_output_and_stays_is_an_error(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalctl, "_LAST_WORDS", 0.1)
    fake.does(end="exec sleep 60 >&-", follow="exec sleep 60")
    with pytest.raises(SourceError, match="does not end"):
        await read(fake.source())


async def test_without_journalctl_the_error_says_what_to_do_instead(fake: Fake) -> None:
    fake.path.unlink()
    with pytest.raises(SourceError, match=r'journalctl cannot be run: No such file .* kind = "file"'):
        await read(fake.source())


async def test_what_is_no_entry_is_counted_and_left_out(fake: Fake) -> None:
    garbage = b'garbage\n{"MESSAGE":1}\n\xff\xfe\n' + b'{"x":' + b"[" * 60_000 + b"\n"
    fake.holds(login(1, "ann"), garbage, login(2, "bob"))
    source = fake.source()

    assert (await read(source))[0] == ["ann", "bob"]
    assert source.state()["unreadable"] == 4


async def test_an_entry_of_any_length_takes_bounded_memory_and_is_cut(fake: Fake) -> None:
    fake.does(
        end='cat "$entries"; head -c 20000000 /dev/zero | tr "\\0" x; echo; cat "$entries.2"', follow="exec sleep 60"
    )
    fake.holds(login(1, "ann"))
    Path(f"{fake.entries}.2").write_bytes(login(3, "bob"))
    cut = 0

    def count(batch: Batch) -> bool:
        nonlocal cut
        cut += batch.cut
        return batch.caught_up

    users, _ = await read(fake.source(), until=count)
    assert (users, cut) == (["ann", "bob"], 1)


async def test_however_much_journalctl_complains_it_never_waits_for_us(fake: Fake) -> None:
    fake.does(end='yes complaint | head -c 5000000 >&2; cat "$entries"', follow="exec sleep 60")
    fake.holds(login(1, "ann"))
    assert (await read(fake.source()))[0] == ["ann"]


async def test_journalctl_is_started_anew_from_time_to_time_and_nothing_counts_twice(fake: Fake) -> None:
    fake.holds(login(1, "ann"))
    users: list[str] = []
    batches = fake.source(renew=0.05).batches(None)
    assert isinstance(batches, AsyncGenerator)
    async with asyncio.timeout(20), contextlib.aclosing(batches):
        async for batch in batches:
            users += [event.user or "" for event in batch.events]
            if batch.caught_up:
                fake.holds(login(1, "ann"), login(2, "bob"))  # as if the follower had not seen it
            if "bob" in users:
                break
    assert users == ["ann", "bob"]


async def test_when_reading_stops_no_process_is_left(fake: Fake) -> None:
    fake.does(end="true", follow=f"echo $$ >{fake.entries}; exec sleep 60")
    batches = fake.source().batches(None)

    async def follow() -> None:
        async for _ in batches:
            pass

    task = asyncio.create_task(follow())
    async with asyncio.timeout(10):
        while not fake.entries.read_text().strip():
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    with pytest.raises(ProcessLookupError):
        os.kill(int(fake.entries.read_text()), 0)


async def test_text_that_json_must_escape_is_still_found(fake: Fake) -> None:
    quoted = '"entered" ann 192.0.2.7'
    fake.holds(
        entry(1, quoted),
        entry(2, list(b'"entered" b\xf6b 192.0.2.7')),
        entry(3, f"{quoted}\n{quoted}"),
        entry(4, f"x\n{quoted}"),
        entry(5, [quoted, quoted]),
        entry(6, None),
    )
    assert (await read(fake.source()))[0] == ["ann", "b\udcf6b"]


async def test_a_position_that_cannot_be_read_is_as_none(fake: Fake, logged: LogCapture) -> None:
    fake.holds(login(1, "ann"))
    for position in (b"", b"\x93\x01\xa5; rm \xc0", b"nonsense"):
        assert (await read(fake.source(), position))[0] == ["ann"]
    assert [each["event"] for each in logged.entries] == ["position is not readable, and the journal is read anew"] * 3


async def test_a_writer_that_may_not_speak_is_told_of_once(fake: Fake, logged: LogCapture) -> None:
    forged = [login(number, "eve", _UID="1000", _COMM="logger") for number in range(2, 5)]
    fake.holds(login(1, "ann"), *forged, login(5, "dup", SYSLOG_IDENTIFIER=["popd", "x"]), login(6, "bob"))
    source = fake.source()

    assert (await read(source))[0] == ["ann", "bob"]
    assert source.state()["refused"] == 4
    assert [each["uid"] for each in logged.entries] == ["1000", "0"]
    assert "3 entries of 'popd' by user id 1000, command 'logger'" in str(source.state()["remarks"])


async def test_what_journald_says_of_its_rate_limit_is_counted_unless_somebody_else_says_it(fake: Fake) -> None:
    said = {"MESSAGE_ID": journalctl.SUPPRESSED, "N_DROPPED": "70", "SYSLOG_IDENTIFIER": "systemd-journald"}
    fake.holds(
        entry(1, "Suppressed 70 messages from popd.service", _TRANSPORT="driver", **said),
        entry(2, "Suppressed 70 messages from popd.service", _TRANSPORT="journal", **said),
        login(3, "ann"),
    )
    source = fake.source()

    assert (await read(source))[0] == ["ann"]
    assert source.state()["suppressed"] == 70


async def test_a_program_by_the_end_of_its_tag_is_found_among_all(fake: Fake) -> None:
    class Suffixed(Popd):
        program = "*/popd"

    fake.holds(
        login(1, "ann", SYSLOG_IDENTIFIER="mail/popd"),
        login(2, "bob", SYSLOG_IDENTIFIER="popd"),
        login(3, "eve", SYSLOG_IDENTIFIER="mail/popd", _UID="1000"),
        login(4, "eve", SYSLOG_IDENTIFIER="other", _UID="1000"),
    )
    source = fake.source([Suffixed()])

    assert (await read(source))[0] == ["ann"]
    assert source.state()["refused"] == 1
    assert not any(word.startswith("SYSLOG_IDENTIFIER") for word in fake.calls()[0])
