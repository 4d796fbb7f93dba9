"""Revocations and denials: orders that outlive the grants they closed, so that replaying a log cannot undo them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from poprelay.model import Address, Instant, Revocation


class Revocations:
    """All that are kept, found by the login that they may be about.

    `key` widens an address to what a grant of it covers: revoking one address of a /64 is revoking the /64.
    """

    def __init__(self, key: Callable[[Address], Address]) -> None:
        self._key = key
        self.by_id: dict[str, Revocation] = {}
        self._by_scope: dict[tuple[Address | None, str | None], dict[str, Revocation]] = {}
        self._next_end = math.inf

    def __iter__(self) -> Iterator[Revocation]:
        return iter(self.by_id.values())

    def add(self, revocation: Revocation) -> None:
        """Keep it, in place of the one with the same id if there is one."""
        self.remove(revocation.id)
        self.by_id[revocation.id] = revocation
        self._by_scope.setdefault(self._scope(revocation), {})[revocation.id] = revocation
        self._next_end = -math.inf

    def remove(self, name: str) -> None:
        """Forget the one with this id, if it is there."""
        revocation = self.by_id.pop(name, None)
        if revocation is not None:
            scope = self._scope(revocation)
            del self._by_scope[scope][name]
            if not self._by_scope[scope]:
                del self._by_scope[scope]

    def over(self, address: Address, user: str) -> Iterator[Revocation]:
        """Those whose scope holds a grant of this user at this (widened) address."""
        for scope in ((address, None), (None, user), (address, user), (None, None)):
            yield from self._by_scope.get(scope, {}).values()

    def ended(self, now: Instant, keep: float) -> list[str]:
        """The ids of those that need no keeping any more: older than `keep`, and their denial is over."""
        if now < self._next_end:
            return []
        ends = {name: end(revocation, keep) for name, revocation in self.by_id.items()}
        self._next_end = min((until for until in ends.values() if until > now), default=math.inf)
        return [name for name, until in ends.items() if until <= now]

    def _scope(self, revocation: Revocation) -> tuple[Address | None, str | None]:
        address = revocation.address
        return (None if address is None else self._key(address), revocation.user)


def end(revocation: Revocation, keep: float) -> Instant:
    """Until when it must be kept: `keep` seconds past the last login that it beats."""
    return max(int(revocation.at) + 1 + keep, revocation.deny_until or -math.inf)


def beats(revocation: Revocation, at: Instant) -> bool:
    """Whether it beats a login at that time: every one up to its second, for logs tell no finer."""
    return int(at) <= int(revocation.at)


def denies(revocation: Revocation, now: Instant) -> bool:
    """Whether it refuses new logins, too."""
    return revocation.deny_until is not None and now < revocation.deny_until
