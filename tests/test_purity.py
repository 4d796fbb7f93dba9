"""The lower layers are pure: no socket, no file, no clock, no chance. Time is an argument; all state is a value."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src/poprelay"
DURABLE = {"sqlite", "writer", "history", "lock", "connection", "damage", "files", "schema", "tables", "witness"}
"""What makes the ledger durable: the part of it that is not pure."""
FILES = {
    "config/load.py": {"read_bytes"},  # config's own file
    "config/legacy.py": {"read_bytes", "read_text"},  # Mail::POPRelay's
    "agents/catalog.py": {"is_file", "read_bytes"},  # an agent's samples, which are packaged beside it
}
"""Modules that may read a file, and how they do it."""

DOORS = {"asyncio", "http", "multiprocessing", "random", "secrets", "select", "socket", "ssl", "subprocess",
         "threading", "urllib", "uuid"}  # fmt: skip
HARMLESS = {("socket", name) for name in ("AF_INET", "AF_INET6", "inet_ntop", "inet_pton")}
CLOCKS = {
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "process_time",
    "sleep",
    "now",
    "utcnow",
    "today",
}
TOUCHING = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "stat", "exists",
            "iterdir", "glob", "touch", "is_file", "is_dir"}  # fmt: skip


def modules() -> Iterator[Path]:
    for name in ("model", "errors", "address", "spans", "escape"):
        yield SOURCE / f"{name}.py"
    for folder in ("agents", "scan", "wire", "config"):
        yield from sorted((SOURCE / folder).glob("*.py"))
    yield from sorted(path for path in (SOURCE / "ledger").glob("*.py") if path.stem not in DURABLE)


PURE = {str(path.relative_to(SOURCE)): path for path in modules()}


def impure(tree: ast.Module) -> Iterator[str]:
    """What a module imports or calls that is not pure, each as one word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {each.name}" for each in node.names if each.name.split(".")[0] in DOORS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in DOORS:
            named = {(node.module, each.name) for each in node.names}
            yield from (f"from {module} import {name}" for module, name in named - HARMLESS)
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id == "open":
                yield "open"
            elif isinstance(called, ast.Attribute) and called.attr in TOUCHING:
                yield called.attr
            elif isinstance(called, ast.Attribute) and called.attr in CLOCKS:
                of = ast.unparse(called.value)
                if of in {"time", "datetime", "date", "datetime.datetime"}:
                    yield f"{of}.{called.attr}"


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_touches_nothing(name: str) -> None:
    found = set(impure(ast.parse(PURE[name].read_text())))
    assert found - FILES.get(name, set()) == set()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("import socket", "import socket"),
        ("from socket import socket", "from socket import socket"),
        ("import asyncio.events", "import asyncio.events"),
        ("import time\ntime.time()", "time.time"),
        ("datetime.now(UTC)", "datetime.now"),
        ("open('x')", "open"),
        ("path.read_text()", "read_text"),
    ],
)
def test_what_is_not_pure_is_noticed(text: str, word: str) -> None:
    assert list(impure(ast.parse(text))) == [word]


SCRIPT = """
import builtins, datetime, socket, time
import msgspec, radix

def forbidden(*args, **kwargs):
    raise AssertionError("the ledger must not do that")

from poprelay.ledger.ledger import Ledger, Terms
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.model import Address, Login, Origin, Revocation

for name in ("time", "time_ns", "monotonic", "perf_counter", "sleep", "localtime"):
    setattr(time, name, forbidden)
builtins.open = forbidden
socket.socket = forbidden

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
draft.clamp_rest()
draft.rejudge({Address("9.9.9.9")})
ledger.close(draft)
assert not list(ledger.grants(130.0))
assert ledger.denials(Address("9.9.9.9"), 130.0) == []
"""


def test_a_ledger_lives_without_clock_file_and_socket() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
