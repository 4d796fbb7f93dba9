"""Dovecot 2.2 to 2.4 (and the login lines of 0.99 and 1.x), by syslog or in its own file, as a server or as a proxy.

In Dovecot's lines the user name is cleaned of control characters, lower-cased and cut to 80 bytes, but keeps `>`,
commas and blanks. Where any user name is accepted, one may hold a complete success text, so its end is the *last*
`>, ... rip=` of a message whose whole tail is known. A failure says `Disconnected` or `Login aborted` right after
`-login: `. The elements are those of Dovecot's default `login_log_format_elements`; who changed them gives a pattern of
his own. Logins to managesieve, submission and lmtp are not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import UNCUT, Agent

_ADDRESS: Final = r"[0-9a-fA-F.:]++"
_SERVICE: Final = r"(?>Info: |)(?P<service>imap|pop3)-login: (?>Info: |)"

# Most names have no '>' and end at the first one. The tail has none but the session's, so that a name which has one
# fails there, and is then taken greedily. Dovecot cuts names at 80 characters: where it had not, syslog might have cut
# the line within one.
_USER: Final = r"user=<(?P<user>[^>]{0,400}+|.{0,400})>"
_FROM: Final = rf"(?>, method=[A-Za-z0-9_-]++|), rip=(?P<address>{_ADDRESS}), lip={_ADDRESS}(?>, mpid=[0-9]++|)"
_TLS: Final = r"(?>, (?P<tls>TLS|secured)(?>v[^,<>]*+|: [^,<>]*+|)|)(?>, TLSv[^,<>]*+|)"
_TAIL: Final = _FROM + _TLS + r"(?>, session=<(?P<session>[^<> \t]*+)>|)$"

# In `proxy(...)` the name is raw, and a failure begins alike: no parenthesis in it, nor in the cleaned name behind it.
_PROXY: Final = _SERVICE + r"proxy\([^()]++\): "
_BACK_END: Final = rf"(?:remote host|<{_ADDRESS}>|[^\s()<>]+)(?> \(master [^()]++\)|)(?> \([\d.]++ secs\)|)"
_PROXIED: Final = r": user=<(?P<user>[^()]*)>" + _TAIL

# A name with `)<` or `):` would let another session's end be forged, by it or by text further on in the line.
# Before 2.3 there was neither process nor session.
_OF_USER: Final = r"\((?P<user>[^)]*+(?>(?:\)(?![<:])[^)]*+)*))\)(?><[0-9]++><(?P<session>[^<> \t]++)>|): (?>Info: |)"
_END: Final = r"(?:Disconnected|Logged out|Connection closed|Server shutting down)\b"


class Dovecot(Agent):
    """Dovecot. `program` is the syslog tag: the `instance_name`, if that was changed."""

    name = "dovecot"
    versions = "seen: Dovecot 2.3 and 2.4, as a server, behind a proxy and as a proxy; 0.99 to 2.2 as published"
    needs = (
        "Nothing: logins are logged at level info, and `auth_verbose` is not needed. Leave "
        "`login_log_format_elements` at its default; with another, give poprelay a pattern of your own "
        "(`[[agents]]`). On a back end, `login_trusted_networks` must name the proxies (for the PROXY protocol: "
        "`haproxy_trusted_networks`)."
    )
    unsafe = (
        "On a back end whose `login_trusted_networks` does not name its proxy, `rip` is the proxy, and so is what is "
        "granted: read the proxy's log instead, where a login has a line of its own. Leave `auth_username_chars` at "
        "its default: where any name is accepted, an account's name stands as it is in the lines of its session."
    )
    raw_names = False
    program = ("dovecot", "imap-login", "pop3-login", "")
    login = (
        rf"{_SERVICE}(?:Login|Logged in): {_USER}{_TAIL}",
        rf"{UNCUT}{_PROXY}[Ss]tarted proxying to {_BACK_END}{_PROXIED}",
        # 0.99, whose tag is the process itself or `dovecot`
        rf"{UNCUT}(?>{_SERVICE}|)Login: (?P<user>[^\s,\[\]<>=]++) \[(?P<address>{_ADDRESS})\]$",
    )
    logout = (
        rf"(?>Info: |)(?P<service>imap|pop3|IMAP|POP3){_OF_USER}{_END}",
        rf"{_PROXY}(?:Disconnected by|disconnecting) [^<>]*{_PROXIED}",
    )
    service: Mapping[str, str] = {"imap-login": "imap", "pop3-login": "pop3"}
    resembles = r"(?:Info: )?(?:(?:imap|pop3)-login: )?(?:Info: )?(?:Login|Logged in): "
    login_needles = (
        *(f"-login: {level}{said}: " for level in ("", "Info: ") for said in ("Login", "Logged in")),
        "tarted proxying to ",
    )
    logout_needles = (
        " out=",  # what every end of an IMAP or proxied session counts
        ", retr=",  # and of a POP3 session
        "): disconnecting ",
        "IMAP(",
        "POP3(",
    )

    def tls(self, said: str | None) -> bool | None:
        """`secured` without TLS is a local connection, or one that a proxy vouched for: unknown."""
        return {"TLS": True, None: False}.get(said)
