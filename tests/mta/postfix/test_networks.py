from __future__ import annotations

import time
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poprelay.mta.postfix.networks import parse, trusted_networks


def networks(text: str) -> list[str]:
    return [str(network) for network in parse(text).networks]


@pytest.fixture
def postconf(tmp_path: Path) -> Path:
    program = tmp_path / "postconf"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_what_postfix_says_by_default_is_read() -> None:
    text = "127.0.0.0/8 192.0.2.2/32 [::1]/128 [fd00::2]/128 [fe80::fc:ff:fe00:1]/128"
    assert networks(text) == ["127.0.0.0/8", "192.0.2.2/32", "::1/128", "fd00::2/128", "fe80::fc:ff:fe00:1/128"]
    assert parse(text).remarks == ()


def test_commas_spaces_and_newlines_separate() -> None:
    assert networks("10.0.0.0/8,\n\t192.0.2.7 ,, [::1]\n") == ["10.0.0.0/8", "192.0.2.7/32", "::1/128"]


@pytest.mark.parametrize(
    ("pattern", "remark"),
    [
        ("hash:/etc/postfix/nets", "the table hash:/etc/postfix/nets"),
        ("cidr:/etc/postfix/nets.cidr", "the table cidr:/etc/postfix/nets.cidr"),
        ("lmdb:/var/lib/poprelay/relay", "the table lmdb:/var/lib/poprelay/relay"),
        ("!hash:/etc/postfix/nets", "the table hash:/etc/postfix/nets"),
        ("2001:db8::/32", "the table 2001:db8::/32"),
        ("/etc/postfix/mynetworks", "the file /etc/postfix/mynetworks"),
        ("localhost", "the name localhost"),
        (".example.org", "the name .example.org"),
        ("$unexpanded", "the name $unexpanded"),
        ("192.0.2.7/8", "192.0.2.7/8 has host bits set"),
        ("192.0.2", "'192.0.2' does not appear to be an IPv4 or IPv6 network"),
        ("[192.0.2.7]", "[192.0.2.7], which is not an address"),
        ("[::1", "[::1, which is not an address"),
        ("caf\u00e9\x1b[2J", "the name caf??[2J"),
    ],
)
def test_what_is_not_a_network_is_skipped_with_a_remark(pattern: str, remark: str) -> None:
    found = parse(f"10.0.0.0/8 {pattern} [fd00::]/8")
    assert [str(network) for network in found.networks] == ["10.0.0.0/8", "fd00::/8"]
    assert found.remarks == (f"mynetworks: skipped {remark}",)


def test_an_exclusion_holds_for_what_stands_after_it_only() -> None:
    assert networks("!192.0.2.128/25 192.0.2.0/24") == ["192.0.2.0/25"]
    assert networks("192.0.2.0/24 !192.0.2.128/25") == ["192.0.2.0/24"]
    assert networks("!192.0.2.0/24 192.0.2.7") == []
    assert networks("!![::1] ![fd00::]/9 [fd00::]/8") == ["::1/128", "fd80::/9"]


def test_an_open_relay_is_remarked_on() -> None:
    assert parse("0.0.0.0/0").remarks == ("mynetworks: 0.0.0.0/0 trusts the whole internet; Postfix is an open relay",)


patterns = st.builds(
    lambda bang, last, bits: f"{bang}{ip_network((f'192.0.2.{last}', bits), strict=False)}",
    st.sampled_from(["", "!"]),
    st.integers(0, 255),
    st.integers(24, 32),
)


@given(st.lists(patterns, max_size=5), st.integers(0, 255))
def test_an_address_is_trusted_if_the_first_pattern_that_matches_says_so(patterns: list[str], last: int) -> None:
    address = ip_address(f"192.0.2.{last}")
    first = next((p for p in patterns if address in ip_network(p.lstrip("!"))), "!")
    assert any(address in network for network in parse(" ".join(patterns)).networks) == (not first.startswith("!"))


@given(st.text())
def test_no_text_raises_and_every_remark_is_printable(text: str) -> None:
    assert all(remark.isascii() and remark.isprintable() for remark in parse(text).remarks)


def test_postconf_is_asked_for_the_expanded_value_of_one_instance(postconf: Path, tmp_path: Path) -> None:
    postconf.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho "10.0.0.0/8 [::1]/128"\n')
    found = trusted_networks(postconf=str(postconf), config_directory=Path("/etc/postfix-out"))
    assert (tmp_path / "asked").read_text() == "-c /etc/postfix-out -hx mynetworks\n"
    assert [str(network) for network in found.networks] == ["10.0.0.0/8", "::1/128"]
    assert found.remarks == ()


def test_postconf_is_found_on_the_path(postconf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postconf.write_text("#!/bin/sh\necho 10.0.0.0/8\n")
    monkeypatch.setenv("PATH", f"{postconf.parent}:/usr/bin:/bin")
    assert [str(network) for network in trusted_networks().networks] == ["10.0.0.0/8"]


def test_a_warning_of_postconf_does_not_matter_if_it_answers(postconf: Path) -> None:
    postconf.write_text("#!/bin/sh\necho 'postconf: warning: unused parameter: x=y' >&2\necho 10.0.0.0/8\n")
    assert trusted_networks(postconf=str(postconf)).remarks == ()


def test_a_postconf_that_fails_is_a_remark(postconf: Path) -> None:
    postconf.write_text("#!/bin/sh\necho 'postconf: fatal: open /etc/postfix/main.cf: No such file' >&2\nexit 1\n")
    assert trusted_networks(postconf=str(postconf)) == (
        (),
        ("mynetworks: postconf: fatal: open /etc/postfix/main.cf: No such file",),
    )


def test_a_postconf_that_hangs_is_a_remark(postconf: Path) -> None:
    postconf.write_text("#!/bin/sh\nexec sleep 20\n")
    begin = time.monotonic()
    found = trusted_networks(postconf=str(postconf), timeout=0.2)
    assert time.monotonic() - begin < 5
    assert found == ((), (f"mynetworks: {postconf} did not answer within 0.2 seconds",))


@pytest.mark.parametrize("there", [True, False])
def test_a_postconf_that_cannot_run_is_a_remark(tmp_path: Path, there: bool) -> None:
    program = tmp_path / "postconf"
    if there:
        program.write_text("#!/bin/sh\n")
    found = trusted_networks(postconf=str(program))
    assert found.networks == ()
    assert found.remarks[0].startswith(f"mynetworks: cannot run {program}: ")


def test_a_postfix_that_cannot_be_asked_is_a_remark_and_a_host_without_one_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("poprelay.mta.postfix.postconf.PLACES", (str(tmp_path / "gone"),))
    monkeypatch.setattr("poprelay.mta.postfix.networks.MAIN", tmp_path / "main.cf")
    assert trusted_networks() == ((), ())
    (tmp_path / "main.cf").touch()
    found = trusted_networks()
    assert found.networks == ()
    assert found.remarks == ("mynetworks: no postconf on PATH nor in /usr/sbin, so what Postfix trusts is not known",)
