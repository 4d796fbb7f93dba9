"""A source that is read while a test goes on, and what it brings."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

from poprelay.model import Login
from poprelay.sources import Source


class Seen:
    """What a source has brought so far: the users of its logins, in order, and the last position."""

    def __init__(self, position: bytes | None) -> None:
        self.users: list[str] = []
        self.position = position
        self.caught_up = False
        self.ended: asyncio.Task[None] | None = None

    async def wait(self, *users: str, seconds: float = 10.0) -> None:
        """Until it is caught up and has brought these, and nothing else."""
        began = time.monotonic()
        while not (self.caught_up and len(self.users) >= len(users)):
            assert time.monotonic() - began < seconds, f"{self.users} is all"
            if self.ended is not None and self.ended.done():
                self.ended.result()
            await asyncio.sleep(0.01)
        assert self.users == list(users)


@contextlib.asynccontextmanager
async def following(source: Source, position: bytes | None = None, *, at_end: bool = False) -> AsyncGenerator[Seen]:
    seen = Seen(position)
    generator = source.batches(position, at_end=at_end)
    assert isinstance(generator, AsyncGenerator)

    async def follow() -> None:
        async with contextlib.aclosing(generator) as batches:
            async for batch in batches:
                seen.users += [event.user for event in batch.events if isinstance(event, Login)]
                seen.position = batch.position
                seen.caught_up = batch.caught_up

    seen.ended = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        seen.ended.cancel()
        await asyncio.gather(seen.ended, return_exceptions=True)
