"""perdition, a proxy, before a Dovecot; this one listens for IPv4 alone."""

from __future__ import annotations

from pathlib import Path

from live.dovecot import Dovecot
from live.rooted import Served, make_certificate

_SCRIPT = """
perdition.{program} -f /dev/null -l {port} -s 127.0.0.1 -p {behind} -F mail -u nobody -g nogroup --no_daemon \
    --ssl_mode {mode} --ssl_cert_file {certificate} --ssl_key_file {certificate} --ssl_no_cert_verify &
"""


class Perdition(Served):
    name = "perdition"
    daemons = ("perdition",)
    tls = {"plain": False, "starttls": True, "tls": True}  # noqa: RUF012 - says so in Served
    ipv6 = False

    def __init__(self, place: Path, syslog: Path) -> None:
        self._behind = Dovecot(place.with_name("behind"), ("ann",))
        super().__init__(place, syslog)

    def script(self, root: Path) -> str:
        certificate = make_certificate(self.place)
        certificate.chmod(0o644)
        programs = {"pop3": "pop3", "imap": "imap4", "pop3s": "pop3s", "imaps": "imap4s"}
        return "mkdir -p /run/perdition" + "".join(
            _SCRIPT.format(
                program=programs[name],
                port=port,
                behind=self._behind.ports[name[:4]],
                mode="ssl_listen" if name.endswith("s") else "tls_listen",
                certificate=certificate,
            )
            for name, port in self.ports.items()
        )

    def stop(self) -> None:
        super().stop()
        self._behind.stop()
