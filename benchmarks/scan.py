"""How fast a mail log becomes events, against programs that do less, in one run on one core.

    python benchmarks/scan.py [--rounds 3] [--megabytes 400]

Three logs of one host: no login, nor anything that an agent knows; 3 % of the lines a login; 10 %. Each is read as
`poprelay match` and catching up do it, to full events (time, user, canonical address), by all
built-in agents at once, and by the agent for which Perl has its expression. ripgrep only counts; Perl does no more than
`while (<>) { m/.../ }`. fail2ban-regex and pop-before-smtp's way are timed on the first part of the log, and scaled.

Every number is CPU time, the median over the rounds, all taking turns. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from maillog import BEGIN, blocks
from peers import FAIL2BAN, PERL, POP_BEFORE_SMTP, fail2ban, pop_before_smtp, ripgrep
from poprelay.agents import catalog
from poprelay.scan import Scanner
from poprelay.sources.archive import blocks as log_blocks
from poprelay.sources.archive import open_log

NOW: Final = BEGIN.timestamp() + 86400 * 30
PART: Final = 20_000_000  # bytes of the log that the slow ones get
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


def measure(path: Path, part: Path, rounds: int) -> dict[str, float]:
    """Seconds of CPU that each takes for the whole log: the median of the rounds."""
    spent: dict[str, list[float]] = {}
    taking_turns = runners()
    scale = path.stat().st_size / part.stat().st_size
    for _ in range(rounds):
        for name, run in taking_turns.items():
            begun = cpu()
            run(part if name in SLOW else path)
            spent.setdefault(name, []).append((cpu() - begun) * (scale if name in SLOW else 1))
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def cpu() -> float:
    """Seconds, user and system, of this process and of those that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


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


def report(share: float, size: int, spent: dict[str, float], events: int) -> bool:
    """Print what was measured; whether the targets are met."""
    print(f"{share:4.0%} logins, {size / 1e6:.0f} MB, {events} events")
    for name, seconds in spent.items():
        print(f"  {name:<16} {size / seconds / 1e6:7.0f} MB/s")
    kept = True
    for of, peer, who, least in TARGETS:
        if of == share and peer in spent:
            ratio = spent[peer] / spent[who]
            kept &= ratio >= least
            print(f"  {who}: {ratio:7.2f} times {peer} (wanted {least:.2f}) {'kept' if ratio >= least else 'MISSED'}")
    return kept


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--megabytes", type=float, default=400)
    given = options.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{len(catalog.BUILTIN)} agents, {len(scanner(*catalog.BUILTIN).needles)} needles")
    print(f"Perl: perl -e '{PERL}'\npop-before-smtp, the same work:\n{POP_BEFORE_SMTP}")
    kept = True
    for share in (0.0, 0.03, 0.10):
        with tempfile.TemporaryDirectory() as directory:
            path, part = Path(directory) / "mail.log", Path(directory) / "part.log"
            write(path, given.megabytes, share)
            with path.open("rb") as file:
                part.write_bytes(file.read(min(PART, path.stat().st_size)).rpartition(b"\n")[0] + b"\n")
            events = scan(*catalog.BUILTIN)(path)
            spent, size = measure(path, part, given.rounds), path.stat().st_size
            memory = [peak(part), peak(path)]
        kept &= report(share, size, spent, events)
        print(f"  memory: {memory[0]:.0f} MiB for the first {PART / 1e6:.0f} MB, {memory[1]:.0f} MiB for all")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
