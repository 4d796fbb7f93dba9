"""The ledger is pure: it calls no clock, opens no file and no socket; time is an argument, and all state is a value."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import builtins, datetime, heapq, ipaddress, itertools, socket, time
import msgspec, radix

def forbidden(*args, **kwargs):
    raise AssertionError("the ledger must not do that")

for name in ("time", "time_ns", "monotonic", "perf_counter", "sleep", "localtime"):
    setattr(time, name, forbidden)
builtins.open = forbidden
socket.socket = forbidden

from poprelay.ledger import book, caps, closing, crowds, draft, flight
from poprelay.ledger import overlay, record, revocations, sessions, state, terms
from poprelay.ledger.ledger import Ledger, Terms
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.model import Address, Login, Origin, Revocation

ledger = Ledger(Terms(period=60.0), Rules(RuleTerms()))
draft = ledger.draft(100.0)
draft.login(Login(100.0, "ann", Address("9.9.9.9"), "imap", True, "s", "dovecot", Origin("mail.log", "mx")), 100.0)
ledger.close(draft)
draft.record({})
ledger.accept(draft)
assert ledger.find(Address("9.9.9.9"), 100.0)
draft = ledger.draft(130.0)
draft.revoke(Revocation("r", 130.0, "root", None, None, ""))
draft.expire()
draft.rejudge()
ledger.close(draft)
assert not list(ledger.grants(130.0))
assert ledger.denials(Address("9.9.9.9"), 130.0) == []
"""


def test_the_ledger_calls_no_clock_and_opens_no_file_and_no_socket() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
