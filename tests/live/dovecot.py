"""A private Dovecot, with the users that a test gives it, speaking POP3 and IMAP in clear and by TLS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from live.network import free_ports, listening
from live.packages import staged
from live.rooted import PASSWORD, make_certificate
from live.running import Running

_CONFIG = """
base_dir = {place}/run
protocols = imap pop3
listen = *, ::
{logging}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}
disable_plaintext_auth = no
auth_failure_delay = 0
auth_verbose = yes
auth_username_chars =
default_internal_user = news
default_internal_group = news
default_login_user = uucp
first_valid_uid = 1
mail_location = mbox:{place}/mail:INBOX={place}/mail/inbox
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {place}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={place}/mail
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
"""
"""No character of a user name is refused, so that hostile names reach the log; no penalty slows a test down."""

HOSTILE: Final = "ann>, method=plain, rip=8.8.4.4, lip=9.9.9.9, mpid=1, session=<forged>"
"""A user that may exist: logged in or not, it looks like someone else's login."""


class Dovecot:
    """Dovecot in the foreground below `place`, logging to `log` itself, or to the socket `syslog`."""

    def __init__(self, place: Path, users: Iterable[str], *, syslog: Path | None = None) -> None:
        place.mkdir()
        self.log = place / "dovecot.log"
        self.ports = dict(zip(("pop3", "imap", "pop3s", "imaps"), free_ports(4), strict=True))
        for name in ("run", "mail"):
            (place / name).mkdir()
        (place / "mail").chmod(0o777)
        (place / "users").write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in users))
        logging = f'log_path = {self.log}\nlog_timestamp = "%b %d %H:%M:%S "' if syslog is None else "log_path = syslog"
        config = place / "dovecot.conf"
        config.write_text(
            _CONFIG.format(place=place, logging=logging, certificate=make_certificate(place), **self.ports)
        )
        command = staged("dovecot", "dovecot", "-F", "-c", config, syslog=syslog)
        self._running = Running("Dovecot", command, output=place / "printed")
        self._running.ready(lambda: all(map(listening, self.ports.values())))

    def stop(self) -> None:
        self._running.kill()  # a polite end takes it a second and more
