"""A table file of OpenSMTPD's, which smtpd reads when `smtpctl update table` says so. smtpctl needs root.

    table poprelay file:/var/lib/poprelay/relay
    match from src <poprelay> for any action "relay"

One address or network in each line, in any spelling; sessions that are open see a change. An octet prefix (`192.0.2`)
would be read as a network, so only full addresses are written. smtpd compares with each line in turn: 2 ms a recipient
with 10,000 addresses, 20 ms with 100,000.

smtpd does not start on a table that is empty (`may not be used for from lookups`), nor on a file that is missing. So
the broadcast address always stands in it, which is no client's. Create the file before smtpd.conf names it: `poprelay
cleanup` does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from poprelay.maps.lines import PLAIN_NETWORKS, Form
from poprelay.maps.text import TextMap
from poprelay.maps.uptake import read_uptake

if TYPE_CHECKING:
    from poprelay.config.section import Section

NOBODY: Final = "255.255.255.255"
_TABLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class OpensmtpdMap:
    """Makes the text map with a table's lines, and the command that lets smtpd read it."""

    @staticmethod
    def from_section(section: Section) -> TextMap:
        path = section.file("path")
        table = section.text("table", "poprelay")
        if not _TABLE.fullmatch(table):
            section.refuse("table", f"{table!r} is no table's name", "write what stands after `table` in smtpd.conf")
        uptake = read_uptake(section, ("smtpctl", "update", "table", table), several=False)
        interval = section.duration("interval", 1.0, low=0.0, high=3600.0)
        form = Form("", "", PLAIN_NETWORKS)
        return TextMap(path, interval=interval, kind="opensmtpd", form=form, uptake=uptake, always=NOBODY)
