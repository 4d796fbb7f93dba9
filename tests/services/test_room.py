"""However many peers come, what the daemon itself must open finds a descriptor."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from poprelay.services import room
from poprelay.services.listener import Door
from poprelay.services.server import Server
from poprelay.wire import Bad

CROWD = """
import resource, socket, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
peers = []
for _ in range(int(sys.argv[2])):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(sys.argv[1])
    peers.append(peer)
print("all in", flush=True)
sys.stdin.read()
"""


class Silent:
    refused: Bad | None = None
    finished = False

    def receive(self, data: bytes) -> bytes:
        return data


@pytest.fixture
def few() -> Iterator[int]:
    """A process that may open only a few files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (800, hard))
    yield 800
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_peers_are_turned_away_before_the_last_descriptor_is_gone(unix_door: Door, few: int) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    server = Server("echo", Door(unix_door.listen, max_connections=10_000), Silent)
    with capture_logs() as logs:
        await server.start()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CROWD, str(unix_door.listen.unix), str(few + 400),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 20) == b"all in\n"
            await asyncio.sleep(0.1)
            with Path("/dev/null").open():
                assert few // 2 < server.counts()["connections"] < few
            assert server.counts()["refused_crowded"] >= 400
        finally:
            process.kill()
            await process.wait()
            await server.stop()
    assert complaints == []
    assert [line["reason"] for line in logs] == ["crowded"], "once a minute, however many they are"


def test_a_process_takes_as_many_as_the_system_lets_it(few: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room.widen()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == room.MOST if hard == resource.RLIM_INFINITY else soft == min(room.MOST, hard) > few


@pytest.mark.parametrize(("limit", "last"), [(400, 299), (8192, 8192 - room.KEPT - 1)])
def test_a_quarter_is_kept_of_a_few_and_a_fixed_number_of_many(limit: int, last: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        assert not room.is_full(last)
        assert room.is_full(last + 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
