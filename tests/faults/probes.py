"""Who asks all the time: an MTA at the service, and one that reads the map by itself."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from faults.lines import FORGED
from faults.truth import LONGEST, Truth

TOO_LONG: Final = LONGEST + 5.0
"""Seconds after which nobody waits for an answer any more."""

_READER: Final = """
import json, lmdb, sys
for _ in sys.stdin:
    try:
        with lmdb.open(sys.argv[1], subdir=False, lock=False, readonly=True, create=False, map_size=1 << 30) as opened:
            with opened.begin() as transaction:
                keys = [bytes(key).rstrip(b"\\0").decode() for key in transaction.cursor().iternext(values=False)]
    except (lmdb.Error, OSError, ValueError):
        keys = []
    print(json.dumps(keys), flush=True)
"""
"""Reads the map when it is asked, in a process of its own: reading a damaged file may kill."""


class MapProbe:
    """Reads the whole map, again and again."""

    def __init__(self, file: Path, truth: Truth) -> None:
        self.muzzled = threading.Event()
        """Set while nobody can keep the map: it outlives the daemon, and then only the cleanup timer empties it."""
        self._file = file
        self._truth = truth
        self._asking = threading.Lock()
        self._reader: subprocess.Popen[bytes] | None = None

    def ask(self, ended: threading.Event) -> None:
        while not ended.wait(0.1):
            if self.muzzled.is_set():
                continue
            asked = time.time()
            keys = self.keys()
            if not self.muzzled.is_set():
                self._truth.told("the map", keys, asked)

    def keys(self) -> set[str]:
        """What the map holds; nothing where it cannot be read just now."""
        with self._asking:
            try:
                if self._reader is None:
                    self._reader = subprocess.Popen(
                        [sys.executable, "-c", _READER, self._file],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                    )
                assert self._reader.stdin is not None
                assert self._reader.stdout is not None
                self._reader.stdin.write(b"\n")
                self._reader.stdin.flush()
                return set(json.loads(self._reader.stdout.readline() or b"x"))
            except (OSError, ValueError):  # it died of a damaged file, as a smtpd would
                self._close()
                return set()

    def close(self) -> None:
        with self._asking:
            self._close()

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None


class Protocol(NamedTuple):
    """How an MTA asks a service, what it hears (None: not all of it yet), and what its answers begin with."""

    name: str
    question: Callable[[str], bytes]
    heard: Callable[[bytes], str | None]
    allows: str
    others: tuple[str, ...]


def _netstring(raw: bytes) -> str | None:
    length, colon, rest = raw.partition(b":")
    return rest[: int(length)].decode() if colon and len(rest) > int(length) else None


SOCKETMAP: Final = Protocol(
    name="socketmap",
    question=lambda address: f"{len(address) + 6}:relay {address},".encode(),
    heard=_netstring,
    allows="OK ",
    others=("NOTFOUND ", "TEMP "),
)
POLICY: Final = Protocol(
    name="policy",
    question=lambda address: f"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address={address}\n\n".encode(),
    heard=lambda raw: raw.decode() if raw.endswith(b"\n\n") else None,
    allows="action=OK",
    others=("action=DUNNO\n", "action=DEFER_IF_REJECT "),
)


class Peer:
    """One connection to a service."""

    def __init__(self, protocol: Protocol, path: Path) -> None:
        self._protocol = protocol
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TOO_LONG)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def answer(self, address: str) -> str:
        """What it is told of one address. Raises OSError."""
        self._socket.sendall(self._protocol.question(address))
        said = b""
        while True:
            piece = self._socket.recv(4096)
            if not piece:
                raise ConnectionResetError("it closed the connection")
            said += piece
            if (answer := self._protocol.heard(said)) is not None:
                return answer

    def close(self) -> None:
        self._socket.close()


class ServiceProbe:
    """Asks a service for one address after the other, over one connection while it lasts."""

    def __init__(self, protocol: Protocol, path: Path, truth: Truth, chance: random.Random) -> None:
        self.slowest = 0.0
        """Seconds that the slowest answer took, since this was last set to 0."""
        self.answered = 0
        """Questions that were answered."""
        self.failed = 0
        """Questions without an answer; wrong if the daemon was up."""
        self._protocol = protocol
        self._path = path
        self._truth = truth
        self._chance = chance

    def ask(self, ended: threading.Event) -> None:
        protocol, truth = self._protocol, self._truth
        peer: Peer | None = None
        while not ended.wait(0.008):
            address = self._some_address()
            up, asked, began = truth.up, time.time(), time.monotonic()
            try:
                peer = peer or Peer(protocol, self._path)
                answer = peer.answer(address)
            except OSError as error:
                self.failed += 1
                truth.answered(protocol.name, up, time.monotonic() - began, failed=str(error))
                if peer is not None:
                    peer.close()
                    peer = None
                ended.wait(0.02)
                continue
            took = time.monotonic() - began
            truth.answered(protocol.name, up, took)
            self.slowest = max(self.slowest, took)
            self.answered += 1
            truth.asked += 1
            if answer.startswith(protocol.allows):
                truth.told(protocol.name, [address], asked)
            elif not answer.startswith(protocol.others):
                truth.wrong.append(f"{protocol.name} said {answer!r}")
            elif up is not None and up == truth.up:
                truth.denied(protocol.name, address, asked, answer)
        if peer is not None:
            peer.close()

    def allowed(self, addresses: Iterable[str]) -> set[str]:
        """Those of these that a new peer is told are allowed. Raises OSError."""
        peer = Peer(self._protocol, self._path)
        try:
            return {address for address in addresses if peer.answer(address).startswith(self._protocol.allows)}
        finally:
            peer.close()

    def knock(self) -> None:
        """One more peer asks; it has to be answered or turned away in time, also where others wait before the door."""
        up, began = self._truth.up, time.monotonic()
        failed = "it is not let in"
        while failed and time.monotonic() - began < TOO_LONG:
            try:
                self.allowed([FORGED])
                failed = ""
            except BlockingIOError:
                time.sleep(0.005)
            except ConnectionError:
                failed = ""
        self._truth.answered(f"{self._protocol.name}, asked by one more,", up, time.monotonic() - began, failed=failed)

    def _some_address(self) -> str:
        recent = self._truth.lately(600)
        return self._chance.choice(recent) if recent and self._chance.random() < 0.9 else FORGED
