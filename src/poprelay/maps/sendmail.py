"""Sendmail's access database, a map of our own beside it, or its list of domains and hosts that may relay.

    format = "access"           Connect:192.0.2.7<TAB>RELAY             FEATURE(`access_db'); makemap
    format = "popauth"          192.0.2.7<TAB>RELAY                     Kpopauth hash and SLocal_Relay_Auth; makemap
    format = "relay-domains"    192.0.2.7                               confCR_FILE; SIGHUP, by `command` or `root`

An IPv6 address is `IPv6:2001:db8:0:0:0:0:0:7`; makemap folds keys to lower case, which is how Sendmail asks. A running
Sendmail sees a new database at its next question, in open sessions too: it is made under another name, and then copied
over the old one, with another time, while no Sendmail has that locked. One that was renamed just when Sendmail opens it
is taken for tampered with, and done without, so that an address that may relay is refused. If we die while we copy, the
commands are still owed, and the minutely cleanup makes it anew.

Where nobody but poprelay can write the directory, this needs no root, and Sendmail believes the database: a `popauth`
below /var/lib/poprelay is the simplest way. It must be readable to all, for Sendmail asks for the bits although it is
root. A new database gets owner and mode of the text, a later one those of the one before.

Where a person's line above the marker names the very address, with `Connect:` or without, it holds, and ours is left
out. A line about its network does not: Sendmail asks for the whole address first.

SIGHUP makes Sendmail start anew, and a second one in that moment kills it: at least a second lies between two.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from poprelay.maps.lines import SENDMAIL, Form, first_fields
from poprelay.maps.made import Made
from poprelay.maps.text import TextMap
from poprelay.maps.uptake import TIMEOUT, read_uptake

if TYPE_CHECKING:
    from poprelay.config.section import Section

FORMS: Final[dict[str, Form]] = {
    "access": Form("Connect:", "\tRELAY", SENDMAIL),
    "popauth": Form("", "\tRELAY", SENDMAIL),
    "relay-domains": Form("", "", SENDMAIL),
}
SPACING: Final = 1.0
"""Seconds between two SIGHUPs."""


class SendmailMap:
    """Makes the text map with Sendmail's lines, and what makes Sendmail take it up."""

    @staticmethod
    def from_section(section: Section) -> TextMap:
        path = section.file("path")
        name = section.choice("format", tuple(FORMS), "access")
        restarts = name == "relay-domains"
        program = section.text("makemap", "makemap")
        uptake = read_uptake(section, several=False, spacing=SPACING if restarts else 0.0)
        if restarts and uptake is None:
            section.refuse("", "command is missing", "write the command that sends Sendmail SIGHUP, or root")
        if restarts and section.given("makemap"):
            section.refuse("makemap", "has nothing to do with relay-domains", "leave it out")
        interval = section.duration("interval", 1.0, low=SPACING if restarts else 0.0, high=3600.0)
        timeout = section.duration("command_timeout", TIMEOUT, low=1.0, high=3600.0)
        makemap = Made(program, ("hash", "{}"), ".db", timeout, locked=True)
        return TextMap(
            path, interval=interval, kind="sendmail", form=FORMS[name], uptake=uptake or makemap, taken=_taken
        )


def _taken(_file: Path, above: bytes) -> set[str]:
    """What the lines above speak of, without `Connect:`."""
    return {field.removeprefix("connect:") for field in first_fields(above)}
