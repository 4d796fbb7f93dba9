"""Qpopper 2 to 4 (popper, in.qpopper).

A login needs the server's LOG_LOGIN: `(v4.0.9) POP login by user "ann" at (host.example.net) 192.0.2.7`, since 4.0 with
the place in the source behind it; a patched 1.831 writes `(ann,192.0.2.7) Authenticated.`. `Stats:` stands at the end
of a session: a logout. Failures begin with the user name, as the client sent it. The address ends the line, so a name
that is long enough to get it cut by syslog is not taken.
"""

from __future__ import annotations

from typing import Final

from poprelay.agents.base import UNCUT, Agent

_ADDRESS: Final = r"(?P<address>[0-9a-fA-F.:]++)"
_VERSION: Final = r"(?>\[popper\] |)(?>\(v[^()\s]++\) |)"


class Qpopper(Agent):
    """Eudora Qpopper."""

    name = "qpopper"
    versions = "Qpopper 4.0 and a patched 1.831, as published"
    needs = (
        "Build it with `--enable-log-login` (LOG_LOGIN), or it logs no login. Its option `-s` adds the `Stats:` "
        "line that ends a session."
    )
    program = ("qpopper", "in.qpopper", "popper", "in.popper", "")
    pid_is_session = True
    login = (
        _VERSION
        + r'POP login by user "(?P<user>.{1,100})" at \([^()]{0,255}+\) '
        + _ADDRESS
        + r"(?> \[pop_log\.c:\d++\]|)$",
        rf"{UNCUT}\((?P<user>[^,()\s]++),{_ADDRESS}\) Authenticated\.?+$",
    )
    logout = _VERSION + r"Stats: (?P<user>.*)(?: \d++){4} \S++ " + _ADDRESS + r"(?> \[\w++\.c:\d++\]|)$"
    resembles = r"(?:\[popper\] )?(?:\(v[^()\s]+\) )?POP login by user |\([^()]*\) Authenticated"
