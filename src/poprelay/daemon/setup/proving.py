"""Proves on the real SMTP port that grants decide: refused, granted, accepted, revoked, refused."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from poprelay.address import special
from poprelay.daemon.client import ask, connect
from poprelay.daemon.setup.probe import OUTSIDE, NoSmtp, Verdict, probe
from poprelay.errors import MtaError
from poprelay.mta.apply import run
from poprelay.mta.host import own_addresses

LENT: Final = "203.0.113.254"
"""An address of nobody that this host takes for its own during the proof, if it has no other that will do.

No interface gets it, for Sendmail trusts those of all interfaces. Of the networks in RFC 5737 it is not 192.0.2.0/24,
which Debian's Sendmail rejects.
"""
PATIENCE: Final = 15.0
"""Seconds until a change must be seen by the MTA."""
_PAUSE, _LONGEST_PAUSE = 0.2, 4.0
_CONNECT: Final = 5.0
_REASON: Final = "setup's proof"
_OTHER: Final = "prove it from another address: --from ADDRESS"


class Probe(NamedTuple):
    """How it is proved: the port, and if they are named the client's address and the recipient."""

    port: int
    source: str = ""
    recipient: str = OUTSIDE


def prove(control: Path, say: Callable[[str], None], how: Probe) -> None:
    """Prove it with the daemon at `control`; each step is said. Raises MtaError where it is not so."""
    with _client(how) as (address, first):
        say(f"a client at {address} is refused: {first}")
        _ask(control, "allow", address=address, span="5m", reason=_REASON, force=True)
        try:
            say(f"with a grant it is accepted: {_until(True, how, address)}")
        finally:
            _ask(control, "revoke", address=address, reason=_REASON)
        say(f"without it, it is refused again: {_until(False, how, address)}")


def check_port(how: Probe) -> None:
    """Raises MtaError if nobody listens there, before anything is changed for nothing."""
    loopback = ("127.0.0.1", "::1")
    for server in (*loopback, *([how.source] if how.source else sorted(own_addresses().difference(loopback)))):
        with suppress(OSError):
            socket.create_connection((server, how.port), _CONNECT).close()
            return
    raise MtaError(f"no SMTP server listens at port {how.port}", remedy="start it, or name its port: --port")


def _until(accepted: bool, how: Probe, address: str) -> Verdict:
    end = time.monotonic() + PATIENCE
    pause = _PAUSE
    while True:
        verdict = _verdict(how, address)
        if verdict.accepted == accepted:
            return verdict
        left = end - time.monotonic()
        if left <= 0:
            state = "with a grant" if accepted else "whose grant was revoked"
            raise MtaError(
                f"a client at {address} {state} is told: {verdict}",
                remedy="the MTA's log says why; prove it --from another ADDRESS, or --to one that it would send to",
            )
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)  # Debian's Sendmail takes ten connections of a client in ten minutes


def _ask(control: Path, operation: str, **arguments: Any) -> None:
    for _ in ask(connect(control), operation, arguments):
        pass


def _verdict(how: Probe, address: str) -> Verdict:
    """What a client at that address is told by the server at the loopback address, or else at its own.

    One that has just been told to read its config again may be gone for a moment.
    """
    loopback = "::1" if ":" in address else "127.0.0.1"
    end = time.monotonic() + PATIENCE
    while True:
        for server in (loopback, address):
            try:
                return probe(server, how.port, address, recipient=how.recipient)
            except NoSmtp:
                raise
            except MtaError as error:
                if server == address and time.monotonic() > end:
                    raise MtaError(error.message, remedy="start it, or name its port: --port") from error
        time.sleep(_PAUSE)


@contextmanager
def _client(how: Probe) -> Iterator[tuple[str, Verdict]]:
    """An address of this host that is refused, and what it is told.

    One is lent if the MTA trusts all that there are.
    """
    own = (address for address in sorted(own_addresses()) if ":" not in address and special(address) != "loopback")
    trusted = None
    for address in [how.source] if how.source else own:
        first = _verdict(how, address)
        if not first.accepted:
            yield address, first
            return
        trusted = address, first
    if how.source or shutil.which("ip") is None:
        raise _trusted(*trusted) if trusted else MtaError("this host has no address that will do", remedy=_OTHER)
    run([("ip", "route", "replace", "local", f"{LENT}/32", "dev", "lo")])
    try:
        first = _verdict(how, LENT)
        if first.accepted:
            raise _trusted(LENT, first)
        yield LENT, first
    finally:
        run([("ip", "route", "del", "local", f"{LENT}/32", "dev", "lo")])


def _trusted(address: str, verdict: Verdict) -> MtaError:
    return MtaError(
        f"a client at {address} may relay without us: {verdict}",
        remedy=f"it is trusted, or this is an open relay (see: poprelay doctor); {_OTHER}",
    )
