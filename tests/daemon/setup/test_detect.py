"""Which MTA this host has, where what is there can be looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.daemon.setup import detect
from poprelay.daemon.setup.detect import find_source
from poprelay.errors import MtaError
from poprelay.mta import Installed


class Known:
    """An MTA that says the same of every host."""

    def __init__(self, name: str, *, here: bool = True, broken: bool = False) -> None:
        self.name = name
        self._here = here
        self._broken = broken

    def find(self) -> Installed | None:
        if self._broken:
            raise MtaError(f"{self.name}'s config is broken")
        return Installed(self.name, "1", Path("/etc") / self.name, ("lmdb",)) if self._here else None


def found(monkeypatch: pytest.MonkeyPatch, *known: Known) -> str:
    monkeypatch.setattr(detect, "mtas", lambda _name, _config: known)
    return detect.find_mta()[1].mta


def test_the_one_mta_that_is_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, Known("exim", here=False), Known("postfix")) == "postfix"


def test_one_whose_config_is_broken_counts_only_if_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, Known("exim", broken=True), Known("postfix")) == "postfix"
    with pytest.raises(MtaError, match="exim's config is broken"):
        found(monkeypatch, Known("exim", broken=True), Known("postfix", here=False))


def test_of_two_the_operator_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MtaError, match="more than one MTA here: exim, postfix"):
        found(monkeypatch, Known("exim"), Known("postfix"))


def test_none_is_an_error_that_says_which_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MtaError, match=r"no MTA that we know is installed here: known are courier, .* and sendmail$"):
        found(monkeypatch, Known("exim", here=False))


LOGIN = "Jun 23 00:11:05 mx dovecot: imap-login: Login: user=<ann>, method=PLAIN, rip=8.8.4.4, lip=9.9.9.9, mpid=7\n"


@pytest.mark.parametrize(
    ("closed", "journal", "kind"), [(False, True, "file"), (True, True, "journal"), (True, False, "file")]
)
def test_the_journal_is_followed_where_the_log_is_closed_to_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: bool, journal: bool, kind: str
) -> None:
    log = tmp_path / "maillog"
    log.write_text(LOGIN)
    monkeypatch.setattr(detect, "LOGS", (log,))
    monkeypatch.setattr(detect, "_closed", lambda _: closed)
    monkeypatch.setattr(detect, "_journal", lambda: journal)
    found = find_source()
    assert (f'kind = "{kind}"' in found.section, '"dovecot"' in found.section) == (True, True)
    assert ("may not read" in found.how) == (kind == "journal")
    assert 'kind = "file"' in find_source(log=log).section, "whoever names the log gets that"
