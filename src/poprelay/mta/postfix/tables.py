"""The tables that Postfix asks beside ours, as far as they let somebody relay by accident, or everybody (access(5)).

A value permits that says OK or permit, but also RELAY, any number, and a blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from poprelay.errors import MtaError
from poprelay.mta import Finding, Part
from poprelay.mta.postfix import postconf
from poprelay.mta.postfix.asking import asks
from poprelay.mta.postfix.instance import Instance
from poprelay.mta.postfix.restrictions import STOPS, Restriction, index

_LISTED: Final = ("hash", "btree", "lmdb", "dbm")
"""Those of which postmap(1) lists the entries."""
_TEXT: Final = ("texthash", "cidr")
_INLINE: Final = re.compile(r"([^\s,{}=]+)\s*=\s*([^,{}]*[^,{}\s]|)")
_EVERYBODY: Final = ("0.0.0.0/0", "::/0")
_SHOWN: Final = 3


def accidents(instance: Instance, restrictions: Sequence[Restriction], parts: Sequence[Part]) -> Iterator[Finding]:
    """The entries of others' tables that permit, before strangers are stopped, though they do not say so."""
    before = restrictions[: index(restrictions, lambda one: one.name in STOPS)]
    for one in before:
        if one.name.startswith("check_") and not any(asks(one.argument, part, instance.queue) for part in parts):
            entries = list(_entries(instance, one.argument))
            kind, _, path = one.argument.partition(":")
            if kind == "cidr" and any(key in _EVERYBODY and _permits(value) for key, value in entries):
                yield Finding(
                    "danger",
                    "postfix",
                    f"{one} permits everybody",
                    "an open relay",
                    f"take {' and '.join(_EVERYBODY)} out of {path}, and: postfix reload",
                )
            found = [f"{key} {value!r}" for key, value in entries if _accident(value)]
            if found:
                made = f" && postmap {one.argument}" if kind in _LISTED else ""
                yield Finding(
                    "danger",
                    "postfix",
                    f"{one} permits by accident: {', '.join(found[:_SHOWN])}" + (" …" if found[_SHOWN:] else ""),
                    "Postfix takes a number, RELAY and a blank for OK, so these may relay",
                    f"write OK in {path} if that is meant, or DUNNO{made}",
                )


def _permits(value: str) -> bool:
    return value.partition(" ")[0].upper() in ("OK", "PERMIT") or _accident(value)


def _accident(value: str) -> bool:
    return value.isdigit() or value.upper() == "RELAY" or not value.strip()


def _entries(instance: Instance, table: str) -> Iterator[tuple[str, str]]:
    """What a table holds, as far as that can be seen."""
    kind, _, path = table.removeprefix("proxy:").partition(":")
    try:
        if kind in _LISTED:
            lines = postconf.ask(instance.program("postmap")[0], *instance.where, "-s", f"{kind}:{path}").splitlines()
            yield from ((key, value) for key, _, value in (line.partition("\t") for line in lines))
        elif kind == "inline":
            yield from _INLINE.findall(path)
        elif kind in _TEXT:
            text = Path(path).read_text("utf-8", "replace")
            rows = (line.split(None, 1) for line in text.splitlines() if line[:1].strip() and line[0] != "#")
            yield from ((key, "".join(rest)) for key, *rest in rows)
    except (MtaError, OSError):
        return
