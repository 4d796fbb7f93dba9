"""The one row that `status` shows: every part, how it is, and a list of what is wrong in plain sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from poprelay.daemon.formermaps import left_over
from poprelay.daemon.rows import Row
from poprelay.services import Counting, Crowded
from poprelay.spans import rfc3339, show_span

if TYPE_CHECKING:
    from poprelay.daemon.daemon import Daemon
    from poprelay.daemon.supervisor import Health

LEFT_OVER: Final = "delete it, and see that no MTA names it"
"""The next step for a map of an earlier config."""


def status_row(daemon: Daemon) -> Row:
    """How the daemon is now. Keys are stable; `problems` is empty when all is well."""
    keeper, ledger, now = daemon.keeper, daemon.keeper.ledger, daemon.clock.now()
    sources = [
        {"name": name, **_health(daemon.supervisor.health(f"source {name}")), **follower.row()}
        for name, follower in daemon.parts.followers.items()
    ]
    maps = [
        {
            "name": name,
            **_health(daemon.supervisor.health(f"map {name}"), one.trouble),
            "addresses": len(one.published) if one.published is not None else None,
            "in_step": one.in_step,
            "changes": one.changes,
        }
        for name, one in daemon.parts.publishers.items()
    ]
    services = [
        {"name": name, **_health(daemon.supervisor.health(f"service {name}")), **_counts(service)}
        for name, service in daemon.parts.services.items()
    ]
    crowded = ledger.crowded(now)
    row: Row = {
        "version": _version(),
        "pid": os.getpid(),
        "since": rfc3339(daemon.since),
        "config": str(daemon.config_path),
        "reloads": daemon.reloads,
        "observe": daemon.observe,
        "state": "starting" if keeper.is_starting else "running",
        "ledger": {
            "path": str(daemon.ledger_path),
            "error": keeper.store_error,
            "set_aside": _text(daemon.storage.set_aside),
        },
        "grants": len(ledger),
        "addresses": ledger.address_count,
        "denials": len(ledger.denied(now)),
        "changes": {**_by_kind(keeper.changes), "stale": keeper.stale, "skewed": keeper.skewed},
        "sources": sources,
        "maps": maps,
        "services": services,
        "control": {"name": "control", "answers": daemon.control.counts()},
        "crowded": crowded,
        "warnings": [
            *daemon.config.warnings,
            *daemon.lookout.remarks,
            *(f"source {one['name']}: {remark}" for one in sources for remark in one.get("remarks", ())),
            *_crowding(daemon),
        ],
    }
    row["problems"] = _problems(row, daemon)
    return row


def _problems(row: Row, daemon: Daemon) -> list[str]:
    problems = []
    if daemon.reload_error:
        problems.append(f"the last reload was refused: {daemon.reload_error}")
    if row["ledger"]["error"]:
        problems.append(f"the ledger cannot be written, nothing opens: {row['ledger']['error']}")
    most = daemon.keeper.ledger.terms.max_grants
    if row["grants"] >= most:
        problems.append(f"there are {row['grants']:,} grants, and max_grants is {most:,}: new logins open nothing")
    if daemon.storage.damage:
        problems.append(f"the ledger's file is damaged, and is set aside at the next start: {daemon.storage.damage}")
    if row["ledger"]["set_aside"]:
        problems.append(f"the ledger was damaged and is set aside as {row['ledger']['set_aside']}; it began empty")
    if daemon.storage.lost_until is not None:
        until = rfc3339(daemon.storage.lost_until)
        problems.append(f"the ledger was lost: until {until} a source without a position begins at its end")
    metrics = daemon.supervisor.health("metrics")
    if metrics is not None and metrics.error:
        problems.append(f"metrics: {metrics.error}")
    for role in ("source", "map", "service"):
        for part in row[f"{role}s"]:
            if part["error"]:
                problems.append(f"{role} {_told(part['name'], part['error'])}")
            elif part.get("state") == "missing":
                problems.append(f"source {part['name']}: the file is missing")
            elif part.get("state") == "hanging":
                problems.append(f"source {part['name']}: reading it hangs; look at its file system")
            if part.get("skew"):
                direction = "ahead of" if part["skew"] > 0 else "behind"
                problems.append(
                    f"source {part['name']}: its stamps are {show_span(abs(part['skew']))} {direction} our clock"
                )
    problems.extend(
        f"{path} was a map of an earlier config, and keeps what it holds: {LEFT_OVER}"
        for path in left_over(daemon.keeper.positions, daemon.config.maps)
    )
    problems.extend(f"{address} has too many users to be one client; refused" for address in row["crowded"])
    return problems


def _told(name: str, error: str) -> str:
    """A part's error with its name before it, once: most begin with the path, and that is its name."""
    rest = error.removeprefix(name)
    return f"{name}: {rest.removeprefix(':').lstrip() if rest[:1] in (':', ' ') else error}"


@cache
def _version() -> str:
    """What runs here, though another may be installed by now; reading it takes longer than all the rest."""
    return version("poprelay")


def _health(health: Health | None, trouble: str = "") -> Row:
    if health is None:
        return {"condition": "stopped", "error": trouble, "remedy": "", "failures": 0}
    return {
        "condition": health.condition,
        "error": health.error or trouble,
        "remedy": health.remedy,
        "failures": health.failures,
    }


def _counts(service: object) -> Row:
    return {"answers": service.counts()} if isinstance(service, Counting) else {}


def _crowding(daemon: Daemon) -> Iterator[str]:
    """A warning and no problem: it may be over, and any user of this host could bring it about."""
    for name, service in daemon.parts.services.items():
        why = service.crowding() if isinstance(service, Crowded) else ""
        if why:
            yield f"service {name}: peers were turned away lately: {why}"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _by_kind(changes: Mapping[tuple[str, str], int]) -> dict[str, int]:
    found = dict.fromkeys(("opened", "renewed", "closed", "refused"), 0)
    for (kind, _reason), count in changes.items():
        found[kind] += count
    return found
