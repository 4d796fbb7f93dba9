"""How fast a mail log becomes events, against `wc -l` and against Perl with Mail::POPRelay's expression, in one run.

    python benchmarks/scan.py [--rounds 5] [--megabytes 100]

Three logs of one host: no login, nor anything that an agent knows; 3 % of the lines a login; 10 %. Each is read in
blocks of whole lines, 1 MiB, as `poprelay match` and catching up do it, to full events: by the agent for which Perl has
its expression, by Dovecot's, and by all built-in ones. Perl does no more than `while (<>) { m/.../ }`. Every number is
CPU time, the median over the rounds, all runners taking turns; `per event` is what an event (a login, or the end of its
session) costs beyond looking for needles and counting lines.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from maillog import BEGIN, blocks
from poprelay.agents import catalog
from poprelay.scan import Scanner

BLOCK = 1 << 20
PERL = r"while (<>) { m/.+user=(\w+) host=.*\[(\d+\.\d+\.\d+\.\d+)\] nmsgs=/ and $n++ }"
NOW = BEGIN.timestamp() + 86400 * 30

Runner = Callable[[Path], int]


def whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        rest = b""
        while data := file.read(BLOCK):
            end = data.rfind(b"\n") + 1
            yield rest + data[:end]
            rest = data[end:]
        if rest:
            yield rest


def scanner(*names: str) -> Scanner:
    return Scanner([catalog.find(name) for name in names], source="log", zone=ZoneInfo("Europe/Vienna"))


def scan(*names: str) -> Runner:
    def run(path: Path) -> int:
        reading = scanner(*names)
        return sum(len(reading.scan(block, now=NOW, horizon=NOW).events) for block in whole_lines(path))

    return run


def bare(path: Path) -> int:
    """What scanning cannot do without: find the needles, and count the lines."""
    find = scanner("dovecot")._find
    return sum(len(find(block)) * 0 + block.count(b"\n") for block in whole_lines(path))


def command(*words: str) -> Runner:
    def run(path: Path) -> int:
        subprocess.run([*words, str(path)], check=True, stdout=subprocess.DEVNULL)
        return 0

    return run


RUNNERS: dict[str, Runner] = {
    "wc -l": command("wc", "-l"),
    "perl": command("perl", "-e", PERL),
    "bare": bare,
    "uw-imap": scan("uw-imap"),
    "dovecot": scan("dovecot"),
    "all agents": scan(*catalog.BUILTIN),
}


def measure(path: Path, rounds: int) -> dict[str, float]:
    """Seconds of CPU that each runner takes for the whole log: the median of the rounds."""
    spent: dict[str, list[float]] = {name: [] for name in RUNNERS}
    for _ in range(rounds):
        for name, run in RUNNERS.items():
            begun = cpu()
            run(path)
            spent[name].append(cpu() - begun)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def cpu() -> float:
    """Seconds, user and system, of this process and of those that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--megabytes", type=float, default=100)
    given = options.parse_args()
    print(f"perl -e '{PERL}'")
    kept = True
    for share in (0.0, 0.03, 0.10):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "mail.log"
            with path.open("wb") as file:
                for block in blocks(given.megabytes, share):
                    file.write(block if share else without_dovecot(block))
            events = scan("dovecot")(path)
            spent, size = measure(path, given.rounds), path.stat().st_size
        print(f"{share:4.0%} logins, {size / 1e6:.0f} MB, {events} events")
        for name, seconds in spent.items():
            against = f"{spent['wc -l'] / seconds:6.2f} of wc -l, {spent['perl'] / seconds:6.1f} of perl"
            event = ""
            if events and name in {"dovecot", "all agents"}:
                event = f", {(seconds - spent['bare']) / events * 1e6:5.2f} us per event"
            print(f"  {name:<10} {size / seconds / 1e6:7.0f} MB/s {against}{event}")
        kept &= spent["uw-imap"] <= spent["perl"]
    print(f"the agent not slower than perl with one expression: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def without_dovecot(block: bytes) -> bytes:
    return b"".join(line for line in block.splitlines(keepends=True) if b" dovecot: " not in line)


if __name__ == "__main__":
    sys.exit(main())
