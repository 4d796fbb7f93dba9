"""`poprelay match`: what the agents see in a log."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path

import click

from poprelay.cli import options, reading
from poprelay.cli.output import Row, print_json
from poprelay.escape import show
from poprelay.model import Event, Login
from poprelay.spans import rfc3339


@click.command(name="match")
@reading.files
@click.option("--agent", "names", multiple=True, metavar="NAME", help="Only this agent; may be given again.")
@click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), help="Take the [[agents]] of this config too."
)
@click.option("--summary", is_flag=True, help="Make every event, but print only how many there are for each agent.")
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

    No rules are applied: this is what was logged, not who may relay. Exit code: 0 if there was a login, 1 if none.
    """
    agents = reading.agents_named(names, config_path)
    counts: Counter[tuple[str, str]] = Counter()
    lines = 0
    for name in files:
        for before, scanned in reading.read_log(name, agents, year=year, zone=zone, near_misses=near_misses):
            lines += scanned.lines
            counts.update((event.agent, _kind(event)) for event in scanned.events)
            counts["", "unmatched"] += scanned.unmatched
            if not summary:
                events = zip(scanned.numbers, scanned.events, strict=True)
                rows = [_row(name, before + number + 1, event) for number, event in events]
                rows += [_missed(name, before + number + 1, line) for number, line in scanned.near_misses]
                for row in sorted(rows, key=lambda row: row["line"]):
                    print_json(row) if as_json else print(_text(row))
    if summary:
        _summarise(counts, [agent.name for agent in agents], lines, as_json=as_json)
    sys.exit(0 if any(count for (_, kind), count in counts.items() if kind == "login") else 1)


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


def _summarise(counts: Counter[tuple[str, str]], agents: list[str], lines: int, *, as_json: bool) -> None:
    for row in _totals(counts, agents):
        if as_json:
            print_json(row)
        else:
            print(f"{row['agent']}: {row['logins']} logins, {row['logouts']} logouts")
    unmatched = counts["", "unmatched"]
    if as_json:
        print_json({"lines": lines, "unmatched": unmatched})
    else:
        print(f"{lines} lines, {unmatched} of them look like a login but match nothing")


def _totals(counts: Counter[tuple[str, str]], agents: list[str]) -> Iterator[Row]:
    for agent in agents:
        yield {"agent": agent, "logins": counts[agent, "login"], "logouts": counts[agent, "logout"]}
