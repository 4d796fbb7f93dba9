"""A file of hosts that Exim reads by itself, at each lookup anew; no command, no reload.

    format = "iplsearch"    hosts = net-iplsearch;/var/lib/poprelay/relay      192.0.2.7   "2001:db8::7"
    format = "hosts"        hosts = /var/lib/poprelay/relay                    192.0.2.7   2001:db8::7

Both take networks. A session that is open sees a change with `hosts`; with `iplsearch` it goes on with what it has seen
first. Exim reads the file from its beginning, so each answer costs more with more addresses; a directory (the kind
`spool`) does not.

While the file is missing, Exim closes each session at RCPT (421 Unexpected failure), so it is replaced by rename and
never removed. Create it before the ACL names it: `poprelay cleanup` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poprelay.maps.lines import PLAIN_NETWORKS, QUOTED, Form
from poprelay.maps.text import TextMap

if TYPE_CHECKING:
    from poprelay.config.section import Section


class EximMap:
    """Makes the text map with Exim's lines."""

    @staticmethod
    def from_section(section: Section) -> TextMap:
        path = section.file("path")
        spelling = (
            QUOTED if section.choice("format", ("iplsearch", "hosts"), "iplsearch") == "iplsearch" else PLAIN_NETWORKS
        )
        # each change writes the whole file
        interval = section.duration("interval", 1.0, low=0.0, high=3600.0)
        return TextMap(path, interval=interval, kind="exim", form=Form("", "", spelling))
