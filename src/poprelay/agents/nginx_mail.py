"""nginx as a mail proxy, by syslog or in its own error_log of level `info`.

    2026/11/23 12:36:49 [info] 470#470: *45 client logged in, client: 192.0.2.7 using starttls, server: 0.0.0.0:143,
    login: "ann", upstream: 198.51.100.1:143

The line is the same for POP3, IMAP and SMTP: only the port of `server:` tells them apart. Ports that end in 110, 995,
143 and 993 (also 3110 and the like) are taken for what they look like; `[[agents]]` with `like = "nginx-mail"` and
`services = { "2110" = "pop3" }` names others. Any other port grants nothing. The address stands before the name, which
is raw: with a syslog daemon that writes control characters as they are, or in nginx' own file, a client can begin a
line of its own. TLS from the first byte is not logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from poprelay.agents.base import Agent

_WHO: Final = (
    r"client: (?P<address>[0-9a-fA-F.:]++)(?>(?P<tls> using starttls)|), server: [^\s,]*:(?P<service>[0-9]++),"
    r' login: "(?P<user>.*)", upstream: [^\s,"]++$'
)
_LINE: Final = r"(?>[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} |)\[info\] [0-9]++#[0-9]++: (?P<session>\*[0-9]++) "


class NginxMail(Agent):
    """nginx' mail proxy. `service` may name ports, as text: `{"2110": "pop3"}`."""

    name = "nginx-mail"
    versions = "seen: nginx 1.22 with the mail module"
    needs = (
        "Level info, by syslog: `error_log syslog:server=unix:/dev/log,facility=mail,tag=nginx info;`. Read this "
        "log, not that of the servers behind it, to which every client has nginx' address."
    )
    unsafe = (
        "Its own file is not safe, whatever the syslog daemon: a newline in a user name was seen to begin a new "
        "line there, so that anyone who connects can forge a login. Log by syslog instead. And SMTP on a port "
        "that ends in 110, 995, 143 or 993 would be taken for POP3 or IMAP."
    )
    raw_names = True
    program = ("nginx", "")
    units = ("nginx.service",)  # web applications may have its account, too
    service: Mapping[str, str] = {}
    login = rf"{_LINE}client logged in, {_WHO}"
    logout = rf"{_LINE}proxied session done, {_WHO}"
    resembles = _LINE.replace("?P<session>", "?:") + "client logged in, "
    login_needles = ("client logged in, client: ",)
    logout_needles = ("proxied session done, client: ",)

    def service_of(self, said: str | None, program: str) -> str | None:
        """By the port: as the table says, or by its last three digits."""
        port = said or ""
        named = {"110": "pop3", "995": "pop3", "143": "imap", "993": "imap"}.get(port[-3:])
        return super().service_of(said, program) if port in self.service else named
