from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.daemon.doctor.selinux import System, faults
from poprelay.mta import Part

MAP = Part("map", "lmdb", "/var/lib/poprelay/relay.lmdb")
SOCKET = Part("service", "socketmap", "unix:/var/spool/postfix/poprelay/socketmap")
PORT = Part("service", "socketmap", "inet:127.0.0.1:10027")
AVC = (
    'type=AVC msg=audit(1700000000.1:2): avc:  denied  {{ {what} }} for  pid=7 comm="{who}" {where} '
    "scontext=system_u:system_r:postfix_smtpd_t:s0 permissive=0\n"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "enforce").write_text("1")
    (tmp_path / "audit.log").write_text("type=SERVICE_START\n")
    return tmp_path


def system(place: Path, kind: str = "etc_t") -> System:
    label = f"system_u:object_r:{kind}:s0" if kind else ""
    return System(place / "enforce", place / "audit.log", lambda path: label)


def test_nothing_is_found_where_labels_are_readable_and_nothing_was_denied(place: Path) -> None:
    assert not list(faults([MAP, SOCKET, PORT], system(place)))
    assert not list(faults([MAP], system(place, "postfix_etc_t")))
    assert not list(faults([MAP], system(place, "")))


def test_nothing_is_found_where_it_does_not_enforce(place: Path) -> None:
    (place / "enforce").write_text("0")
    assert not list(faults([MAP], system(place, "var_lib_t")))
    (place / "enforce").unlink()
    assert not list(faults([MAP], system(place, "var_lib_t")))


def test_a_label_that_the_mta_may_not_read_is_a_note_with_the_command_that_changes_it(place: Path) -> None:
    (found,) = faults([MAP, SOCKET], system(place, "var_lib_t"))
    assert (found.level, "var_lib_t" in found.what) == ("note", True)
    assert (
        "'/var/lib/poprelay(/relay.*)?' && restorecon -v /var/lib/poprelay /var/lib/poprelay/relay.lmdb*" in found.mend
    )


@pytest.mark.parametrize(
    ("part", "where"),
    [
        (MAP, 'name="relay.lmdb" dev="dm-0"'),
        (SOCKET, 'path="/var/spool/postfix/poprelay/socketmap"'),
        (SOCKET, 'name="socketmap" dev="dm-0"'),
        (PORT, "dest=10027 "),
    ],
)
def test_what_was_denied_to_the_mta_is_a_fault(place: Path, part: Part, where: str) -> None:
    (place / "audit.log").write_text(AVC.format(what="read", who="smtpd", where=where))
    (found,) = faults([part], system(place))
    assert (found.level, "denied  { read }" in found.why) == ("fault", True)


@pytest.mark.parametrize(
    ("who", "where"), [("httpd", 'name="relay.lmdb" dev="dm-0"'), ("smtpd", 'name="other.lmdb" dev="dm-0"')]
)
def test_what_was_denied_to_others_or_elsewhere_is_not_ours(place: Path, who: str, where: str) -> None:
    (place / "audit.log").write_text(AVC.format(what="read", who=who, where=where))
    assert not list(faults([MAP, PORT], system(place)))
