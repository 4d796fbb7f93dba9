"""vpopmail's vchkpw, behind qmail-pop3d or courier: `vchkpw-pop3: (PLAIN) login success ann@example.com:192.0.2.7`.

It serves SMTP and webmail as well, which do not count. A failure may log the password that a client gave. Old versions
write `vchkpw: login [ann@example.com] from 192.0.2.7`. It cuts messages at 500 bytes, with the address last: a name
that is long enough for that grants nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import Agent

_ADDRESS: Final = r"(?P<address>[0-9a-fA-F.:]++)"
_USER: Final = r"(?P<user>[^\s:\[\]]{1,128}+)"


class Vpopmail(Agent):
    """vpopmail 5, and its ancestors."""

    name = "vpopmail"
    versions = "vpopmail 5.4, behind qmail-pop3d, Courier and others, and its ancestors, as published"
    needs = "vchkpw must log successes: build it with `--enable-logging=y`."
    unsafe = "It can log the password that a client gave with a failure: mind who may read that log."
    program = ("vpopmail", "vchkpw")
    accounts = ("vpopmail",)
    service: Mapping[str, str] = {"vpopmail": "pop3", "vchkpw": "pop3"}
    login = (
        rf"vchkpw-(?P<service>pop3|imap)(?>(?P<tls>s)|): \([A-Z0-9-]++\) login success {_USER}:{_ADDRESS}$",
        rf"vchkpw: login \[{_USER}\] from {_ADDRESS}$",
    )
    resembles = r"vchkpw(?:-(?:pop3|imap)s?)?: (?:\([^)]*\) )?login (?:success|\[)"
    login_needles = (") login success ", "vchkpw: login [")
