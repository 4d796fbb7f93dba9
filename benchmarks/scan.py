"""How fast a mail log becomes events, against programs that do less, in one run on one core.

    python benchmarks/scan.py

Three logs of one host: no login, nor anything that an agent knows; 3 % of the lines a login; 10 %. Each is read as
`poprelay match` and catching up do it, to full events (time, user, canonical address), by all
built-in agents at once, and by the agent for which Perl has its expression. ripgrep only counts; Perl does no more than
`while (<>) { m/.../ }`. fail2ban-regex and pop-before-smtp's way are timed on the first part of the log, and scaled.

Every number is CPU time, all taking turns.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from cpu import first_core, spent, stay_on
from maillog import BEGIN, blocks
from peers import FAIL2BAN, PERL, POP_BEFORE_SMTP, fail2ban, pop_before_smtp, ripgrep
from poprelay.agents import catalog
from poprelay.scan import Scanner
from poprelay.sources.archive import blocks as log_blocks
from poprelay.sources.archive import open_log
from report import Topic, quick

NOW: Final = BEGIN.timestamp() + 86400 * 30
PART: Final = 20_000_000  # bytes of the log that the slow ones get
MEGABYTES: Final = 400
ROUNDS: Final = 2 if quick() else 5
DAYS: Final = 10  # as many times the same day, to write the log faster

Runner = Callable[[Path], int]


def scanner(*names: str) -> Scanner:
    return Scanner([catalog.find(name) for name in names], source="log", zone=ZoneInfo("Europe/Vienna"))


def scan(*names: str) -> Runner:
    def run(path: Path) -> int:
        reading = scanner(*names)
        with open_log(path) as stream:
            return sum(len(reading.scan(block.data, now=NOW, horizon=NOW).events) for block in log_blocks(stream))

    return run


def command(*words: str, behind: tuple[str, ...] = ()) -> Runner:
    def run(path: Path) -> int:
        done = subprocess.run([*words, str(path), *behind], check=False, capture_output=True, text=True)
        if done.returncode not in {0, 1}:
            raise RuntimeError(f"{words[0]}: {done.stderr[-500:]}")
        return 0

    return run


def runners() -> dict[str, Runner]:
    found: dict[str, Runner] = {
        "all agents": scan(*catalog.BUILTIN),
        "one agent": scan("uw-imap"),
        "wc -l": command("wc", "-l"),
        "perl": command("perl", "-e", PERL),
    }
    if words := pop_before_smtp():
        found["pop-before-smtp"] = command(*words)
    if words := ripgrep():
        found["rg"] = command(*words)
    if words := fail2ban():
        found["fail2ban-regex"] = command(*words, behind=(FAIL2BAN,))
    return found


PEERS: Final = ("all agents", "one agent", "wc -l", "perl", "rg", "fail2ban-regex", "pop-before-smtp")
SLOW: Final = {"pop-before-smtp", "fail2ban-regex"}

TARGETS: Final = (  # share of logins, peer, whose speed, how many times the peer's it must be
    (0.0, "wc -l", "all agents", 1 / 3),
    (0.0, "perl", "one agent", 1.0),
    (0.03, "rg", "all agents", 1.0),
    (0.03, "fail2ban-regex", "all agents", 20.0),
    (0.03, "pop-before-smtp", "all agents", 20.0),
    (0.03, "perl", "one agent", 1.0),
    (0.10, "rg", "all agents", 0.5),
    (0.10, "perl", "one agent", 1.0),
)


def measure(path: Path, part: Path, rounds: int) -> dict[str, list[float]]:
    """MB that each reads in a second of CPU, in each round."""
    rates: dict[str, list[float]] = {}
    taking_turns = runners()
    for _ in range(rounds):
        for name, run in taking_turns.items():
            log = part if name in SLOW else path
            begun = spent()
            run(log)
            rates.setdefault(name, []).append(log.stat().st_size / 1e6 / (spent() - begun))
    return rates


def peak(path: Path) -> float:
    """MiB that a process of its own takes at most while it scans the log."""
    script = (
        "import pathlib, sys, scan; scan.scan(*scan.catalog.BUILTIN)(pathlib.Path(sys.argv[1]));"
        "print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    words = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=Path(__file__).parent)
    return int(done.stdout.split()[1]) / 1024


def write(path: Path, megabytes: float, share: float) -> None:
    """A log of that size: one day's lines, on several days."""
    day = b"".join(blocks(megabytes / DAYS, share))
    if not share:
        day = b"".join(line for line in day.splitlines(keepends=True) if b" dovecot: " not in line)
    with path.open("wb") as file:
        written = number = 0
        while written < megabytes * 1e6:
            written += file.write(day.replace(b"Nov 23 ", b"Nov %2d " % (number % DAYS + 14)))
            number += 1


def report(topic: Topic, share: float, rates: dict[str, list[float]]) -> None:
    """Speeds, then the ratios that are wanted."""
    kind = f"{share:.0%} logins: " if share else "no login: "
    for name in PEERS:
        if name in rates:
            topic.add(f"{kind}{name}", rates[name], "MB/s")
        else:
            topic.fail(f"{kind}{name}", "it cannot be had here")
    for of, peer, who, least in TARGETS:
        if of == share and peer in rates:
            ratios = [mine / theirs for mine, theirs in zip(rates[who], rates[peer], strict=True)]
            topic.add(f"{kind}{who} / {peer}", ratios, "times", at_least=least)


def main() -> int:
    stay_on(first_core())
    topic = Topic(
        "scan",
        "A log into events",
        f"{MEGABYTES} MB of a host's log, read to full events (time, user, canonical address); MB for each second of "
        f"CPU on one core. *All agents* are {len(catalog.BUILTIN)} ({len(scanner(*catalog.BUILTIN).needles)} needles), "
        "*one agent* is the one for which Mail::POPRelay has its expression. The others do less: see below.",
    )
    for share in (0.0, 0.03, 0.10):
        with tempfile.TemporaryDirectory() as directory:
            path, part = Path(directory) / "mail.log", Path(directory) / "part.log"
            write(path, MEGABYTES, share)
            with path.open("rb") as file:
                part.write_bytes(file.read(min(PART, path.stat().st_size)).rpartition(b"\n")[0] + b"\n")
            report(topic, share, measure(path, part, ROUNDS))
            if share == 0.10:
                topic.add(f"memory at most, {PART / 1e6:.0f} MB read", peak(part), "MiB")
                topic.add(f"memory at most, {MEGABYTES} MB read", peak(path), "MiB")
    topic.say("ripgrep counts the lines that the same servers' login expressions find (`rg -j1 -c -f`), no more.")
    topic.say(f"Perl is `perl -e '{PERL}'`, Mail::POPRelay's own expression, and nothing done with what it finds.")
    topic.say("fail2ban-regex has one expression, and reads the first part of the log, as does pop-before-smtp's loop:")
    topic.say(f"```perl\n{POP_BEFORE_SMTP}```")
    topic.say("The log is a model (`benchmarks/maillog.py`): no log of a busy host was at hand.")
    topic.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
