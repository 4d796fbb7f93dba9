"""`poprelay setup` on a Postfix that somebody has written by hand, that runs already, or that is not alone."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from live.examined import findings, start
from live.host import Host
from live.installed import poprelay

BY_HAND = """\
# who may relay
smtpd_relay_restrictions =
    # our own
    permit_mynetworks,

    permit_sasl_authenticated,
    defer_unauth_destination
"""
INSTANCE = """\
mkdir /etc/postfix-out /var/lib/postfix-out
cp -p /etc/postfix/*.cf /etc/postfix-out
cp -rp /var/spool/postfix /var/spool/postfix-out
rm -f /var/spool/postfix-out/pid/*
chown postfix /var/lib/postfix-out
postconf -c /etc/postfix-out -e queue_directory=/var/spool/postfix-out data_directory=/var/lib/postfix-out
sed -i 's/^smtp      inet/2525 inet/' /etc/postfix-out/master.cf
postconf -e multi_instance_directories=/etc/postfix-out
postfix -c /etc/postfix-out start
"""
STRANGER = """\
import socket
server = socket.create_server(("127.0.0.1", 2526))
while True:
    client, _ = server.accept()
    client.sendall(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n")
    client.close()
"""
SOCKETMAP = "check_client_access socketmap:unix:poprelay/socketmap:relay"


def main(host: Host) -> str:
    return host.run("postconf", "-h", "smtpd_relay_restrictions").stdout


def test_a_file_written_by_hand_comes_back_to_the_bit_with_its_owner_and_mode(host: Host, place: Path) -> None:
    (place / "by-hand").write_text(BY_HAND)
    host.run("postconf", "-X", "smtpd_relay_restrictions")
    host.run("sh", "-c", f"cat {place}/by-hand >>/etc/postfix/main.cf")
    host.run("chown", "root:postfix", "/etc/postfix/main.cf")
    host.run("chmod", "640", "/etc/postfix/main.cf")
    before = host.files("/etc/postfix")
    host.run("sh", "-c", 'umask 077; "$@"', "sh", *poprelay("setup", "--apply"))
    assert host.files("/etc/postfix")["/etc/postfix/main.cf"][0] == "640 root:postfix"
    assert host.run("stat", "-c", "%a", "/etc/poprelay", "/etc/poprelay/poprelay.toml").stdout == "755\n644\n"
    assert SOCKETMAP in main(host)
    host.run(*poprelay("setup", "--undo"))
    assert host.files("/etc/postfix") == before


def test_nothing_is_changed_where_nobody_listens_and_all_is_put_back_where_it_is_no_smtp_server(
    host: Host, place: Path, stopping: ExitStack
) -> None:
    before = host.files("/etc/postfix")
    done = host.run(*poprelay("setup", "--apply", "--port", "2526"), check=False)
    assert (done.returncode, "no SMTP server listens at port 2526" in done.stderr) == (1, True)
    assert host.run("ls", "/etc/poprelay", check=False).returncode
    stranger = host.start("stranger", ["python3", "-c", STRANGER], place / "stranger.log")
    stopping.callback(stranger.kill)
    stranger.ready(
        lambda: "2526" in host.run("sh", "-c", "grep -c ':09DE ' /proc/net/tcp && echo 2526", check=False).stdout
    )
    done = host.run(*poprelay("setup", "--apply", "--port", "2526"), check=False)
    assert (done.returncode, "everything was put back: no SMTP server listens at" in done.stderr) == (1, True), done
    assert host.files("/etc/postfix") == before


def test_a_run_that_fails_keeps_what_an_earlier_one_has_done(host: Host) -> None:
    host.run(*poprelay("setup", "--apply"))
    worked = host.files("/etc/postfix", "/etc/poprelay")
    trusted = ("--from", "127.0.0.1")
    done = host.run(*poprelay("setup", "--apply", *trusted), check=False)
    assert (done.returncode, "nothing was changed, for all is set up" in done.stderr) == (1, True)
    done = host.run(*poprelay("setup", "--apply", *trusted, "--with", "lmdb"), check=False)
    assert (done.returncode, "everything was put back" in done.stderr) == (1, True)
    assert host.files("/etc/postfix", "/etc/poprelay") == worked

    said = host.run(*poprelay("setup", "--apply", "--with", "lmdb")).stdout
    assert "asks us by another way no more" in said
    assert SOCKETMAP not in main(host)
    assert "check_client_access lmdb:/var/lib/poprelay/relay" in main(host)


def test_a_daemon_that_runs_reads_its_config_again_and_the_old_one_when_it_is_undone(
    host: Host, place: Path, stopping: ExitStack
) -> None:
    log = '[[sources]]\nkind = "file"\npath = "/var/log/mail.log"\nagents = ["dovecot"]\n'
    (place / "toml").write_text(f'[relay]\nperiod = "30m"\n{log}')
    host.run("sh", "-c", f"mkdir /etc/poprelay /var/lib/poprelay; cat {place}/toml >/etc/poprelay/poprelay.toml")
    host.run("install", "-d", "-o", "poprelay", "-m", "700", "/var/lib/poprelay/private")
    host.run("chown", "poprelay:", "/var/lib/poprelay")
    start(host, place, stopping)
    said = host.run(*poprelay("setup", "--apply", "--with", "lmdb")).stdout
    assert "the daemon that runs has read the config again" in said
    assert findings(host) == (0, [])
    assert "lmdb" in host.run(*poprelay("status")).stdout
    host.run(*poprelay("setup", "--undo"))
    assert host.run("cat", "/etc/poprelay/poprelay.toml").stdout == (place / "toml").read_text()
    assert "lmdb /var" not in host.run(*poprelay("status"), check=False).stdout.partition("was a map")[0]


def test_another_instance_is_set_up_by_the_name_of_its_directory(host: Host) -> None:
    host.run("sh", "-ec", INSTANCE)
    assert "for another instance: --mta-config DIR (/etc/postfix-out)" in host.run(*poprelay("setup")).stdout
    before = host.files("/etc/postfix", "/etc/postfix-out")
    instance = ("postfix", "--mta-config", "/etc/postfix-out")
    said = host.run(*poprelay("setup", *instance, "--apply", "--port", "2525")).stdout
    assert "it is accepted: 250" in said
    host.run(*poprelay("setup", "--undo"))
    assert host.files("/etc/postfix", "/etc/postfix-out") == before


def test_where_the_mta_trusts_every_address_one_is_lent_for_the_proof(host: Host) -> None:
    host.run("postconf", "-e", "mynetworks = 127.0.0.0/8, 9.9.9.0/24")
    host.run("postfix", "reload")
    said = host.run(*poprelay("setup", "--apply")).stdout
    assert "a client at 203.0.113.254 is refused" in said
    assert "203.0.113.254" not in host.run("ip", "address").stdout


def test_the_proof_sends_to_whom_it_is_told(host: Host) -> None:
    refused = "check_recipient_access inline:{postmaster@example.com=reject}"
    host.run("postconf", "-e", f"smtpd_recipient_restrictions = {refused}")
    host.run("postfix", "reload")
    said = host.run(*poprelay("setup", "--apply", "--to", "ann@elsewhere.example")).stdout
    assert "refused: 454 4.7.1 <ann@elsewhere.example>" in said
    assert "it is accepted: 250" in said


def test_the_doctor_finds_what_is_wrong_with_a_map(host: Host, place: Path, stopping: ExitStack) -> None:
    host.run(*poprelay("setup", "--apply", "--with", "lmdb"))
    assert [one["what"] for one in findings(host)[1]] == ["no daemon is running"]
    path = "/var/lib/poprelay/relay.lmdb"
    host.run("sh", "-c", "echo '8.8.8.8 OK' | postmap -i lmdb:/var/lib/poprelay/relay")
    code, seen = findings(host)
    assert (code, "who has no grant: 8.8.8.8" in seen[0]["what"]) == (4, True)
    host.run("mv", path, f"{path}.away")
    assert any("is missing" in one["what"] for one in findings(host)[1])
    host.run("mv", f"{path}.away", path)
    start(host, place, stopping)
    assert findings(host) == (0, []), "the daemon has taken it out"
    for mode, level in (("600", "fault"), ("666", "danger")):
        host.run("chmod", mode, path)
        assert [one["level"] for one in findings(host)[1] if path in one["what"]] == [level]
        host.run("chmod", "644", path)
