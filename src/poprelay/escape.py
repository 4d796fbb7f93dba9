"""Untrusted text made safe to show: nothing in it can move a cursor, forge a line, or turn the reading order."""

from __future__ import annotations

import json
from collections.abc import Callable


def show(text: str) -> str:
    r"""`text` on one line, with every character that does not print written as an escape.

    These are control characters, line and paragraph separators, what turns the direction of text or shows nothing at
    all, spaces other than the plain one, characters that Unicode does not assign, and bytes that were not UTF-8
    (surrogates, PEP 383). A backslash stays what it is: this is for reading, not for reading back.

    >>> show("ann"), show("a\nb\x1b[2J"), show("caf\udce9"), show("\u202egpj"), show("café 茶")
    ('ann', 'a\\x0ab\\x1b[2J', 'caf\\xe9', '\\u202egpj', 'café 茶')
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(ord(each)) for each in text)


def as_json(value: object, *, ascii_only: bool = True, default: Callable[[object], str] | None = None) -> str:
    r"""As JSON on one line, with DEL escaped too, which JSON leaves as it is. `default` as `json.dumps` has it.

    >>> as_json({"user": "a\x7f"})
    '{"user": "a\\u007f"}'
    """
    return json.dumps(value, ensure_ascii=ascii_only, default=default).replace("\x7f", "\\u007f")


def _escaped(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
