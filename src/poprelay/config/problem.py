"""One mistake in a config, and the words that say where it is and what was probably meant."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class Problem(NamedTuple):
    """Where (the path of keys), what is wrong, and what to write instead."""

    path: tuple[str | int, ...]
    message: str
    remedy: str = ""


def show_path(keys: Sequence[str | int]) -> str:
    """A path of keys as people write it.

    >>> show_path(("sources", 0, "path")), show_path(("relay", "a.b"))
    ('sources[0].path', 'relay."a.b"')
    """
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False))
    return text


def nearest(word: str, among: Sequence[str]) -> str:
    """A remedy that names the nearest known word, or all of them.

    >>> nearest("soketmap", ["policy", "socketmap"]), nearest("dns", ["policy", "socketmap"])
    ("did you mean 'socketmap'?", 'known are policy and socketmap')
    """
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import, and only a refusal needs it

    near = get_close_matches(word, among, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    *most, last = sorted(among) or [""]
    return f"known are {', '.join(most)} and {last}" if most else f"known is {last}" if last else ""
