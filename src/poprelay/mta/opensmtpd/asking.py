"""How OpenSMTPD asks each of our maps, and which of its tables is ours."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from poprelay.mta import Part
from poprelay.mta.opensmtpd.rules import Rules, Table

SQLITE: Final = Path("/etc/poprelay/opensmtpd.sqlite")
"""What table-sqlite is told: where the database is, and how it is asked."""
SQLITE_TEXT: Final = """\
dbpath {path}
query_netaddr SELECT address FROM relay WHERE address = trim(replace(?, 'IPv6:', ''), '[]')
"""
_DBPATH: Final = re.compile(r"^\s*dbpath\s+(\S+)", re.MULTILINE)


def question(part: Part, table: str, action: str) -> str:
    """The lines of smtpd.conf by which it asks this part: the table, if it has none yet, and the rule."""
    door = f"sqlite:{SQLITE}" if part.kind == "sqlite" else f"file:{part.place}"
    named = "" if table else f"table {(table := part.spec.get('table', 'poprelay'))} {door}\n"
    return f'{named}match from src <{table}> for any action "{action}"\n'


def table_of(part: Part, rules: Rules) -> str:
    """The name of the table that is this part; '' if there is none."""
    return next((name for name, table in rules.tables.items() if _is(table, part)), "")


def _is(table: Table, part: Part) -> bool:
    if part.kind == "opensmtpd":
        return table.kind == "file" and table.place == part.place
    with suppress(OSError):
        if part.kind == "sqlite" and table.kind == "sqlite":
            found = _DBPATH.search(Path(table.place).read_text("utf-8", "replace"))
            return found is not None and found[1] == part.place
    return False
