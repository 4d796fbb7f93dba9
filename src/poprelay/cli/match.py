"""`poprelay match`: what the agents see in a log."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from operator import attrgetter
from pathlib import Path
from typing import Final, TypeAlias

import click

from poprelay.agents.base import Agent
from poprelay.cli import hints, options, reading
from poprelay.cli.output import Row, print_json
from poprelay.escape import show
from poprelay.model import Event, Login, Logout
from poprelay.spans import rfc3339

_AGENT: Final = attrgetter("agent")
_Counts: TypeAlias = Counter[tuple[str, type[Event]]]


@click.command(name="match")
@reading.files
@click.option(
    "--agent", "names", type=reading.AgentName(), multiple=True, metavar="NAME",
    help="Only this agent; may be given again.",
)  # fmt: skip
@click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), help="Take the [[agents]] of this config too."
)
@click.option("--summary", is_flag=True, help="Print no events, only how many each agent saw.")
@click.option("--near-misses", is_flag=True, help="Show the lines that look like a login but match nothing, too.")
@reading.year
@reading.timezone
@options.as_json
def command(
    files: tuple[str, ...],
    names: tuple[str, ...],
    config_path: Path | None,
    summary: bool,
    near_misses: bool,
    year: int | None,
    zone: tzinfo | None,
    as_json: bool,
) -> None:
    """Show what the agents see in each FILE (`-` is standard input; gzip, xz and zstd are unpacked).

    No rules are applied: this is what was logged, not who may relay. Where no login is seen, or nearly one, the last
    line on standard error says what was probably meant. Exit code: 0 if there was a login, 1 if none.
    """
    agents = reading.agents_named(names, config_path)
    counts: _Counts = Counter()
    missed: Counter[str] = Counter()
    kept: list[bytes] = []
    unmatched = 0
    for name in files:
        before = 0
        for scanned in reading.read_log(
            name,
            agents,
            year=year,
            zone=zone,
            near_misses=near_misses or summary,
            kept=kept if name == "-" else None,
            quiet=summary,
        ):
            counts.update(zip(map(_AGENT, scanned.events), map(type, scanned.events), strict=True))
            unmatched += scanned.unmatched
            if summary:
                missed.update(hints.owner(line, agents) for _, line in scanned.near_misses)
            else:
                events = zip(scanned.numbers, scanned.events, strict=True)
                rows = [_row(name, before + number + 1, event) for number, event in events]
                rows += [_missed(name, before + number + 1, line) for number, line in scanned.near_misses]
                for row in sorted(rows, key=lambda row: row["line"]):
                    print_json(row) if as_json else print(_text(row))
                before += scanned.lines
    if summary:
        _summarise(counts, missed, [agent.name for agent in agents], as_json=as_json)
    found = any(kind is Login for _, kind in counts)
    _hint(files, agents, kept, found=found, unmatched=0 if near_misses else unmatched, shows=near_misses)
    sys.exit(0 if found else 1)


_NOTHING: Final = {
    False: "no agent sees a login there; see --near-misses, or write [[agents]] for a log of your own",
    True: "no agent sees a login there; write [[agents]] for a log of your own",
}
"""What is said where no login was seen, and near misses were asked for or not."""


def _hint(
    files: Sequence[str],
    agents: Sequence[Agent],
    kept: Sequence[bytes],
    *,
    found: bool,
    unmatched: int,
    shows: bool,
) -> None:
    """Say in one line, on standard error, what was probably meant."""
    said = [hints.near_misses(unmatched)] if unmatched else []
    if not found:
        meant = _first(hints.other_agents(reading.first_blocks(name, kept, hints.SEARCHED), agents) for name in files)
        said += [
            meant
            or _first(hints.strangers(reading.first_blocks(name, kept, hints.SKIMMED), agents) for name in files)
            or ("" if unmatched else _NOTHING[shows])
        ]
    if any(said):
        print(f"poprelay: {'; '.join(filter(None, said))}", file=sys.stderr)


def _first(hints: Iterable[str]) -> str:
    return next(filter(None, hints), "")


def _kind(event: Event) -> str:
    return "login" if isinstance(event, Login) else "logout"


def _row(name: str, line: int, event: Event) -> Row:
    return {
        "file": name,
        "line": line,
        "type": _kind(event),
        "at": rfc3339(event.at),
        "user": event.user,
        "address": event.address,
        "service": event.service,
        "tls": event.tls if isinstance(event, Login) else None,
        "session": event.session,
        "agent": event.agent,
    }


def _missed(name: str, line: int, text: bytes) -> Row:
    empty: Row = dict.fromkeys(("at", "user", "address", "service", "tls", "session", "agent"))
    return {"file": name, "line": line, "type": "unmatched", **empty, "text": text.decode("utf-8", "surrogateescape")}


def _text(row: Row) -> str:
    where = f"{show(row['file'])}:{row['line']}: {row['type']}"
    if row["type"] == "unmatched":
        return f"{where} {show(row['text'])}"
    said = {"user": row["user"], "address": row["address"], "service": row["service"]}
    said |= {
        "tls": {True: "yes", False: "no", None: None}[row["tls"]],
        "session": row["session"],
        "agent": row["agent"],
    }
    return " ".join(
        [where, str(row["at"]), *(f"{key}={show(value)}" for key, value in said.items() if value is not None)]
    )


def _summarise(counts: _Counts, missed: Counter[str], agents: list[str], *, as_json: bool) -> None:
    unmatched = missed.total()
    for row in _totals(counts, missed, agents):
        if as_json:
            print_json(row)
        else:
            said = (f"{row[key]} {key.replace('_', ' ')}" for key in ("logins", "logouts", "near_misses"))
            print(f"{row['agent']}: {', '.join(said)}")
    if as_json:
        print_json({"unmatched": unmatched})
    else:
        print(f"{unmatched} lines look like a login but match nothing")


def _totals(counts: _Counts, missed: Counter[str], agents: list[str]) -> Iterator[Row]:
    for agent in agents:
        yield {
            "agent": agent,
            "logins": counts[agent, Login],
            "logouts": counts[agent, Logout],
            "near_misses": missed[agent],
        }
