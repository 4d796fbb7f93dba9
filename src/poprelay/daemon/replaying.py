"""A log through a ledger at one go: a fresh one by the log's own clock, or the real one by ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from poprelay.address import Network
from poprelay.daemon.collector import kept_away
from poprelay.daemon.configure import Config
from poprelay.daemon.offline import working_house
from poprelay.daemon.terms import rules_of, terms_of
from poprelay.ledger.draft import Draft
from poprelay.ledger.ledger import Ledger
from poprelay.model import Change, Event, Instant


class Replay:
    """A fresh ledger under the config's terms and rules. What this host is (its addresses) does not count."""

    def __init__(self, config: Config) -> None:
        self.ledger = Ledger(terms_of(config.settings), rules_of(config.settings))
        self._now: Instant = 0.0

    def feed(self, events: Iterable[Event]) -> Iterator[Change]:
        """Let events happen when their stamps say, and grants end in between; the changes, in order."""
        for at, together in groupby(events, key=lambda event: event.at):
            self._now = max(self._now, at)
            yield from self._expire()
            draft = self.ledger.draft(self._now)
            for event in together:
                draft.take(event, self._now)
            self.ledger.close(draft)
            self.ledger.accept(draft)
            yield from draft.changes

    def _expire(self) -> Iterator[Change]:
        while (end := self.ledger.next_end()) is not None and end <= self._now:
            draft = self.ledger.draft(end)
            draft.expire()
            self.ledger.close(draft)
            self.ledger.accept(draft)
            yield from draft.changes


def with_networks(config: Config, more: tuple[Network, ...]) -> Config:
    """The config, with some more `allow_networks`."""
    relay = msgspec.structs.replace(config.settings.relay, allow_networks=config.settings.relay.allow_networks + more)
    return msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, relay=relay))


def replay_into(config: Config, events: Iterable[Event]) -> tuple[Ledger, Sequence[Change]]:
    """Let events happen in the real ledger, as read just now; the ledger and the changes in it, in order, once all of
    them are durable.

    Raises AlreadyRunning while a daemon runs.
    """
    return asyncio.run(_into(config, events))


async def _into(config: Config, events: Iterable[Event]) -> tuple[Ledger, Sequence[Change]]:
    async with working_house(config) as house:
        keeper = house.keeper
        now = keeper.clock.now()

        def order(draft: Draft) -> None:
            with kept_away():
                for event in events:
                    draft.take(event, now)

        changes = await keeper.open(order)
        await keeper.published()
        return keeper.ledger, changes
