"""All that the ledger knows, as one value: what is visible, what refuses, and the one draft whose commit is awaited."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

from poprelay.address import widened
from poprelay.ledger.ahead import Ahead
from poprelay.ledger.book import Book
from poprelay.ledger.crowds import Crowd
from poprelay.ledger.record import Cell, Key, Refusal
from poprelay.ledger.revocations import Revocations
from poprelay.ledger.rules import Rules
from poprelay.ledger.terms import Terms
from poprelay.model import Address, Instant

if TYPE_CHECKING:
    from poprelay.ledger.overlay import Overlay

RefusalKey: TypeAlias = tuple[Address, str, str]
"""Address, user, reason."""

REMEMBERED: Final = 65_536
"""Rows of refused logins that are still counted on; beyond it the oldest are let go, and a new row begins."""

_CACHE: Final = 16_384


class State:
    """Passed down to whatever decides; only `flight` and `Ledger` change it."""

    def __init__(self, terms: Terms, rules: Rules) -> None:
        self.terms = terms
        self.rules = rules
        self.book = Book(terms.max_session)
        self.revocations = Revocations(self.key)
        self.crowds: dict[Address, Crowd] = {}
        self.ahead = Ahead()
        self.refusals: dict[RefusalKey, Refusal] = {}
        self.flying: Overlay | None = None
        """The draft that opens, from its first event until it is accepted, or given up for another."""
        self.rewrite: dict[Key, Cell | None] = {}
        """Grants that were shortened, to what, while another commit of theirs was awaited: their rows are put right by
        a later record. Nothing depends on it: at start they are judged and shortened anyway."""
        self.ends_sooner = False
        """Whether grants may end before their time in the schedule, until all are judged: `max_session` got less, and
        nothing else makes them."""
        self.wiped_at = -math.inf
        """What was opened up to then is over, though not all of it is closed yet; minus infinity when all is."""
        self._keys: dict[Address, Address] = {}

    def replace(self, terms: Terms, rules: Rules) -> None:
        """Take on another config; grants are judged by it when `Draft.rejudge` says so."""
        rekeyed = terms.ipv6_prefix != self.terms.ipv6_prefix
        self.ends_sooner |= terms.max_session < self.terms.max_session
        self.terms = terms
        self.rules = rules
        self.book.holding.max_session = terms.max_session
        if self.flying is not None:
            self.flying.holding.max_session = terms.max_session
        if rekeyed:
            self._keys.clear()
            kept = list(self.revocations)
            self.revocations = Revocations(self.key)
            for revocation in kept:
                self.revocations.add(revocation)

    def is_wiped(self, cell: Cell) -> bool:
        """Whether it is over, though not yet closed: everything was closed since it was opened."""
        return cell.grant.opened <= self.wiped_at

    def key(self, address: Address) -> Address:
        """What a grant of this address covers, and is found by: the address, or its IPv6 network."""
        if self.terms.ipv6_prefix == 128 or ":" not in address or "/" in address:
            return address
        try:
            return self._keys[address]
        except KeyError:
            if len(self._keys) >= _CACHE:
                self._keys.clear()
            key = self._keys[address] = widened(address, self.terms.ipv6_prefix)
            return key

    def remember(self, rows: dict[RefusalKey, Refusal], now: Instant) -> None:
        """Go on counting refused logins from these rows."""
        refusals = self.refusals
        for key, row in rows.items():
            refusals.pop(key, None)
            refusals[key] = row
        surplus = len(refusals) - REMEMBERED
        gone: list[RefusalKey] = []
        for key, row in refusals.items():  # one pass: to look for the first again after each would be quadratic
            if len(gone) >= surplus and row.last_at + self.terms.period > now:
                break
            gone.append(key)
        for key in gone:
            del refusals[key]
