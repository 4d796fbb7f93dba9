"""The short way for most lines: header and message in one match, by the form that the line's needle announces.

It decides nothing by itself: a line that is not plainly of this form, and of a host and program that have been seen, is
read the long way, so that the events are the same as if every line had been.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from poprelay.agents.patterns import GROUPS
from poprelay.model import Origin
from poprelay.scan.headers import HEAD
from poprelay.scan.reader import Form, Maker, Reader

_ALONE: Final = re.compile(rb"\\[1-9]|\(\?(?:<[=!]|\(|[aiLmsux-]+\))")
"""What may mean something else where other text stands before the message, or other groups before the pattern's."""


_MOST: Final = 4096  # hosts and programs known at once


class Swift:
    """How lines with one needle are read the short way."""

    __slots__ = ("_form", "_places", "_readers", "known", "rows")

    def __init__(self, form: Form, readers: Sequence[Reader]) -> None:
        """`readers` are those that have this form, one for each of their agent's programs.

        ValueError: such lines must be read the long way.
        """
        pattern = form.pattern.pattern
        if _ALONE.search(pattern):
            raise ValueError(f"it depends on where the text begins: {pattern!r}")
        try:
            # a line that is not of this form is one match, too, of nothing: so it is never looked for within a line
            whole = re.compile(HEAD + rb"()(?:" + pattern + rb")(?s:.*+)|(?s:.++)")
        except re.error as error:
            raise ValueError(f"it cannot stand behind a header: {error}") from error
        nothing = 4  # the group behind those of HEAD
        self.rows: Final[Callable[[bytes, int, int], list[tuple[bytes, ...]]]] = whole.findall
        """The one row of what all groups took: stamp, host and program, process id, and then the form's."""
        self.known: Final[dict[bytes, tuple[Maker, Origin]]] = {}
        """For a host and program, as `HEAD` takes them: what makes events of rows, and where they were read."""
        self._form: Final = form
        self._places: Final = tuple(whole.groupindex.get(group, nothing) - 1 for group in GROUPS)
        self._readers: Final = tuple(readers)

    def learn(self, opening: bytes, reader: Reader, origin: Origin) -> None:
        """This host and program's messages are seen by that reader before any other."""
        if reader in self._readers:
            if len(self.known) >= _MOST:
                self.known.clear()
            self.known[opening] = (reader.maker(self._form, self._places), origin)
