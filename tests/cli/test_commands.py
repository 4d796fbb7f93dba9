"""The commands, with a daemon and without: what they print, what they change, and their exit codes."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from live.daemon import PROGRAM, Poprelay
from poprelay.cli.main import run
from poprelay.daemon.client import connect
from poprelay.daemon.storage import Storage
from poprelay.errors import NoDaemon
from poprelay.ledger.lock import acquire

SETTINGS = """
[relay]
period = "30m"
exclude_networks = []
{relay}
[[sources]]
kind = "file"
path = "{place}/mail.log"
agents = ["dovecot"]
[[maps]]
kind = "text"
path = "{place}/relay.txt"
[[maps]]
kind = "spool"
path = "{place}/spool"
[[maps]]
kind = "lmdb"
path = "{place}/relay.lmdb"
"""
STABLE = {"address", "user", "basis", "opened", "until", "agent", "sessions", "reason"}
ROOT = os.geteuid() == 0


class Ran(NamedTuple):
    exit: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Ran]


@pytest.fixture(params=["with a daemon", "without a daemon"])
def poprelay(request: pytest.FixtureRequest, place: Path) -> Iterator[Poprelay]:
    made = Poprelay(place / "d", SETTINGS.format(place=place, relay=""))
    (place / "mail.log").touch()
    if request.param == "with a daemon":
        made.start()
        made.settled()
    yield made
    if made.running:
        made.kill()


@pytest.fixture
def offline(place: Path) -> Poprelay:
    """A config, with no daemon."""
    return Poprelay(place / "d", SETTINGS.format(place=place, relay=""))


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command within this process."""

    def carry_out(poprelay: Poprelay, name: str, *arguments: str) -> Ran:
        capfd.readouterr()
        code = run([name, "-c", str(poprelay.config), *arguments])
        return Ran(code, *capfd.readouterr())

    return carry_out


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name, which others may look into."""
    with tempfile.TemporaryDirectory(prefix="pr-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def held(place: Path) -> set[str]:
    """What the text map holds."""
    return {line for line in (place / "relay.txt").read_text().splitlines() if not line.startswith("#")}


def one_line(ran: Ran, exit_code: int) -> str:
    """The one line that a command which fails says."""
    assert ran.exit == exit_code, ran
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith("poprelay: ")
    return line


def test_what_is_allowed_is_listed_explained_published_and_remembered(
    poprelay: Poprelay, command: Command, place: Path
) -> None:
    done = command(poprelay, "allow", "9.9.9.9", "--user", "ann", "--for", "2h", "--reason", "printer")
    assert (done.exit, done.err) == (0, "")
    assert re.fullmatch(r"9\.9\.9\.9 may relay until .+ \(1h 59m left\)\n", done.out)
    assert held(place) == {"9.9.9.9"}
    assert (place / "spool/9.9.9.9").read_text() == "ann"

    listed = command(poprelay, "list", "--json")
    (row,) = listed.rows
    assert listed.exit == 0
    assert row.keys() >= STABLE
    assert (row["address"], row["user"], row["basis"], row["reason"]) == ("9.9.9.9", "ann", "allow", "printer")
    assert command(poprelay, "list", "--json", "--user", "bob").rows == []
    assert command(poprelay, "list", "--json", "--address", "8.8.4.4").rows == []
    assert command(poprelay, "list", "--json", "--address", "9.9.9.9", "--user", "ann").rows == [row]
    assert command(poprelay, "list").out.startswith("9.9.9.9  ann  allow  ")

    explained = command(poprelay, "explain", "9.9.9.9")
    assert explained.exit == 0
    assert explained.out.startswith("9.9.9.9 may relay now\n  allow: ann until ")
    assert explained.out.count(": holds it\n") == 3

    past = command(poprelay, "history", "--json")
    assert [(row["change"], row["address"], row["reason"]) for row in past.rows] == [("opened", "9.9.9.9", "printer")]
    assert past.rows[0].keys() >= STABLE | {"at", "change"}
    assert command(poprelay, "history", "--json", "--user", "bob").rows == []
    assert command(poprelay, "history", "--since", "1d").out.endswith("printer  1\n")


def test_revoking_says_what_was_closed_and_who_still_holds_the_address(
    poprelay: Poprelay, command: Command, place: Path
) -> None:
    command(poprelay, "allow", "9.9.9.9", "--user", "ann")
    command(poprelay, "allow", "9.9.9.9", "--user", "bob")
    done = command(poprelay, "revoke", "--user", "ann", "--reason", "spam")
    assert done.exit == 0
    assert done.out.splitlines() == [
        "closed: 9.9.9.9 ann",
        "still allowed: 9.9.9.9 by bob, on basis allow",
        "a new login opens it again; --deny 7d would refuse that too",
    ]
    assert held(place) == {"9.9.9.9"}
    done = command(poprelay, "revoke", "--address", "9.9.9.9", "--json")
    assert [row["change"] for row in done.rows] == ["closed", "revoked"]
    assert held(place) == set()
    assert not (place / "spool/9.9.9.9").exists()
    assert command(poprelay, "list").out == "nobody may relay now\n"


def test_revoking_nothing_is_exit_1_but_denying_is_not_nothing(poprelay: Poprelay, command: Command) -> None:
    done = command(poprelay, "revoke", "--address", "9.9.9.9")
    assert (done.exit, done.out) == (1, "there was no grant to close; --deny 7d would refuse new logins\n")
    done = command(poprelay, "revoke", "--address", "9.9.9.9", "--deny", "7d")
    assert (done.exit, done.out) == (0, "there was no grant to close; new logins are refused for 7d\n")
    explained = command(poprelay, "explain", "9.9.9.9", "--json")
    assert explained.exit == 1
    (row,) = explained.rows
    assert row["answer"] == "no"
    assert any("denied until" in why for why in row["why"])


def test_denials_are_listed_and_lifted(poprelay: Poprelay, command: Command) -> None:
    command(poprelay, "revoke", "--user", "ann", "--deny", "7d", "--reason", "spam")
    command(poprelay, "revoke", "--address", "9.9.9.9", "--deny", "1d")
    rows = command(poprelay, "denials", "--json").rows
    assert [(row["address"], row["user"], row["reason"]) for row in rows] == [
        (None, "ann", "spam"),
        ("9.9.9.9", None, ""),
    ]

    assert command(poprelay, "denials", "--lift").exit == 2
    assert command(poprelay, "denials", "--lift", "--user", "bob").exit == 1
    (lifted,) = command(poprelay, "denials", "--lift", "--user", "ann", "--json").rows
    assert (lifted["change"], lifted["user"]) == ("lifted", "ann")
    assert re.match(r"9\.9\.9\.9  -  ", command(poprelay, "denials").out)
    command(poprelay, "denials", "--lift", "--address", "9.9.9.9")
    assert command(poprelay, "denials").out == "nobody is denied\n"


def test_a_special_range_is_allowed_only_by_force(poprelay: Poprelay, command: Command, place: Path) -> None:
    line = one_line(command(poprelay, "allow", "10.1.2.3"), 1)
    assert "private" in line
    assert "--force" in line
    assert held(place) == set()
    assert command(poprelay, "allow", "10.1.2.3", "--force").exit == 0
    assert held(place) == {"10.1.2.3"}


def test_an_address_that_is_not_allowed_is_explained_by_the_rules(poprelay: Poprelay, command: Command) -> None:
    command(poprelay, "allow", "9.9.9.9")
    explained = command(poprelay, "explain", "127.0.0.1")
    assert explained.exit == 1
    assert explained.out.startswith("127.0.0.1 may not relay\n  it has no live grant\n")
    assert "loopback" in explained.out


def test_what_refuses_logins_does_not_count_against_an_allow_and_explain_says_so(
    offline: Poprelay, command: Command, place: Path
) -> None:
    offline.configure(SETTINGS.format(place=place, relay='deny_networks = ["9.9.9.0/24"]'))
    assert command(offline, "allow", "9.9.9.9").exit == 0
    explained = command(offline, "explain", "9.9.9.9")
    assert explained.exit == 0
    said = "a login would open nothing: deny_networks has 9.9.9.9; that does not count against an allow"
    assert said in explained.out


def test_wiping_closes_everything(poprelay: Poprelay, command: Command, place: Path) -> None:
    command(poprelay, "allow", "9.9.9.9")
    command(poprelay, "allow", "8.8.4.4")
    assert command(poprelay, "wipe").out == "2 closed\n"
    assert held(place) == set()
    assert [row["reason"] for row in command(poprelay, "history", "--json").rows[:2]] == ["wiped", "wiped"]
    assert command(poprelay, "wipe").out == "0 closed\n"


def test_cleanup_finds_nothing_to_do_where_all_is_live(poprelay: Poprelay, command: Command, place: Path) -> None:
    command(poprelay, "allow", "9.9.9.9")
    assert command(poprelay, "cleanup").out == "0 closed\n"
    assert held(place) == {"9.9.9.9"}


def test_cleanup_without_a_daemon_removes_what_is_not_live_and_adds_nothing(
    offline: Poprelay, command: Command, place: Path
) -> None:
    command(offline, "allow", "9.9.9.9")
    command(offline, "allow", "8.8.4.4")
    (place / "relay.txt").write_text((place / "relay.txt").read_text().replace("9.9.9.9", "1.1.1.1"))
    (place / "spool/9.9.9.9").rename(place / "spool/1.1.1.1")
    assert command(offline, "cleanup").exit == 0
    assert held(place) == {"8.8.4.4"}
    assert [file.name for file in (place / "spool").iterdir()] == ["8.8.4.4"]
    assert len(command(offline, "list", "--json").rows) == 2


def test_without_a_daemon_too_what_the_config_no_longer_says_always_stands_is_closed(
    offline: Poprelay, command: Command, place: Path
) -> None:
    settings = SETTINGS.format(place=place, relay="")
    (place / "mail.log").touch()
    offline.configure(f'{settings}\n[[standing]]\naddress = "9.9.9.9"\nuser = "printer"\n')
    offline.start()
    offline.settled()
    assert held(place) == {"9.9.9.9"}
    assert offline.stop() == 0
    assert command(offline, "explain", "9.9.9.9").exit == 0
    offline.configure(settings)
    assert command(offline, "list", "--json").rows == []
    assert "standing" not in command(offline, "explain", "9.9.9.9").out
    (place / "relay.txt").unlink()
    assert command(offline, "allow", "8.8.4.4").exit == 0
    assert held(place) == {"8.8.4.4"}
    assert command(offline, "cleanup").exit == 0
    assert held(place) == {"8.8.4.4"}
    closed = [row for row in command(offline, "history", "--json").rows if row["change"] == "closed"]
    assert [(row["address"], row["basis"], row["reason"]) for row in closed] == [("9.9.9.9", "standing", "config")]


def test_cleanup_makes_the_maps_that_an_mta_waits_for(offline: Poprelay, command: Command, place: Path) -> None:
    assert command(offline, "cleanup").exit == 0
    assert held(place) == set()
    assert (place / "relay.lmdb").exists()
    assert (place / "spool").is_dir()


def test_cleanup_that_cannot_write_a_map_is_not_well(
    offline: Poprelay, command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poprelay.daemon.operations.PATIENCE", 0.3)
    (place / "relay.txt").mkdir()
    done = command(offline, "cleanup")
    assert done.exit == 1
    assert f"text {place}/relay.txt" in done.err
    assert done.err.splitlines()[-1].startswith("poprelay: not every map")


def test_commands_that_only_read_create_and_change_nothing(offline: Poprelay, command: Command, place: Path) -> None:
    def look() -> dict[str, Any]:
        return {
            str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_size)
            for path in sorted(place.rglob("*"))
            if path.is_file() and not path.name.endswith(("-wal", "-shm"))  # SQLite makes and removes these
        }

    def read() -> None:
        for name, *arguments in (
            ["list"], ["history"], ["explain", "9.9.9.9"], ["explain", "8.8.4.4"], ["check"], ["status"], ["agents"],
        ):  # fmt: skip
            command(offline, name, *arguments)

    before = look()
    read()
    assert look() == before
    command(offline, "allow", "9.9.9.9")
    (place / "relay.lmdb").rename(place / "elsewhere")
    (place / ".relay.txt.1.new").touch()
    before = look()
    read()
    assert look() == before


def test_a_daemon_that_is_only_starting_is_asked_once_it_listens(
    poprelay: Poprelay, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[Path] = []

    def connect_late(path: Path) -> object:
        attempts.append(path)
        if len(attempts) == 1:
            raise NoDaemon("not yet")
        return connect(path)

    monkeypatch.setattr("poprelay.cli.call.connect", connect_late)
    done = command(poprelay, "cleanup")
    assert (done.exit, done.err) == (0, "")
    assert len(attempts) == (2 if poprelay.running else 1)


def test_a_ledger_that_another_command_holds_is_told_so(
    offline: Poprelay, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poprelay.daemon.offline.Storage", partial(Storage, patience=0.1))
    with acquire(offline.ledger):
        assert "already works on the ledger" in one_line(command(offline, "cleanup"), 1)


def test_without_a_ledger_and_a_daemon_nothing_can_be_told(offline: Poprelay, command: Command) -> None:
    explained = command(offline, "explain", "9.9.9.9")
    assert explained.exit == 3
    assert explained.out.startswith("9.9.9.9 cannot be judged now\n  there is no ledger at ")
    assert "there is no ledger" in one_line(command(offline, "list"), 1)


def test_with_no_daemon_it_is_said_that_no_service_answers(offline: Poprelay, command: Command, place: Path) -> None:
    service = f'[[services]]\nkind = "socketmap"\nlisten = "unix:{place}/socketmap"\n'
    offline.configure(SETTINGS.format(place=place, relay="") + service)
    command(offline, "allow", "9.9.9.9")
    explained = command(offline, "explain", "9.9.9.9")
    assert explained.exit == 0, "an MTA that reads a map sees it"
    assert "no daemon is running, so no service answers" in explained.out
    offline.configure(SETTINGS.format(place=place, relay="").partition("[[maps]]")[0] + service)
    explained = command(offline, "explain", "9.9.9.9")
    assert explained.exit == 3
    assert explained.out.startswith("9.9.9.9 cannot be judged now\n")


@pytest.mark.parametrize("name", ["status", "watch"])
def test_what_needs_a_daemon_says_so_with_exit_3(offline: Poprelay, command: Command, name: str) -> None:
    assert one_line(command(offline, name), 3).endswith(
        "start it: systemctl start poprelay (without systemd: poprelayd -c FILE.toml start)"
    )


def test_a_granted_network_can_be_named_as_the_list_shows_it(place: Path, command: Command) -> None:
    settings = SETTINGS.format(place=place, relay="ipv6_prefix = 64").partition("[[maps]]")[0]
    offline = Poprelay(place / "d", settings)
    assert command(offline, "allow", "2a00::1:2:3:4").exit == 0
    (row,) = command(offline, "list", "--json", "--address", "2a00::/64").rows
    assert row["address"] == "2a00::/64"
    assert command(offline, "explain", "2a00::9").exit == 0
    assert command(offline, "explain", "2a00:0:0:1::9").exit == 1
    assert "not one full" in one_line(command(offline, "list", "--address", "2a00::/48"), 1)
    assert command(offline, "revoke", "--address", "2a00::/64").exit == 0
    assert command(offline, "list", "--json").rows == []


def test_a_user_name_of_any_bytes_can_be_named_and_cannot_disturb_the_terminal(
    offline: Poprelay, command: Command
) -> None:
    user = "a\x1b[2J\udcff\n"
    assert command(offline, "allow", "9.9.9.9", "--user", user).exit == 0
    assert command(offline, "list", "--json", "--user", user).rows[0]["user"] == user
    for name, *arguments in (["list"], ["history"], ["explain", "9.9.9.9"], ["revoke", "--user", user]):
        out = command(offline, name, *arguments).out
        assert r"a\x1b[2J\xff\x0a" in out
        assert "\x1b" not in out


@pytest.mark.parametrize("order", [("allow", "9.9.9.9", "--for"), ("revoke", "--user", "ann", "--deny")])
def test_a_span_beyond_ten_years_is_refused(offline: Poprelay, command: Command, order: tuple[str, ...]) -> None:
    assert "over ten years" in one_line(command(offline, *order, "999999999d"), 1)


def test_a_refused_config_is_exit_78_for_every_command_that_reads_it(place: Path, command: Command) -> None:
    broken = Poprelay(place / "d", "[relay]\nperiod = 7\n[[sources]]\nkind = 'fiel'\n")
    for name, *arguments in (["check"], ["run"], ["list"], ["explain", "9.9.9.9"], ["cleanup"]):
        done = command(broken, name, *arguments)
        assert done.exit == 78, name
        assert re.match(r"poprelay: poprelay\.toml:2:1: relay\.period: ", done.err), name
        assert "Traceback" not in done.err
    broken.config.unlink()
    assert "there is no such file" in one_line(command(broken, "list"), 78)


@pytest.mark.parametrize("line", ["list --json", "explain 9.9.9.9", "history", "--help"])
def test_a_reader_that_goes_away_is_no_error(offline: Poprelay, command: Command, line: str) -> None:
    command(offline, "allow", "9.9.9.9")
    name, *arguments = line.split()
    config = [] if name == "--help" else ["-c", str(offline.config)]
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as gone:
        done = subprocess.run(
            [str(PROGRAM), name, *config, *arguments], stdout=gone, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_bug_of_ours_raises_is_one_line_and_exit_70(
    offline: Poprelay, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("poprelay.cli.call.connect", broken)
    monkeypatch.delenv("POPRELAY_DEBUG", raising=False)
    assert "POPRELAY_DEBUG=1" in one_line(command(offline, "list"), 70)


def test_a_daemon_that_goes_away_is_no_bug_of_ours(
    offline: Poprelay, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(offline.place / "control"))
        listener.listen()

        def hang_up() -> None:
            for said in (b"", b'{"row": {"addr'):
                with listener.accept()[0] as connection:
                    connection.sendall(said)

        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        for _ in range(2):
            assert "went away" in one_line(command(offline, "list"), 3)
        hanging_up.join()


IMPORTED = """
import encodings.ascii, os, sys  # all before: another user may not be able to read Python's files
import poprelay.daemon.offline, poprelay.maps.lmdb, poprelay.maps.text, poprelay.maps.spool, poprelay.sources.file
from poprelay.cli import allow, cleanup, explain, history, list, revoke
from poprelay.cli.main import run
from poprelay.daemon.client import connect
from poprelay.daemon.storage import Storage
from poprelay.errors import NoDaemon
from poprelay.ledger.lock import acquire
if sys.argv[1] != "0":
    os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
