"""Stand-ins for the programs that make databases; the live tests run the real ones.

`postmap` makes and lists a `hash:` that is its text, and makes a real `cdb:`; `tcprules` makes a real cdb. Each fails
where there is a file `fail` beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_CDB: Final = """
import sys
from struct import pack
from functools import reduce
def number(key): return reduce(lambda number, byte: (number * 33 & 0xffffffff) ^ byte, key, 5381)
def cdb(records):
    body, tables = b"", [[] for _ in range(256)]
    for key, value in records:
        tables[number(key) & 255].append((number(key), 2048 + len(body)))
        body += pack("<II", len(key), len(value)) + key + value
    head, rest = b"", b""
    for table in tables:
        size = 2 * len(table)
        head += pack("<II", 2048 + len(body) + len(rest), size)
        slots = [(0, 0)] * size
        for key, at in table:
            slot = (key >> 8) % size
            while slots[slot][1]: slot = (slot + 1) % size
            slots[slot] = key, at
        rest += b"".join(pack("<II", *slot) for slot in slots)
    return head + body + rest
lines = open(sys.argv[1], "rb").read().splitlines()
"""
_POSTMAP: Final = r"""
open(sys.argv[1] + ".cdb", "wb").write(cdb(tuple(word + b"\0" for word in line.split(b"\t")) for line in lines))
"""
_TCPRULES: Final = r"""
rules = (line.rpartition(b":") for line in lines if line and not line.startswith(b"#"))
open(sys.argv[2], "wb").write(cdb((key, b"+RELAYCLIENT=\0") for key, _, rule in rules))
"""
_FAIL: Final = 'if [ -e "$(dirname "$0")/fail" ]; then echo no room; exit 1; fi\n'


def _program(directory: Path, name: str, shell: str, python: str) -> str:
    script, program = directory / f"{name}.py", directory / name
    script.write_text(_CDB + python)
    program.write_text(f"#!/bin/sh\n{_FAIL}python='{sys.executable} -IS {script}'\n{shell}")
    program.chmod(0o755)
    return str(program)


def postmap(directory: Path) -> str:
    """The path of a new `postmap` in the directory."""
    shell = 'case "$1$2" in -shash:*) cat "${2#hash:}.db";; hash:*) cp "${1#hash:}" "${1#hash:}.db";;'
    return _program(directory, "postmap", f'{shell} *) exec $python "${{1#cdb:}}";; esac\n', _POSTMAP)


def tcprules(directory: Path) -> str:
    """The path of a new `tcprules` in the directory."""
    return _program(directory, "tcprules", 'exec $python /dev/stdin "$1"\n', _TCPRULES)
