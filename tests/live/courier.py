"""Courier's imapd and pop3d, with PAM."""

from __future__ import annotations

from pathlib import Path

from live.rooted import Served, make_certificate

_SCRIPT = """
mkdir -p /run/courier/authdaemon
chown daemon /run/courier/authdaemon
maildirmake.courier {home}/Maildir
chown -R --reference={home} {home}/Maildir
set -a
. /etc/courier/authdaemonrc
courierlogger -pid=/run/courier/authdaemon/pid -start /usr/lib/courier/courier-authlib/authdaemond
serve() {{
    (
        . "/etc/courier/$1"
        . "/etc/courier/$1-ssl"
        unset TLS_CACHEFILE TLS_DHPARAMS
        TLS_CERTFILE={certificate} TLS_TRUSTCERTS={certificate} IMAP_STARTTLS=YES name="$2" port="$3"
        shift 3
        couriertcpd -address=0 -nodnslookup -noidentlookup -stderrlogger=/usr/sbin/courierlogger \
            -stderrloggername="$name" "$port" "$@"
    ) &
}}
lib=/usr/lib/courier/courier
tls="/usr/bin/couriertls -server -tcpd"
serve pop3d pop3d {pop3} $lib/courierpop3login $lib/courierpop3d Maildir
serve pop3d pop3d-ssl {pop3s} $tls $lib/courierpop3login $lib/courierpop3d Maildir
serve imapd imapd {imap} $lib/imaplogin /usr/bin/imapd Maildir
serve imapd imapd-ssl {imaps} $tls $lib/imaplogin /usr/bin/imapd Maildir
"""


class Courier(Served):
    name = "courier"
    daemons = ("courier",)
    tls = {"plain": None, "starttls": None, "tls": True}  # noqa: RUF012 - says so in Served

    def script(self, root: Path) -> str:
        certificate = make_certificate(self.place)
        return _SCRIPT.format(home=root / "home/ann", certificate=certificate, **self.ports)
