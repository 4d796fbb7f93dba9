"""Looks for what is wrong or dangerous: in our config and sources, the daemon and its grants, and the MTA's config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from poprelay.config.load import control_socket
from poprelay.daemon.client import START, ask, connect
from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.doctor import crowds, installed, logs, rootlists, selinux, stale
from poprelay.daemon.setup.detect import mtas
from poprelay.daemon.status import LEFT_OVER
from poprelay.errors import NoDaemon, PoprelayError
from poprelay.mta import KINDS, Finding, Mta, Part

_ORDER: Final = ("danger", "fault", "note")

_START: Final = START.removeprefix("start it: ")
_WHY: Final = {"source": "no login is seen", "map": "the MTA is not told", "service": "the MTA is not answered"}
"""Why it matters that a part fails, by its role."""

Row = dict[str, Any]


def examine(config_path: Path, mta: str = "", mta_config: Path | None = None) -> list[Finding]:
    """Everything that is wrong, the worst first. Raises ConfigError if our config is refused."""
    config = read_config(config_path)
    status = _status(config_path)
    grants = _grants(config_path)
    found = [
        *(
            Finding(
                "note",
                "config",
                doubt,
                "it is allowed, but probably not what you want",
                f"change that line of {config_path}",
            )
            for doubt in config.warnings
        ),
        *_daemon(status),
        *installed.faults(config),
        *rootlists.faults(config),
        *stale.faults(config, status),
        *logs.faults(config, status),
        *crowds.faults(config, grants),
        *selinux.faults(parts_of(config)),
        *_mtas(config, mtas(mta, mta_config)),
    ]
    return sorted(found, key=lambda one: _ORDER.index(one.level))


def parts_of(config: Config) -> list[Part]:
    """The maps and services, as MTAs know them."""
    return [
        Part(part.role, part.kind, str(part.spec.get("path", part.spec.get("listen", ""))), dict(part.spec))
        for part in (*config.maps, *config.services)
        if part.role != "source"
    ]


def _mtas(config: Config, among: Sequence[Mta]) -> Iterator[Finding]:
    """What each MTA that is here says; that one does not ask matters only if none does."""
    parts = parts_of(config)
    asked: list[list[Finding]] = []
    is_broken = False
    for mta in among:
        try:
            if mta.find() is not None:
                asked.append(list(mta.examine(parts)))
        except PoprelayError as error:
            is_broken = True
            yield Finding("fault", mta.name, str(error), "how it asks us cannot be seen", f"poprelay doctor {mta.name}")
    if parts and not asked and not is_broken:
        yield _none_here(among)
    silent = [found for found in asked if any(one.what.endswith("does not ask us") for one in found)]
    for found in asked:
        if len(asked) == 1 or len(silent) == len(asked) or found not in silent:
            yield from found


def _none_here(among: Sequence[Mta]) -> Finding:
    one = among[0].name if len(among) == 1 else ""
    return Finding(
        "note",
        one or "MTA",
        f"{f'no {one}' if one else 'no MTA that we know'} is installed here, so how it asks us was not looked at",
        "a mistake there keeps who may relay from it, or lets somebody relay who must not",
        f"if its config is elsewhere: poprelay doctor MTA --mta-config PATH; known are {', '.join(KINDS)}",
    )


def _status(config_path: Path) -> Row | None:
    try:
        with connect(control_socket(config_path)) as connection:
            row: Row = next(iter(ask(connection, "status", {})))
            return row
    except NoDaemon:
        return None


def _grants(config_path: Path) -> list[Row]:
    try:
        with connect(control_socket(config_path)) as connection:
            return list(ask(connection, "list", {}))
    except NoDaemon:
        return []


def _daemon(status: Row | None) -> Iterator[Finding]:
    if status is None:
        yield Finding("fault", "poprelay", "no daemon is running", "no login opens anything", _START)
        return
    if status["observe"]:
        why = "it sees and records, but tells no MTA"
        yield Finding("fault", "poprelay", "the daemon only observes", why, "start it without --observe")
    for problem in status["problems"]:
        if not _said_elsewhere(problem, status):
            what, mend = _halves(problem, status)
            yield Finding("fault", "poprelay", what, _why(problem), mend)


def _said_elsewhere(problem: str, status: Row) -> bool:
    """Whether another finding is about the same: a map that is stale, a log that is missing, stamps that are off."""
    stale = [f"map {row['name']}: " for row in status["maps"] if row["in_step"] is False]
    return problem.startswith(tuple(stale)) or problem.endswith((": the file is missing", " our clock"))


def _halves(problem: str, status: Row) -> tuple[str, str]:
    """What is wrong, and what mends it, where its sentence ends with that."""
    remedies = [row["remedy"] for role in _WHY for row in status.get(f"{role}s", ()) if row.get("remedy")]
    for remedy in (*remedies, LEFT_OVER):
        if problem.endswith(f": {remedy}"):
            return problem.removesuffix(f": {remedy}"), remedy
    if problem.startswith("the last reload was refused: "):
        return problem, "correct it; then: poprelay check && systemctl reload poprelay"
    return problem, "see its log: journalctl -u poprelay"


def _why(problem: str) -> str:
    return _WHY.get(problem.partition(" ")[0], "poprelay status says so")
