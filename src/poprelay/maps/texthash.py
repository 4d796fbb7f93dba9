"""Postfix's `texthash:` map, a text file that needs no database, but a reload for each change.

    check_client_access texthash:/var/lib/poprelay/relay        192.0.2.7 OK   2001:db8::7 OK

`postfix reload` needs root: name a command of root's part (`root = "postfix"`), or run as root. Every reload has the
queue manager read its queue again, so changes are collected for ten seconds. Sessions that are open go on with what
they have.

Postfix waits as long as a file is younger than two seconds, and its clients with it, lest somebody is still writing: so
ours, which are always whole, get a time that lies further back. Where a person's line above the marker names the very
address, it holds, and ours is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from poprelay.maps.access import read_value
from poprelay.maps.lines import PLAIN, Form, Spelling, first_fields
from poprelay.maps.text import TextMap
from poprelay.maps.uptake import read_uptake

if TYPE_CHECKING:
    from poprelay.config.section import Section

AGE: Final = 3.0
"""Seconds; dict_thash.c and dict_cidr.c wait below two."""


class TexthashMap:
    """Makes the text map with Postfix's lines, and the reload after each change."""

    @staticmethod
    def from_section(section: Section) -> TextMap:
        return read_reloaded(section, "texthash", PLAIN)


def read_reloaded(section: Section, kind: str, spelling: Spelling) -> TextMap:
    """A text file that Postfix reads when it is reloaded."""
    path = section.file("path")
    form = Form("", f" {read_value(section)}", spelling)
    uptake = read_uptake(section, ("postfix", "reload"), several=False)
    interval = section.duration("interval", 10.0, low=0.0, high=3600.0)
    return TextMap(path, interval=interval, kind=kind, form=form, uptake=uptake, taken=_taken, age=AGE)


def _taken(_file: Path, above: bytes) -> set[str]:
    return first_fields(above)
