"""Whether there is something to read, and waiting for it in the event loop: so nothing is left waiting in a thread when
the daemon stops."""

from __future__ import annotations

import asyncio
import select


def is_ready(descriptor: int) -> bool:
    """Whether reading would not wait: there is something, or the end."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


async def until_ready(descriptor: int) -> None:
    """Wait until that is so; no longer, where the loop could not wait (`/dev/null` is always ready)."""
    if is_ready(descriptor):
        return
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, wake)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
