"""Sendmails whose config is the test's own, and whose m4 knows only what ours adds to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from poprelay.mta.sendmail.instance import Instance

Made = Callable[..., Instance]

MC = """\
dnl # FEATURE(`promiscuous_relay') is not what we want
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`linux')dnl
FEATURE(`access_db')dnl
MAILER(`smtp')dnl
"""
CF = """\
##### built by somebody
Cwlocalhost
FR-o /etc/mail/relay-domains %[^\\#]
Kaccess hash -T<TMPF> /etc/mail/access
O DaemonPortOptions=Name=MTA, Family=inet
O PidFile=/run/sendmail.pid
SLocal_Relay_Auth
SBasic_check_rcpt
R$*\t\t\t$# error $@ 5.7.1 $: "550 Relaying denied"
"""
REFUSED = '$# error $@ 5 . 7 . 1 $: "550 Relaying denied"'


def made_of(source: str) -> str:
    """The sendmail.cf that a sendmail.mc makes: what stands there, and the sections that it adds."""
    _, _, added = source.partition("LOCAL_CONFIG\n")
    config, _, rulesets = added.partition("LOCAL_RULESETS\n")
    return CF.replace("O Daemon", f"{config}O Daemon") + rulesets


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Makes one of a text of sendmail.mc; `cf` instead of what that makes. /etc/mail is the test's own folder."""

    def make(mc: str = MC, *, cf: str = "", decides: str = REFUSED, holds: tuple[str, ...] = ()) -> Instance:
        text = re.sub("/etc/mail", str(tmp_path), cf or made_of(mc))
        (tmp_path / "sendmail.mc").write_text(mc)
        (tmp_path / "sendmail.cf").write_text(text)
        for name in ("access", "access.db", "relay-domains"):
            (tmp_path / name).touch()
        monkeypatch.setattr(Instance, "decides", lambda _self: decides)
        monkeypatch.setattr(Instance, "finds", lambda _self, _name, key: key in holds)
        monkeypatch.setattr(Instance, "made", lambda _self, source: re.sub("/etc/mail", str(tmp_path), made_of(source)))
        compiled = frozenset({"SOCKETMAP", "NEWDB"})
        return Instance("sendmail", "8.17.1", compiled, tmp_path / "sendmail.cf", text)

    monkeypatch.setattr("poprelay.mta.sendmail.findings.makemap", lambda: "/usr/sbin/makemap")
    return make
