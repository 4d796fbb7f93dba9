from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.mta.qmail.instance import Instance, read_script

LIFE_WITH_QMAIL = """\
#!/bin/sh
QMAILDUID=`id -u qmaild`
NOFILESGID=`id -g qmaild`
MAXSMTPD=`cat /var/qmail/control/concurrencyincoming`
exec /usr/local/bin/softlimit -m 2000000 \\
    /usr/local/bin/tcpserver -v -R -l "$LOCAL" -x /etc/tcp.smtp.cdb -c "$MAXSMTPD" \\
        -u "$QMAILDUID" -g "$NOFILESGID" 0 smtp /var/qmail/bin/qmail-smtpd 2>&1
"""
RUN = Path("/service/qmail-smtpd/run")


def read(text: str) -> Instance:
    found = read_script(text, RUN)
    assert found is not None
    return found


def test_the_usual_run_script_is_read() -> None:
    found = read(LIFE_WITH_QMAIL)
    assert (found.rules, found.source, found.port) == (Path("/etc/tcp.smtp.cdb"), Path("/etc/tcp.smtp"), "smtp")
    assert "RELAYCLIENT" not in found.environment


@pytest.mark.parametrize("line", ["export RELAYCLIENT=", 'RELAYCLIENT="" exec true', "X=1; export RELAYCLIENT=x"])
def test_what_the_script_sets_for_all_is_seen(line: str) -> None:
    assert "RELAYCLIENT" in read(LIFE_WITH_QMAIL.replace("exec", f"{line}\nexec")).environment


def test_a_rules_file_may_stand_right_behind_its_option_and_a_missing_one_may_be_borne() -> None:
    found = read("tcpserver -HRX -x/home/vpopmail/etc/tcp.smtp.cdb 0 25 rblsmtpd qmail-smtpd")
    assert (found.rules, found.tolerates) == (Path("/home/vpopmail/etc/tcp.smtp.cdb"), True)


def test_rules_that_a_variable_names_are_not_known_from_the_script() -> None:
    assert read('tcpserver -x "$RULES" 0 25 qmail-smtpd').rules == Path()


@pytest.mark.parametrize(
    "text", ["tcpserver 0 110 qmail-popup pop", "# tcpserver 0 25 qmail-smtpd", "tcpserver -Z 0 25 qmail-smtpd", ""]
)
def test_another_service_is_not_taken_for_it(text: str) -> None:
    assert read_script(text, RUN) is None
