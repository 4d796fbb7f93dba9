"""The operations behind the commands, defined once; the control socket and the commands are thin doors onto them.

An operation takes a `House` (what is running, or what was opened without a daemon), who asks, and its arguments, and
yields rows: plain dicts, ready for JSON, with RFC 3339 times and stable keys. A row may carry `exit`, the exit code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar
from uuid import uuid4

import msgspec

from poprelay.address import canonical
from poprelay.daemon.keeper import Keeper
from poprelay.daemon.rows import Row, change_row, grant_row
from poprelay.errors import PoprelayError, Refused
from poprelay.ledger.history import History
from poprelay.model import Absent, Address, Allowed, Change, Closed, Revocation, Unavailable
from poprelay.spans import parse_span, show_span

A = TypeVar("A", bound=msgspec.Struct)

BREATH = 500
"""Rows made before others get a turn."""


class House(Protocol):
    """What operations work on: a running daemon, or a ledger that was opened without one."""

    @property
    def keeper(self) -> Keeper: ...

    @property
    def ledger_path(self) -> Path: ...

    def status(self) -> Row:
        """Everything that `status` shows, as one row; its `problems` is empty when all is well."""
        ...

    def map_holds(self, address: Address) -> dict[str, bool]:
        """For each map, whether it holds the address now."""
        ...


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    user: str | None = None
    address: str | None = None


class Asked(Filter):
    """What `history` takes: `since` is a span, like `1d`."""

    since: str | None = None
    limit: int = 1000


class Allow(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    user: str = ""
    span: str | None = None
    reason: str = ""
    force: bool = False


class Revoke(msgspec.Struct, forbid_unknown_fields=True):
    address: str | None = None
    user: str | None = None
    deny: str | None = None
    reason: str = ""


class One(msgspec.Struct, forbid_unknown_fields=True):
    address: str


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


async def status(house: House, _by: str, _asked: Nothing) -> AsyncIterator[Row]:
    row = house.status()
    yield row
    yield {"exit": 1 if row["problems"] else 0}


async def list_(house: House, _by: str, asked: Filter) -> AsyncIterator[Row]:
    """Who may relay now."""
    keeper = house.keeper
    wanted = _wanted(keeper, asked.address)
    now = keeper.clock.now()
    if wanted is not None:
        grants = [grant for grant in keeper.ledger.grants(now) if grant.address == wanted]
    else:
        grants = list(keeper.ledger.grants(now))
    for number, grant in enumerate(grants, start=1):
        if asked.user is None or grant.user == asked.user:
            yield grant_row(keeper.ledger, grant)
        if not number % BREATH:
            await asyncio.sleep(0)


async def watch(house: House, _by: str, asked: Filter) -> AsyncIterator[Row]:
    """Every change from now on, as it happens."""
    keeper = house.keeper
    wanted = _wanted(keeper, asked.address)
    queue: asyncio.Queue[Change] = asyncio.Queue(maxsize=10_000)

    def hear(change: Change) -> None:
        if not queue.full():
            queue.put_nowait(change)

    keeper.listeners.add(hear)
    try:
        yield {}
        while True:
            row = change_row(keeper.ledger, await queue.get())
            if wanted in (None, row["address"]) and asked.user in (None, row["user"]):
                yield row
    finally:
        keeper.listeners.discard(hear)


async def allow(house: House, by: str, asked: Allow) -> AsyncIterator[Row]:
    """Open a grant by hand."""
    keeper = house.keeper
    address = _address(asked.address)
    span = _span("for", asked.span)
    changes = await keeper.open(
        lambda draft: draft.allow(address, asked.user, span=span, by=by, reason=asked.reason, force=asked.force)
    )
    await keeper.published()
    for change in changes:
        yield change_row(keeper.ledger, change)


async def revoke(house: House, by: str, asked: Revoke) -> AsyncIterator[Row]:
    """Close grants, and say who still holds the address."""
    if asked.address is None and asked.user is None:
        raise Refused("nothing to revoke", remedy="name --address, --user, or both; `poprelay wipe` closes everything")
    keeper = house.keeper
    now = keeper.clock.now()
    address = None if asked.address is None else _address(asked.address)
    span = _span("deny", asked.deny)
    revocation = Revocation(
        id=uuid4().hex, at=now, by=by, address=address, user=asked.user, reason=asked.reason,
        deny_until=None if span is None else now + span,
    )  # fmt: skip
    closed = [change for change in keeper.shut(lambda draft: draft.revoke(revocation)) if isinstance(change, Closed)]
    durable, published = await keeper.durable(), await keeper.published()
    for change in closed:
        yield change_row(keeper.ledger, change)
    for where in {change.grant.address for change in closed} | ({_widened(keeper, address)} if address else set()):
        match keeper.find(where):
            case Allowed(grants):
                for grant in islice(grants, 20):
                    yield {**grant_row(keeper.ledger, grant), "change": "still"}
    yield {
        "change": "revoked",
        "denied": None if span is None else show_span(span),
        "note": "" if span is not None else "a new login opens it again; --deny 7d would refuse that too",
        "pending": [what for what, done in (("commit", durable), ("maps", published)) if not done],
        "exit": 0 if closed or span is not None else 1,
    }


async def history(house: House, _by: str, asked: Asked) -> AsyncIterator[Row]:
    """Every change, newest first."""
    keeper = house.keeper
    span = _span("since", asked.since)
    since = None if span is None else keeper.clock.now() - span
    address = _wanted(keeper, asked.address)

    def read() -> Sequence[Row]:
        with History(house.ledger_path) as past:
            return list(past.rows(user=asked.user, address=address, since=since, limit=asked.limit))

    for row in await asyncio.to_thread(read):
        yield row


async def explain(house: House, _by: str, asked: One) -> AsyncIterator[Row]:
    """What the MTA would see for an address now, and why."""
    keeper = house.keeper
    ledger = keeper.ledger
    address = _address(asked.address)
    outcome = keeper.find(_widened(keeper, address))
    answer, code = "no", 1
    why: list[str] = []
    rows: list[Row] = []
    match outcome:
        case Allowed(grants):
            answer, code = "yes", 0
            rows = [grant_row(ledger, grant) for grant in grants]
        case Unavailable(reason):
            answer, code = "cannot tell", 3
            why.append(reason)
        case Absent():
            why.append("it has no live grant")
    refusal = ledger.rules.sentence(address)
    if refusal:
        why.append(refusal)
    why.extend(ledger.denials(address, keeper.clock.now()))
    yield {
        "address": address,
        "key": _widened(keeper, address),
        "answer": answer,
        "why": why,
        "grants": rows,
        "maps": house.map_holds(_widened(keeper, address)),
        "exit": code,
    }


async def cleanup(house: House, _by: str, _asked: Nothing) -> AsyncIterator[Row]:
    """Take away what is no longer live; adds nothing anywhere."""
    keeper = house.keeper
    changes = keeper.shut(lambda draft: draft.expire())
    await keeper.durable()
    await keeper.published()
    for change in changes:
        yield change_row(keeper.ledger, change)


async def wipe(house: House, by: str, _asked: Nothing) -> AsyncIterator[Row]:
    """Close every grant."""
    keeper = house.keeper
    revocation = Revocation(id=uuid4().hex, at=keeper.clock.now(), by=by, address=None, user=None, reason="wiped")
    changes = keeper.shut(lambda draft: draft.revoke(revocation))
    durable, published = await keeper.durable(), await keeper.published()
    for number, change in enumerate(changes, start=1):
        yield change_row(keeper.ledger, change)
        if not number % BREATH:
            await asyncio.sleep(0)
    if not (durable and published):
        raise PoprelayError(
            "everything is closed, but not every map or the ledger's file could be written yet",
            remedy="see: poprelay status",
        )


class Operation(Generic[A]):
    """One operation: what it takes, and whether it changes anything."""

    def __init__(
        self, takes: type[A], does: Callable[[House, str, A], AsyncIterator[Row]], *, writes: bool = False
    ) -> None:
        self.writes = writes
        self._takes = takes
        self._does = does

    def run(self, house: House, by: str, arguments: Row) -> AsyncIterator[Row]:
        """Carry it out; raises PoprelayError, also for arguments that do not fit."""
        try:
            asked = msgspec.convert(arguments, self._takes)
        except msgspec.ValidationError as error:
            raise PoprelayError(f"the arguments do not fit: {error}") from None
        return self._does(house, by, asked)


OPERATIONS: Final[dict[str, Operation[Any]]] = {
    "status": Operation(Nothing, status),
    "list": Operation(Filter, list_),
    "watch": Operation(Filter, watch),
    "history": Operation(Asked, history),
    "explain": Operation(One, explain),
    "allow": Operation(Allow, allow, writes=True),
    "revoke": Operation(Revoke, revoke, writes=True),
    "cleanup": Operation(Nothing, cleanup, writes=True),
    "wipe": Operation(Nothing, wipe, writes=True),
}
"""Every operation by its name, which is the command's name too."""


def _address(text: str) -> Address:
    found = canonical(text)
    if found is None:
        raise Refused(f"{text!r} is not one full IPv4 or IPv6 address")
    return found


def _wanted(keeper: Keeper, text: str | None) -> Address | None:
    return None if text is None else _widened(keeper, _address(text))


def _widened(keeper: Keeper, address: Address) -> Address:
    return keeper.ledger.key(address)


def _span(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    span = parse_span(text)
    if not span:
        raise Refused(f"--{option} {text!r} is not a span", remedy="write it like 30m, 24h or 7d")
    return span