sys.exit(run(sys.argv[2:]))
"""


def all_imported(poprelay: Poprelay, line: str, *, uid: int = 0) -> Ran:
    """Run a command in a process that has imported what it needs, as this user."""
    name, *arguments = line.split()
    command = [sys.executable, "-c", IMPORTED, str(uid), name, "-c", str(poprelay.config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_as_root_commands_become_the_owner_of_the_ledger(offline: Poprelay, place: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    for directory in (place, offline.place):
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    assert all_imported(offline, "allow 9.9.9.9 --user ann").exit == 0
    assert all_imported(offline, "list --json").rows[0]["agent"] == "root", "it is written down who asked"
    files = [*offline.place.glob("ledger.db*"), place / "relay.txt", place / "spool", place / "spool/9.9.9.9"]
    assert {file.stat().st_uid for file in files} == {nobody.pw_uid}
    for line in ("explain 9.9.9.9", "history", "revoke --user ann", "cleanup"):
        assert all_imported(offline, line).exit == 0
    assert {file.stat().st_uid for file in place.rglob("*") if file.name != "poprelay.toml"} == {nobody.pw_uid}


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_who_may_neither_read_nor_write_the_ledger_is_told_so_with_exit_77(offline: Poprelay, place: Path) -> None:
    assert offline.run("allow", "9.9.9.9").exit == 0
    offline.config.chmod(0o644)
    for line in ("list", "revoke --user ann"):
        assert "this user may not" in one_line(all_imported(offline, line, uid=65534), 77)
