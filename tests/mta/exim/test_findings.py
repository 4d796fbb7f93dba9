from __future__ import annotations

from pathlib import Path

import pytest

from mta.exim.conftest import Made
from poprelay.mta import Finding, Part
from poprelay.mta.exim.asking import question
from poprelay.mta.exim.findings import examine

TEXT = (Path(__file__).parent / "configs/upstream.conf").read_text()
STOP = "  # The list of domains goes on in a second line.\n"
ONLY = "!domains = +local_domains"


@pytest.fixture
def spool(tmp_path: Path) -> Part:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o755)
    return Part("map", "spool", str(folder))


@pytest.fixture
def hosts(tmp_path: Path) -> Part:
    file = tmp_path / "relay.iplsearch"
    file.touch(0o644)
    return Part("map", "exim", str(file))


def asking(*lines: str) -> str:
    """The config with a statement of these lines before strangers are refused."""
    return TEXT.replace(STOP, "".join(f"  {line}\n" for line in lines) + STOP)


def found(made: Made, text: str, part: Part, **how: str) -> list[Finding]:
    # what lies above the test's own directory is the system's
    return [one for one in examine(made(text, **how), [part]) if "may not be passed" not in one.what]


def one(findings: list[Finding], level: str, *words: str) -> None:
    assert [finding.level for finding in findings] == [level], findings
    assert all(word in findings[0].what for word in words), findings


def test_nothing_is_found_in_what_we_recommend(made: Made, spool: Part, hosts: Part) -> None:
    for part in (spool, hosts):
        assert (
            found(made, TEXT.replace(STOP, f"{question(part, None).replace('accept', f'accept {ONLY}')}{STOP}"), part)
            == []
        )


def test_exim_does_not_ask_us(made: Made, spool: Part) -> None:
    one(found(made, TEXT, spool), "fault", "Exim does not ask us")


def test_a_part_of_another_mta_is_none_of_exims_business(made: Made) -> None:
    assert list(examine(made(TEXT), [Part("map", "lmdb", "/x.lmdb")])) == []


def test_we_are_asked_in_another_list(made: Made, spool: Part) -> None:
    text = TEXT.replace(
        "acl_check_data:\n",
        f"acl_check_data:\n  accept condition = ${{if exists{{{spool.place}/$sender_host_address}}}}\n",
    )
    one(found(made, text, spool), "fault", "not in acl_check_rcpt")


def test_we_are_asked_when_strangers_have_been_refused(made: Made, spool: Part) -> None:
    late = TEXT.replace("  require verify = recipient\n", question(spool, None))
    one(found(made, late, spool), "fault", "too late: require")


@pytest.mark.parametrize("variable", ["", "/", "/$sender_helo_name", "/$sender_host_name"])
def test_a_question_that_is_not_about_the_clients_address_permits_anybody(
    made: Made, spool: Part, variable: str
) -> None:
    text = asking(f"accept {ONLY}", f"condition = ${{if exists{{{spool.place}{variable}}}}}")
    one(found(made, text, spool), "danger", "does not ask for the client's address")


def test_a_socket_that_is_asked_about_something_else(made: Made, tmp_path: Path) -> None:
    part = Part("service", "readsocket", "inet:127.0.0.1:9")
    text = asking(f"accept {ONLY}", "condition = ${readsocket{inet:127.0.0.1:9}{$sender_address\\n}{2s}}")
    one(found(made, text, part), "danger", "does not ask for the client's address")


def test_a_list_of_hosts_that_is_asked_for_a_name(made: Made, hosts: Part) -> None:
    one(found(made, asking(f"accept {ONLY}", f"hosts = iplsearch;{hosts.place}"), hosts), "fault", "client's name")


def test_those_who_may_relay_are_refused(made: Made, spool: Part) -> None:
    text = asking("deny", f"condition = ${{if exists{{{spool.place}/$sender_host_address}}}}")
    one(found(made, text, spool), "fault", "deny condition")


def test_what_refuses_all_but_those_who_may_relay_is_right(made: Made, spool: Part) -> None:
    text = asking("deny", ONLY, f"!condition = ${{if exists{{{spool.place}/$sender_host_address}}}}")
    assert found(made, text, spool) == []


def test_a_file_that_is_asked_for_local_mail_too(made: Made, hosts: Part, spool: Part) -> None:
    one(found(made, asking("accept", f"hosts = net-iplsearch;{hosts.place}"), hosts), "fault", "your own domains too")
    before = asking("accept domains = +local_domains", "accept", f"hosts = net-iplsearch;{hosts.place}")
    assert found(made, before, hosts) == []
    assert (
        found(made, asking("accept", f"condition = ${{if exists{{{spool.place}/$sender_host_address}}}}"), spool) == []
    )


def test_a_stranger_may_relay(made: Made, spool: Part) -> None:
    text = asking(f"accept {ONLY}", f"condition = ${{if exists{{{spool.place}/$sender_host_address}}}}")
    one(found(made, text, spool, said="250 Accepted"), "danger", "a stranger may relay", "'250 Accepted'")


def test_a_check_of_helo_bites_printers(made: Made, spool: Part) -> None:
    text = asking(f"accept {ONLY}", f"condition = ${{if exists{{{spool.place}/$sender_host_address}}}}")
    one(found(made, text, spool, printer="550 say who you are"), "note", "HELO printer", "550 say who you are")


@pytest.mark.parametrize("value", ["127.0.0.1", "<; 127.0.0.1 ; ::1", "127.0.0.1 : ::::1"])
def test_exim_listens_only_to_this_host(made: Made, value: str) -> None:
    [finding] = examine(made(TEXT, values={"local_interfaces": value}), [])
    assert (finding.level, "listens only" in finding.what) == ("note", True)


def test_exim_listens_to_others_too(made: Made) -> None:
    for value in ("", "<; 0.0.0.0 ; ::0", "127.0.0.1 : 9.9.9.9"):
        assert list(examine(made(TEXT, values={"local_interfaces": value}), [])) == []


def test_the_directory_is_missing_or_closed_or_open_to_all(made: Made, spool: Part) -> None:
    text = asking(f"accept {ONLY}", f"condition = ${{if exists{{{spool.place}/$sender_host_address}}}}")
    folder = Path(spool.place)
    folder.chmod(0o700)
    one(found(made, text, spool), "fault", "not readable")
    folder.chmod(0o777)
    one(found(made, text, spool), "danger", "may write")
    folder.rmdir()
    one(found(made, text, spool), "fault", "is missing")
