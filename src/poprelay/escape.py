"""Untrusted text made safe to show: nothing in it can move a cursor, forge a line, or turn the reading order."""

from __future__ import annotations

import re
from typing import Final

_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def show(text: str) -> str:
    r"""`text` with control, direction and invisible characters, and bytes that were not UTF-8, written as escapes.

    >>> show("ann"), show("a\nb\x1b[2J"), show("caf\udce9"), show("\u202egpj")
    ('ann', 'a\\x0ab\\x1b[2J', 'caf\\xe9', '\\u202egpj')
    """
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
