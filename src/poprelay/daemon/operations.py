"""The operations behind the commands, defined once; the control socket and the commands are thin doors onto them.

An operation takes a `House` (what is running, or what was opened without a daemon), who asks, and its arguments, and
yields rows: plain dicts, ready for JSON, with RFC 3339 times and stable keys. A row may carry `exit`, the exit code.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, Protocol, TypeVar
from uuid import uuid4

import msgspec

from poprelay.address import canonical
from poprelay.daemon.explaining import explanation
from poprelay.daemon.rows import Row, change_row, denial_row, grant_row
from poprelay.errors import PoprelayError, Refused
from poprelay.ledger.history import History, Past
from poprelay.model import Address, Allowed, Change, Closed, Instant, Revocation
from poprelay.spans import parse_span, show_span

if TYPE_CHECKING:
    from poprelay.daemon.keeper import Keeper

A = TypeVar("A", bound=msgspec.Struct)

BREATH = 100
"""Rows made before others get a turn."""
PAGE = 1000
"""Rows of the history in hand at a time."""
PATIENCE = 5.0
"""Seconds to wait for the store, and for the maps, before saying that they are not done yet."""
LONGEST = 3650 * 86_400.0
"""Seconds that an order may last."""
MOST_WAITING = 10_000
"""Changes that may wait for a `watch` that reads slowly."""


class House(Protocol):
    """What operations work on: a running daemon, or a ledger that was opened without one."""

    @property
    def keeper(self) -> Keeper: ...

    @property
    def observe(self) -> bool:
        """Whether no MTA is told anything."""
        ...

    @property
    def is_served(self) -> bool:
        """Whether the services that the config names answer."""
        ...

    @property
    def ledger_path(self) -> Path: ...

    def status(self) -> Row:
        """Everything that `status` shows, as one row; its `problems` is empty when all is well."""
        ...

    def map_holds(self, address: Address) -> dict[str, bool | None]:
        """For each map, whether it holds the address now; None where that cannot be said."""
        ...


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    user: str | None = None
    address: str | None = None


class Watched(Filter):
    """What `watch` takes: `all` is for whom the changes shall follow on those who may relay when it begins."""

    all: bool = False


class Asked(Filter):
    """What `history` takes: `since` is a span, like `1d`."""

    since: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 1000


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


async def status(house: House, _by: str, _asked: Nothing) -> AsyncGenerator[Row, None]:
    row = house.status()
    yield row
    yield {"exit": 1 if row["problems"] else 0}


async def list_(house: House, _by: str, asked: Filter) -> AsyncGenerator[Row, None]:
    """Who may relay now."""
    keeper = house.keeper
    wanted = _wanted(keeper, asked.address)
    for number, address in enumerate([wanted] if wanted else keeper.ledger.addresses(), start=1):
        for grant in keeper.ledger.at(address, keeper.clock.now()):
            if asked.user is None or grant.user == asked.user:
                yield grant_row(keeper.ledger, grant)
        if not number % BREATH:
            await asyncio.sleep(0)


async def watch(house: House, by: str, asked: Watched) -> AsyncGenerator[Row, None]:
    """Every change from now on, as it happens; with `all`, after the grants that there are, which have no change."""
    keeper = house.keeper
    wanted = _wanted(keeper, asked.address)
    queue: asyncio.Queue[Change] = asyncio.Queue(maxsize=MOST_WAITING)
    lost = False

    def hear(change: Change) -> None:
        nonlocal lost
        lost = lost or queue.full()
        if not lost:
            queue.put_nowait(change)

    keeper.listeners.add(hear)
    try:
        yield {}
        if asked.all:
            async for row in list_(house, by, asked):
                yield {"at": None, **row, "change": None}
        while True:
            if lost and queue.empty():
                raise PoprelayError(
                    "changes came faster than they were read, and some are not shown", remedy="see: poprelay history"
                )
            row = change_row(keeper.ledger, await queue.get())
            if wanted in (None, row["address"]) and asked.user in (None, row["user"]):
                yield row
    finally:
        keeper.listeners.discard(hear)


async def allow(house: House, by: str, asked: Allow) -> AsyncGenerator[Row, None]:
    """Open a grant by hand."""
    keeper = house.keeper
    address = _address(keeper, asked.address)
    span = _span("for", asked.span)
    changes = await keeper.open(
        lambda draft: draft.allow(address, asked.user, span=span, by=by, reason=asked.reason, force=asked.force)
    )
    await keeper.published(PATIENCE)
    for change in changes:
        yield change_row(keeper.ledger, change)


async def revoke(house: House, by: str, asked: Revoke) -> AsyncGenerator[Row, None]:
    """Close grants, and say who still holds the address."""
    if asked.address is None and asked.user is None:
        raise Refused("nothing to revoke", remedy="name --address, --user, or both; `poprelay wipe` closes everything")
    keeper = house.keeper
    now = keeper.clock.now()
    address = None if asked.address is None else _address(keeper, asked.address)
    span = _span("deny", asked.deny)
    revocation = Revocation(
        id=uuid4().hex, at=now, by=by, address=address, user=asked.user, reason=asked.reason,
        deny_until=None if span is None else now + span,
    )  # fmt: skip
    closed = [change for change in keeper.shut(lambda draft: draft.revoke(revocation)) if isinstance(change, Closed)]
    durable, published = await _done(keeper)
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
        "note": _after_revoking(closed=bool(closed), denied=span is not None),
        "pending": [what for what, done in (("commit", durable), ("maps", published)) if not done],
        "exit": 0 if closed or span is not None else 1,
    }


async def denials(house: House, _by: str, asked: Filter) -> AsyncGenerator[Row, None]:
    """What refuses new logins: the orders that `revoke` made with a `deny`."""
    for order in _denials(house.keeper, asked):
        yield denial_row(order)


async def lift(house: House, _by: str, asked: Filter) -> AsyncGenerator[Row, None]:
    """End denials; the next login opens the relay again."""
    keeper = house.keeper
    orders = _denials(keeper, asked)
    keeper.shut(lambda draft: draft.lift([order.id for order in orders]))
    if not await keeper.durable(PATIENCE):
        raise PoprelayError(
            "lifted, but the ledger's file could not be written yet: a restart would bring it back",
            remedy="see: poprelay status",
        )
    for order in orders:
        yield {**denial_row(order), "change": "lifted"}
    yield {"exit": 0 if orders else 1}


async def history(house: House, _by: str, asked: Asked) -> AsyncGenerator[Row, None]:
    """Every change, newest first; read by the page, so that a long answer takes no more memory than a short one."""
    keeper = house.keeper
    span = _span("since", asked.since)
    since = -math.inf if span is None else keeper.clock.now() - span
    address = _wanted(keeper, asked.address)

    def read(before: Past | None, most: int) -> Sequence[Past]:
        with History(house.ledger_path) as past:
            return list(past.find(user=asked.user, address=address, since=since, before=before, limit=most))

    last = None
    for start in range(0, asked.limit, PAGE):
        most = min(PAGE, asked.limit - start)
        page = await asyncio.to_thread(read, last, most)
        for number, past in enumerate(page, start=1):
            yield past.row()
            if not number % BREATH:
                await asyncio.sleep(0)
        if len(page) < most:
            return
        last = page[-1]


async def explain(house: House, _by: str, asked: One) -> AsyncGenerator[Row, None]:
    """What the MTA would see for an address now, and why."""
    yield explanation(house, _address(house.keeper, asked.address))


async def cleanup(house: House, _by: str, _asked: Nothing) -> AsyncGenerator[Row, None]:
    """Take away what is no longer live; adds nothing anywhere."""
    keeper = house.keeper
    changes = []
    while piece := keeper.expire():
        changes += piece
        await asyncio.sleep(0)
    changes += keeper.shut(lambda draft: draft.expire())  # what else is over
    durable, published = await _done(keeper)
    for change in changes:
        yield change_row(keeper.ledger, change)
    if not durable or not (published or all(one.in_step or one.is_resting for one in keeper.publishers)):
        raise PoprelayError(
            "not every map, or the ledger's file, could be written: what has ended may still be in it",
            remedy="see its error above, or: poprelay status",
        )


async def wipe(house: House, by: str, _asked: Nothing) -> AsyncGenerator[Row, None]:
    """Close every grant."""
    keeper = house.keeper
    pieces = await keeper.wipe(wiping(by, keeper.clock.now()))
    durable, published = await _done(keeper)
    while pieces:
        for change in pieces.popleft():
            yield change_row(keeper.ledger, change)
        await asyncio.sleep(0)
    if not (durable and published):
        raise PoprelayError(
            "everything is closed, but not every map or the ledger's file could be written yet",
            remedy="see: poprelay status",
        )


def wiping(by: str, at: Instant) -> Revocation:
    """The order that closes everything."""
    return Revocation(id=uuid4().hex, at=at, by=by, address=None, user=None, reason="wiped")


class Operation(Generic[A]):
    """One operation: what it takes, whether it changes anything, and whether it goes on until nobody listens."""

    def __init__(
        self,
        takes: type[A],
        does: Callable[[House, str, A], AsyncGenerator[Row, None]],
        *,
        writes: bool = False,
        endless: bool = False,
    ) -> None:
        self.writes = writes
        self.endless = endless
        self._takes = takes
        self._does = does

    def run(self, house: House, by: str, arguments: Row) -> AsyncGenerator[Row, None]:
        """Carry it out; raises PoprelayError, also for arguments that do not fit."""
        try:
            asked = msgspec.convert(arguments, self._takes)
            for name, value in arguments.items():
                if isinstance(value, str):
                    _check_text(name, value)
        except msgspec.ValidationError as error:
            raise PoprelayError(f"the arguments do not fit: {error}") from None
        return self._does(house, by, asked)


OPERATIONS: Final[dict[str, Operation[Any]]] = {
    "status": Operation(Nothing, status),
    "list": Operation(Filter, list_),
    "watch": Operation(Watched, watch, endless=True),
    "history": Operation(Asked, history),
    "explain": Operation(One, explain),
    "denials": Operation(Filter, denials),
    "lift": Operation(Filter, lift, writes=True),
    "allow": Operation(Allow, allow, writes=True),
    "revoke": Operation(Revoke, revoke, writes=True),
    "cleanup": Operation(Nothing, cleanup, writes=True),
    "wipe": Operation(Nothing, wipe, writes=True),
}
"""Every operation by its name: that of the command, and `lift` for `denials --lift`."""


async def _done(keeper: Keeper) -> tuple[bool, bool]:
    """Whether what was closed is committed by now, and whether every map says so."""
    return await keeper.durable(PATIENCE), await keeper.published(PATIENCE)


def _after_revoking(*, closed: bool, denied: bool) -> str:
    """What whoever revokes may not expect."""
    if denied:
        return "" if closed else "there was no grant to close"
    if closed:
        return "a new login opens it again; --deny 7d would refuse that too"
    return "there was no grant to close; --deny 7d would refuse new logins"


def _address(keeper: Keeper, text: str) -> Address:
    """An address; or one of a granted network, spelled as `list` shows it."""
    host, network, _ = text.partition("/")
    found = canonical(host)
    if found is None or (network and _widened(keeper, found) != text):
        raise Refused(f"{text!r} is not one full IPv4 or IPv6 address")
    return found


def _wanted(keeper: Keeper, text: str | None) -> Address | None:
    return None if text is None else _widened(keeper, _address(keeper, text))


def _widened(keeper: Keeper, address: Address) -> Address:
    return keeper.ledger.key(address)


def _denials(keeper: Keeper, asked: Filter) -> list[Revocation]:
    wanted = _wanted(keeper, asked.address)
    return [
        order
        for order in keeper.ledger.denied(keeper.clock.now())
        if asked.user in (None, order.user)
        and (wanted is None or (order.address is not None and _widened(keeper, order.address) == wanted))
    ]


def _check_text(name: str, text: str) -> None:
    """The store keeps bytes: any that stood in a log or on a command line, but not every string that JSON can say."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Refused(f"{name} holds half a character") from None


def _span(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    span = parse_span(text)
    if not span:
        raise Refused(f"--{option} {text!r} is not a span", remedy="write it like 30m, 24h or 7d")
    if span > LONGEST:
        raise Refused(f"--{option} {text!r} is over ten years", remedy="what is to last belongs into the config")
    return span
