"""nginx as a mail proxy before a Dovecot, on the ports by which its log tells POP3 from IMAP."""

from __future__ import annotations

import sys
from pathlib import Path

from live import authhttp
from live.dovecot import Dovecot
from live.network import free_ports, listening
from live.rooted import Served, make_certificate
from live.running import until

_CONFIG = """
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
user nobody nogroup;
pid {place}/pid;
error_log syslog:server=unix:/dev/log,nohostname info;
error_log {place}/error.log info;
events {{ worker_connections 64; }}
mail {{
    auth_http 127.0.0.1:{auth}/;
    server_name site.test;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    {servers}
}}
"""


class Nginx(Served):
    name = "nginx"
    tls = {"plain": None, "starttls": True, "tls": None}  # noqa: RUF012 - says so in Served

    def __init__(self, place: Path, syslog: Path) -> None:
        self._behind = Dovecot(place.with_name("behind"), ("ann",))
        [self._auth] = free_ports(1)
        super().__init__(place, syslog)
        until(lambda: listening(self._auth))

    def choose_ports(self) -> dict[str, int]:
        return {"pop3": 110, "imap": 143, "pop3s": 995, "imaps": 993}

    def script(self, root: Path) -> str:
        config = self.place / "nginx.conf"
        servers = "\n".join(_server(name, port) for name, port in self.ports.items())
        certificate = make_certificate(self.place)
        config.write_text(_CONFIG.format(place=self.place, auth=self._auth, certificate=certificate, servers=servers))
        behind = " ".join(str(self._behind.ports[name]) for name in ("pop3", "imap"))
        return (
            "mkdir -p /var/log/nginx /var/lib/nginx\n"
            f"{sys.executable} {authhttp.__file__} {self._auth} {behind} &\n"
            f"nginx -c {config} &\n"
        )

    def stop(self) -> None:
        super().stop()
        self._behind.stop()


def _server(name: str, port: int) -> str:
    ssl, starttls = (" ssl", "") if name.endswith("s") else ("", "starttls on;")
    return f"server {{ listen {port}{ssl}; listen [::]:{port}{ssl} ipv6only=on; protocol {name[:4]}; {starttls} }}"
