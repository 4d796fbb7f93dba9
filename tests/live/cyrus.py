"""Cyrus IMAP, its users in a SASL database."""

from __future__ import annotations

from pathlib import Path

from live.rooted import PASSWORD, Served, make_certificate

_IMAPD = """
configdirectory: /var/lib/cyrus
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
defaultpartition: default
partition-default: /var/spool/cyrus/mail
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_mech_list: PLAIN LOGIN
sasl_sasldb_path: /etc/sasldb2
servername: site.test
syslog_prefix: cyrus
autocreate_quota: 0
tls_server_cert: {certificate}
tls_server_key: {certificate}
tls_sessions_db: skiplist
"""

_SCRIPT = """
mkdir -p /run/cyrus/proc /run/cyrus/lock /run/cyrus/socket /var/lib/cyrus/socket
chown -R cyrus:cyrus /run/cyrus /var/lib/cyrus /var/spool/cyrus
echo {password} | saslpasswd2 -p -c -u site.test ann
chown cyrus /etc/sasldb2 {certificate}
/usr/lib/cyrus/bin/master -D -C /etc/imapd.conf -M /etc/cyrus.conf &
"""


class Cyrus(Served):
    name = "cyrus"
    daemons = ("cyrus",)
    tls = {"plain": False, "starttls": True, "tls": True}  # noqa: RUF012 - says so in Served
    ends = False

    def script(self, root: Path) -> str:
        certificate = make_certificate(self.place)
        (root / "etc/imapd.conf").write_text(_IMAPD.format(certificate=certificate))
        services = "\n".join(
            f'{name} cmd="{name[:4]}d{" -s" if name.endswith("s") else ""}" listen="{port}"'
            for name, port in self.ports.items()
        )
        recover = 'recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r"'
        (root / "etc/cyrus.conf").write_text(f"START {{\n{recover}\n}}\nSERVICES {{\n{services}\n}}\nEVENTS {{\n}}\n")
        return _SCRIPT.format(password=PASSWORD, certificate=certificate)
