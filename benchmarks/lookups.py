"""Server CPU per lookup: each service against a bare asyncio echo of the same size, same client, same run.

    python benchmarks/lookups.py

A server runs in a process of its own, on a unix socket. One client asks over a few connections in turn, one request at
a time, as Postfix does; half of the addresses have a grant. Where a service answers once for each connection, as Exim
wants it, so does the echo beside it. In every round each server gets its turn, and the echo one for each size of
request.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from poprelay.clock import Clock
from poprelay.config.section import Listen
from poprelay.ledger.ledger import Ledger, Terms
from poprelay.ledger.record import Cell, Snapshot
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.model import Address, Grant
from poprelay.services import Service
from poprelay.services.listener import Door
from poprelay.services.policy import PolicyService
from poprelay.services.readsocket import ReadSocketService
from poprelay.services.socketmap import SocketmapService
from poprelay.services.tcp_table import TcpTableService
from report import Topic, quick

CONNECTIONS = 4
LIMIT = 2.0
"""What a lookup may cost at most, in echoes."""

ADDRESSES = [f"192.0.2.{n}" for n in range(100, 200)]
ALLOWED = set(ADDRESSES[::2])

POLICY = """request=smtpd_access_policy
protocol_state=RCPT
protocol_name=ESMTP
client_address={}
client_name=host.example.net
client_port=45678
reverse_client_name=host.example.net
server_address=198.51.100.25
server_port=25
helo_name=client.example.org
sender=ann@example.org
recipient=bob@example.net
recipient_count=0
queue_id=
instance=1234.5678abcd.9f3c1.0
size=0
etrn_domain=
stress=
sasl_method=
sasl_username=
sasl_sender=
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=TLSv1.3
encryption_cipher=TLS_AES_256_GCM_SHA384
encryption_keysize=256
policy_context=

"""

REQUESTS = {
    "socketmap": [f"17:relay {address},".encode() for address in ADDRESSES],
    "policy": [POLICY.format(address).encode() for address in ADDRESSES],
    "tcp_table": [f"get {address}\n".encode() for address in ADDRESSES],
    "readsocket": [f"{address}\n".encode() for address in ADDRESSES],
}
ONCE = ("readsocket",)
"""Services that take a connection for each question."""
SERVICES: dict[str, Callable[[Door], Service]] = {
    "socketmap": SocketmapService,
    "policy": PolicyService,
    "tcp_table": TcpTableService,
    "readsocket": ReadSocketService,
}


class Echo(asyncio.Protocol):
    """The yardstick: no parsing, no limits, no answer of its own."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class EchoOnce(Echo):
    """The yardstick of who asks once in a connection."""

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)
        self._transport.close()


ECHOES = {"echo": Echo, "echo once": EchoOnce}


def echo_of(asked: str) -> str:
    """Which yardstick stands beside a service."""
    return "echo once" if asked in ONCE else "echo"


def filled(now: float) -> Ledger:
    """A ledger with 10,000 live grants, those that are asked for among them."""
    addresses = [*ALLOWED, *(f"198.18.{n // 250}.{n % 250}" for n in range(10_000 - len(ALLOWED)))]
    ledger = Ledger(Terms(period=86_400.0), Rules(RuleTerms()))
    until = now + 86_400.0
    grants = [Cell(Grant(Address(a), "ann", "login", now, until, now, now, 86_400.0, "dovecot")) for a in addresses]
    ledger.load(Snapshot(grants=grants), now)
    ledger.judged()  # the rules would refuse these addresses, which nobody has
    return ledger


async def serve(kind: str, path: Path, control: Connection) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def report() -> None:
        if control.recv() == "cpu":
            control.send(time.process_time())
        else:
            done.set()

    service: Service | None = None
    if kind in ECHOES:
        await loop.create_unix_server(ECHOES[kind], path)
    else:
        service = SERVICES[kind](Door(Listen(unix=path, host="", port=0)))
        clock = Clock()
        ledger = filled(clock.now())
        await service.start(lambda address: ledger.find(address, clock.now()))
    loop.add_reader(control.fileno(), report)
    control.send("ready")
    await done.wait()
    if service is not None:
        await service.stop()


def run(kind: str, path: Path, control: Connection) -> None:
    asyncio.run(serve(kind, path, control))


def ask(path: Path, requests: Sequence[bytes], lookups: int) -> set[bytes]:
    """Ask `lookups` times, one after the other, and return the kinds of answer that came."""
    peers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(CONNECTIONS)]
    for peer in peers:
        peer.connect(str(path))
    answers: set[bytes] = set()
    for number in range(lookups):
        peer = peers[number % CONNECTIONS]
        peer.sendall(requests[number % len(requests)])
        answers.add(peer.recv(4096))
    for peer in peers:
        peer.close()
    return answers


def ask_once(path: Path, requests: Sequence[bytes], lookups: int) -> set[bytes]:
    """The same, with a connection for each question; an answer ends where the connection does."""
    answers: set[bytes] = set()
    for number in range(lookups):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(str(path))
            peer.sendall(requests[number % len(requests)])
            answer = b""
            while piece := peer.recv(4096):
                answer += piece
        answers.add(answer)
    return answers


def measure(rounds: int, lookups: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of CPU for one lookup, in each round, by (server, what was asked)."""
    context = multiprocessing.get_context("spawn")
    spent: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        servers = {}
        for kind in (*ECHOES, *REQUESTS):
            ours, theirs = Pipe()
            process = context.Process(target=run, args=(kind, Path(folder, kind), theirs))
            process.start()
            assert ours.recv() == "ready"
            servers[kind] = (process, ours)
        for _ in range(rounds):
            for asked, requests in REQUESTS.items():
                put = ask_once if asked in ONCE else ask
                for kind in (echo_of(asked), asked):
                    _, control = servers[kind]
                    control.send("cpu")
                    before = control.recv()
                    answers = put(Path(folder, kind), requests, lookups)
                    control.send("cpu")
                    spent.setdefault((kind, asked), []).append((control.recv() - before) / lookups)
                    assert len(answers) == (len(requests) if kind in ECHOES else 2), answers
        for process, control in servers.values():
            control.send("stop")
            process.join()
    return spent


def main() -> int:
    topic = Topic(
        "lookups",
        "What a lookup costs",
        "CPU of the server for each lookup, against a bare asyncio echo of the same size, same client, same run; one "
        "request at a time, as Postfix asks. Where a service answers once for each connection, so does its echo.",
    )
    spent = measure(*((3, 10_000) if quick() else (7, 50_000)))
    for asked in REQUESTS:
        echo, service = spent[echo_of(asked), asked], spent[asked, asked]
        topic.add(asked, [seconds * 1e6 for seconds in service], "us")
        topic.add(f"{asked}: echo", [seconds * 1e6 for seconds in echo], "us")
        ratios = [ours / bare for ours, bare in zip(service, echo, strict=True)]
        topic.add(f"{asked} / echo", ratios, "times", at_most=LIMIT)
    topic.keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
