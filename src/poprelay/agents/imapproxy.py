"""imapproxy (up-imapproxy): `LOGIN: '"ann"' (192.0.2.7:4711) on existing sd [9]`.

The name is what the client sent, quotes included, up to the first blank. The message of a failure ends in the back
end's own words, in which a client may find its name again, so a name with `' (` in it is never taken: then the first
parenthesis is the proxy's own. Control characters are logged raw. Its ends do not name an address, and one process
serves all: they join nothing.
"""

from __future__ import annotations

from poprelay.agents.base import UNCUT, Agent


class Imapproxy(Agent):
    """imapproxy, which knows IMAP only."""

    name = "imapproxy"
    versions = "seen: imapproxy (up-imapproxy) 1.2.8"
    needs = "Nothing. To the server behind it every client has the proxy's address: read this log, not that server's."
    raw_names = True
    program = ("in.imapproxyd", "imapproxyd")
    units = ("imapproxy.service",)  # it runs as nobody
    service = "imap"
    login = (
        rf"{UNCUT}LOGIN: '(?P<user>[^']*+(?>(?:'(?! \()[^']*+)*))' \((?P<address>[0-9a-fA-F.:]*[0-9a-fA-F.]):[0-9]++\)"
        r" on (?:new|existing) sd \[[0-9]++\]$"
    )
    resembles = r"LOGIN: '[^']*' \([^)]*\) on "
    login_needles = ("LOGIN: '",)
