"""Mail::POPRelay's flow on the real daemon: a log and an old config give the relay file; and its faults stay dead.

The files that are expected were written by hand, from the original's rules.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from live.running import Running, until

MARK = "# Above configuration will be preserved by POPRelay.\n"


class Old:
    """One old config, the log that it follows, and one of the old commands on them."""

    def __init__(self, place: Path, *, agent: str = "ipop3d", period: int = 3600, more: str = "") -> None:
        self.place = place
        self.agent = agent
        self.log = place / "maillog"
        self.spool = place / "spool"
        self.access = place / "access"
        self.config = place / "old.conf"
        self.log.touch()
        self.config.write_text(
            f"mailLogFile = {self.log}\nmailRelayDirectory = {self.spool}\nmailRelayFile = {self.access}\n"
            f"mailRelayPeriod = {period}\n{more}"
        )
        self._running: Running | None = None

    def start(self, *command: str | Path, wait: bool = True) -> None:
        """Start the old command, or another one on the same files."""
        line = command or (Path(sys.executable).with_name(f"poprelay_{self.agent}"), self.config)
        before = self.printed().count("info: started")
        self._running = Running("poprelay", [str(word) for word in line], output=self.place / "printed")
        if wait:
            self._running.ready(lambda: self.printed().count("info: started") > before)

    def say(self, message: str, ago: float = 0) -> None:
        stamp = datetime.fromtimestamp(time.time() - ago).strftime("%b %e %H:%M:%S")
        with self.log.open("a") as log:
            log.write(f"{stamp} mx {message}\n")

    def pop(self, user: str, address: str, ago: float = 0) -> None:
        self.say(f"ipop3d[7]: Login user={user} host=client.example.net [{address}] nmsgs=0/0", ago)

    def until_relay_file(self, text: str) -> None:
        try:
            until(lambda: self.access.exists() and self.access.read_text() == text, seconds=8)
        except AssertionError:
            raise AssertionError(f"{self.access.read_text()!r} is not {text!r}\n{self.printed()}") from None

    def in_spool(self) -> dict[str, str]:
        return {file.name: file.read_text() for file in self.spool.iterdir() if not file.name.startswith(".")}

    def hangup(self) -> None:
        assert self._running is not None
        self._running.signal(signal.SIGHUP)

    def stop(self) -> int:
        assert self._running is not None
        running, self._running = self._running, None
        return running.stop()

    def end(self) -> None:
        if self._running is not None:
            self._running.kill()

    def printed(self) -> str:
        file = self.place / "printed"
        return file.read_text() if file.exists() else ""

    def python(self, code: str) -> str:
        """Run a script on the same config, called `relay`."""
        script = f"import poprelay\nrelay = poprelay.POPRelay({str(self.config)!r})\n{code}"
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def made() -> Iterator[list[Old]]:
    """The daemons that a test makes; they are ended with it."""
    found: list[Old] = []
    yield found
    for old in found:
        old.end()


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("old")


def old(made: list[Old], place: Path, *, agent: str = "ipop3d", period: int = 3600, more: str = "") -> Old:
    one = Old(place, agent=agent, period=period, more=more)
    made.append(one)
    return one


def test_a_log_gives_the_relay_file_that_mail_poprelay_gives(made: list[Old], place: Path) -> None:
    one = old(made, place, more="mailRelayIsDatabase = 1\nmailRelayDatabaseCommand = /usr/bin/tee %r.db < %r\n")
    one.access.write_text("# ours\nlocalhost RELAY\n" + MARK + "192.0.2.99 RELAY")
    one.pop("ann", "203.0.113.5", ago=60)
    one.pop("bob", "198.51.100.77", ago=30)
    one.pop("old", "192.0.2.1", ago=7200)
    one.say("ipop3d[7]: Login failed user=eve auth=eve host=x [192.0.2.2] nmsgs=", ago=20)
    one.say("popper[7]: Stats: eve 0 0 0 0 x 192.0.2.3", ago=20)
    one.pop("cat", "10.1.2.3", ago=10)
    one.start()
    expected = "# ours\nlocalhost RELAY\n" + MARK + "10.1.2.3 RELAY\n198.51.100.77 RELAY\n203.0.113.5 RELAY\n"
    one.until_relay_file(expected)
    until(lambda: (place / "access.db").read_text() == expected)
    until(lambda: one.in_spool() == {"203.0.113.5": "ann", "198.51.100.77": "bob", "10.1.2.3": "cat"})


@pytest.mark.parametrize(
    ("agent", "line"),
    [
        ("ipop3d", "ipop3d[7]: Login user=ann host=c.example.net [203.0.113.5] nmsgs=3/3"),
        ("qpopper", "popper[7]: Stats: ann 0 0 2 13244 c.example.net 203.0.113.5"),
        ("qpopper", 'qpopper[7]: (v4.0.5) POP login by user "ann" at (c.example.net) 203.0.113.5'),
        ("vpopd", "vpop3d: (ann,203.0.113.5) Authenticated"),
    ],
)
def test_each_old_command_sees_its_servers_logins(made: list[Old], place: Path, agent: str, line: str) -> None:
    one = old(made, place, agent=agent)
    one.start()
    one.say(line)
    one.until_relay_file(MARK + "203.0.113.5\n")
    until(lambda: one.in_spool() == {"203.0.113.5": "ann"})


def test_what_import_prints_does_the_same_when_it_is_run(made: list[Old], place: Path) -> None:
    one = old(made, place, more="mailRelayIsDatabase = 1\nmailRelayDatabaseCommand = /usr/bin/tee %r.db < %r\n")
    one.spool.mkdir()
    (one.spool / "8.8.8.8").write_text("left")
    one.pop("ann", "203.0.113.5", ago=60)
    program = Path(sys.executable).with_name("poprelay")
    imported = subprocess.run([program, "import", one.config], capture_output=True, text=True, check=True)
    (place / "new.toml").write_text(imported.stdout)
    one.start(program, "run", "-c", place / "new.toml")
    one.until_relay_file(MARK + "8.8.8.8 RELAY\n203.0.113.5 RELAY\n")
    until(lambda: one.in_spool() == {"8.8.8.8": "left", "203.0.113.5": "ann"})
    assert one.stop() == 0
    assert one.access.read_text() == (place / "access.db").read_text() == MARK
    assert one.in_spool() == {}


def test_files_that_the_old_daemon_left_become_grants_at_the_first_start_only(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.spool.mkdir()
    for name, user, ago in (("9.9.9.9", "ann", 60), ("8.8.8.8", "bob", 7200), ("7.7.7.7", "eve", 60)):
        (one.spool / name).write_text(user)
        os.utime(one.spool / name, (time.time(), time.time() - ago))
    (one.spool / "7.7.7.7").chmod(0o666)
    one.start()
    one.until_relay_file(MARK + "9.9.9.9\n")
    until(lambda: one.in_spool() == {"9.9.9.9": "ann"})
    assert one.stop() == 0
    (one.spool / "6.6.6.6").write_text("eve")
    one.start()
    until(lambda: one.in_spool() == {})
    assert one.access.read_text() == MARK


def test_a_spool_that_all_could_write_in_is_closed_to_them_and_nothing_in_it_is_taken_over(
    made: list[Old], place: Path
) -> None:
    one = old(made, place)
    one.spool.mkdir()
    one.spool.chmod(0o777)
    (one.spool / "9.9.9.9").write_text("ann")
    one.start()
    until(lambda: one.in_spool() == {})
    assert "nothing is taken over" in one.printed()
    assert one.spool.stat().st_mode & 0o777 == 0o755
    one.pop("ann", "9.9.9.9")
    one.until_relay_file(MARK + "9.9.9.9\n")


@pytest.mark.parametrize("fault", ["link", "hard link", "writable", "another user's"])
def test_a_ledger_that_another_user_may_have_put_into_the_spool_is_not_believed(
    made: list[Old], place: Path, fault: str
) -> None:
    forged = old(made, place)
    forged.python("relay.addRelayAddress('eve', '6.6.6.6')")
    ledger, other = forged.spool / ".ledger.db", place / "other"
    match fault:
        case "link":
            ledger.rename(other)
            ledger.symlink_to(other)
        case "hard link":
            other.hardlink_to(ledger)
        case "writable":
            ledger.chmod(0o666)
        case _:
            if os.geteuid() != 0:
                pytest.skip("only root can give files away")
            os.chown(ledger, 65534, 65534)
    line = [Path(sys.executable).with_name("poprelay_ipop3d"), forged.config]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1
    assert "another user may have made it or written in it, so it is not believed" in done.stderr
    assert not forged.access.exists()
    assert (other if fault == "link" else ledger).read_bytes().startswith(b"SQLite")


def test_a_cleanup_before_the_first_start_cuts_off_nobody(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.spool.mkdir()
    (one.spool / "9.9.9.9").write_text("ann")
    done = subprocess.run([Path(sys.executable).with_name("poprelay_cleanup"), one.config], check=False)
    assert done.returncode == 0
    until(lambda: one.in_spool() == {"9.9.9.9": "ann"})
    one.start()
    one.until_relay_file(MARK + "9.9.9.9\n")


def test_old_fault_the_period_of_an_active_user_was_not_renewed(made: list[Old], place: Path) -> None:
    one = old(made, place, period=3)
    one.start()
    one.pop("ann", "9.9.9.9")
    one.until_relay_file(MARK + "9.9.9.9\n")
    time.sleep(1.5)
    one.pop("ann", "9.9.9.9")
    renewed = time.time()
    until(lambda: (one.spool / "9.9.9.9").stat().st_mtime > renewed - 1.5)
    time.sleep(1.0)  # beyond the first login's end, within the second's
    assert "9.9.9.9" in one.access.read_text()


def test_old_fault_expiry_waited_for_the_next_login(made: list[Old], place: Path) -> None:
    one = old(made, place, period=2)
    one.start()
    one.pop("ann", "9.9.9.9")
    one.until_relay_file(MARK + "9.9.9.9\n")
    one.until_relay_file(MARK)
    assert one.in_spool() == {}


def test_old_fault_the_access_time_was_taken_for_the_modification_time(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.spool.mkdir()
    (one.spool / "9.9.9.9").write_text("ann")
    os.utime(one.spool / "9.9.9.9", (time.time(), time.time() - 7200))
    one.start()
    until(lambda: one.in_spool() == {})


def test_old_fault_the_file_was_truncated_in_place(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.access.write_text("mine\n")
    with one.access.open() as reader:
        one.start()
        one.pop("ann", "9.9.9.9")
        one.until_relay_file("mine\n" + MARK + "9.9.9.9\n")
        assert reader.read() == "mine\n", "who had it open still reads the whole old file"


def test_old_fault_the_database_was_made_anew_at_every_login(made: list[Old], place: Path) -> None:
    more = f"mailRelayIsDatabase = 1\nmailRelayDatabaseCommand = /bin/sh -c 'echo made >> {place}/runs'\n"
    one = old(made, place, more=more)
    one.pop("ann", "9.9.9.9", ago=5)
    one.start()
    one.until_relay_file(MARK + "9.9.9.9 RELAY\n")
    until(lambda: not (place / ".access.owed").exists(), what="the command for that has ended")
    runs = (place / "runs").read_text()
    for _ in range(5):
        one.pop("ann", "9.9.9.9")
        time.sleep(0.1)
    time.sleep(1)
    assert (place / "runs").read_text() == runs


def test_old_fault_term_wiped_but_did_not_end(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.access.write_text("mine\n")
    one.start()
    one.pop("ann", "9.9.9.9")
    one.until_relay_file("mine\n" + MARK + "9.9.9.9\n")
    assert one.stop() == 0
    assert one.access.read_text() == "mine\n" + MARK
    assert one.in_spool() == {}
    one.start()
    time.sleep(0.5)
    assert one.access.read_text() == "mine\n" + MARK, "what was wiped does not come back from the log"


def test_old_fault_user_names_were_words_only(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.start()
    one.pop("ann.b+c-d@example.net", "9.9.9.9")
    one.until_relay_file(MARK + "9.9.9.9\n")
    until(lambda: one.in_spool() == {"9.9.9.9": "ann.b+c-d@example.net"})


def test_old_fault_ipv6_was_not_seen(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.start()
    one.pop("ann", "2a00:1450:0:0::7")
    one.until_relay_file(MARK + "2a00:1450::7\n")


@pytest.mark.parametrize(
    "line",
    [
        "ipop3d[7]: Login failed user=x user=bob host=evil [6.6.6.6] nmsgs= auth=x host=c.example.net [9.9.9.9]",
        "ipop3d[7]: Login user=x user=bob host=evil [6.6.6.6] nmsgs=0/0 host=c.example.net [9.9.9.9] nmsgs=0/0",
        "sendmail[7]: x: from=<ipop3d[7]: Login user=bob host=evil [6.6.6.6] nmsgs=0/0>",
    ],
)
def test_old_fault_an_address_could_be_forged_by_a_user_name(made: list[Old], place: Path, line: str) -> None:
    one = old(made, place)
    one.start()
    one.say(line)
    one.pop("last", "8.8.8.8")
    until(lambda: "8.8.8.8" in one.in_spool())
    assert "6.6.6.6" not in one.in_spool()


def test_old_fault_an_address_could_be_forged_by_a_host_name(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.start()
    one.say("ipop3d[7]: Login user=ann host=[6.6.6.6] nmsgs= [9.9.9.9] nmsgs=0/0")
    one.pop("last", "8.8.8.8")
    until(lambda: "8.8.8.8" in one.in_spool())
    assert "6.6.6.6" not in one.in_spool()


def test_hup_reads_the_config_cleans_and_regenerates(made: list[Old], place: Path) -> None:
    more = "mailRelayIsDatabase = 1\nmailRelayDatabaseCommand = /usr/bin/tee %r.db < %r\n"
    one = old(made, place, more=more)
    one.pop("ann", "9.9.9.9", ago=100)
    one.pop("bob", "8.8.8.8", ago=10)
    one.start()
    one.until_relay_file(MARK + "8.8.8.8 RELAY\n9.9.9.9 RELAY\n")
    one.access.write_text("new RELAY\n" + one.access.read_text())
    one.config.write_text(one.config.read_text().replace("= 3600", "= 60"))
    one.hangup()
    one.until_relay_file("new RELAY\n" + MARK + "8.8.8.8 RELAY\n")
    until(lambda: (place / "access.db").read_text() == "new RELAY\n" + MARK + "8.8.8.8 RELAY\n")


def test_hup_with_a_refused_config_leaves_everything_as_it_was(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.pop("ann", "9.9.9.9")
    one.start()
    one.until_relay_file(MARK + "9.9.9.9\n")
    one.config.write_text("mailRelayFil = /x\n")
    one.hangup()
    until(lambda: "reload refused" in one.printed())
    assert "did you mean 'mailRelayFile'?" in one.printed()
    until(lambda: one.in_spool() == {"9.9.9.9": "ann"})


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/bin/sh -c 'echo it is full >&2; exit 1'", "failed (exit code 1): it is full"),
        ("/nonexistent/makemap hash %r < %r", "cannot be started: No such file or directory"),
        ("/usr/bin/tee %r.db < %r.none", "cannot read"),
    ],
)
def test_a_command_that_fails_or_is_missing_is_reported_and_tried_again(
    made: list[Old], place: Path, command: str, words: str
) -> None:
    one = old(made, place, more=f"mailRelayIsDatabase = 1\nmailRelayDatabaseCommand = {command}\n")
    one.pop("ann", "9.9.9.9")
    one.start(wait=False)
    until(lambda: one.printed().count(words) >= 2, what=words)
    assert one.access.read_text() == MARK + "9.9.9.9 RELAY\n", "the relay file stays whole"


def test_another_expression_is_run_as_it_is_written(made: list[Old], place: Path) -> None:
    one = old(made, place, more=r"mailLogRegExp = popd\[\d+\]: in (\w+) from .*\[(\d+\.\d+\.\d+\.\d+)\]" + "\n")
    one.start()
    one.say("popd[7]: in ann from c.example.net [9.9.9.9]")
    one.until_relay_file(MARK + "9.9.9.9\n")


def test_a_script_asks_the_running_daemon(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.start()
    said = one.python("print(relay.add_relay_address('ann', '9.9.9.9'), relay.addRelayAddress('ann', '9.9.9.9'))")
    assert said == "True False\n"
    one.until_relay_file(MARK + "9.9.9.9\n")
    one.python("relay.wipeRelayDirectory()")
    one.until_relay_file(MARK)


def test_cleanup_from_cron_removes_what_has_expired_and_adds_nothing(made: list[Old], place: Path) -> None:
    one = old(
        made,
        place,
        period=5,
        more=f"mailRelayIsDatabase = 1\nmailRelayDatabaseCommand = /usr/bin/tee {place}/db < %r\n",
    )
    cleanup = [Path(sys.executable).with_name("poprelay_cleanup"), one.config]
    one.access.write_text("mine\n")
    one.python("relay.addRelayAddress('ann', '9.9.9.9'); relay.generateRelayFile()")
    one.python("relay.addRelayAddress('bob', '8.8.8.8')")
    assert one.access.read_text() == (place / "db").read_text() == "mine\n" + MARK + "9.9.9.9 RELAY\n"
    subprocess.run(cleanup, check=True)
    assert one.access.read_text() == "mine\n" + MARK + "9.9.9.9 RELAY\n", "it adds nothing"
    time.sleep(5.1)
    done = subprocess.run(cleanup, check=True, capture_output=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert one.access.read_text() == (place / "db").read_text() == "mine\n" + MARK
    assert one.in_spool() == {}


def test_a_second_daemon_on_the_same_spool_is_refused_and_the_first_goes_on(made: list[Old], place: Path) -> None:
    one = old(made, place)
    one.start()
    line = [Path(sys.executable).with_name("poprelay_qpopper"), one.config]
    second = subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)
    assert second.returncode == 1
    assert "already works on the ledger" in second.stderr
    one.pop("ann", "9.9.9.9")
    one.until_relay_file(MARK + "9.9.9.9\n")
