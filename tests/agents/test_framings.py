"""However a log is framed, the same messages are the same logins, of the same sessions."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from poprelay.agents import catalog, proof
from poprelay.agents.proof import Sample
from poprelay.scan.headers import Header, split

from .conftest import NOW, Scan

AGENTS = {name: catalog.find(name) for name in catalog.BUILTIN}
OLD = (b" plaintext", b" plaintext+TLS ", b" plaintext ")  # how Cyrus' logins end that are older than these framings
MONDAY = datetime.fromtimestamp(NOW, UTC)


def tag(header: Header) -> bytes:
    return header.program + (b"[%b]" % header.pid if header.pid else b"")


def stamped(form: str, between: bytes = b" ") -> Callable[[Header], bytes]:
    stamp = MONDAY.strftime(form).encode()
    return lambda header: b"%b %b%b%b: %b" % (stamp, header.host, between, tag(header), header.message)


def rfc5424(rest: bytes) -> Callable[[Header], bytes]:
    stamp = MONDAY.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00").encode()
    return lambda header: (
        b"<22>1 %b %b %b %b %b%b"
        % (stamp, header.host, header.program, header.pid or b"-", rest, header.message)
    )  # fmt: skip


def journal(compact: bool, as_bytes: bool) -> Callable[[Header], bytes]:
    def entry(header: Header) -> bytes:
        message = header.message.decode("utf-8", "surrogateescape")
        plain = not as_bytes and message.isprintable()
        fields = {
            "__REALTIME_TIMESTAMP": f"{NOW * 1e6:.0f}",
            "_HOSTNAME": header.host.decode(),
            "SYSLOG_IDENTIFIER": header.program.decode(),
            "MESSAGE": message if plain else list(header.message),
            **({"_PID": header.pid.decode()} if header.pid else {}),
        }
        return json.dumps(fields, separators=(",", ":") if compact else None).encode()

    return entry


FRAMINGS: dict[str, Callable[[Header], bytes]] = {
    "traditional": stamped("%b %e %H:%M:%S"),
    "traditional with its priority": stamped("<22>%b %e %H:%M:%S"),
    "ISO in UTC": stamped("%Y-%m-%dT%H:%M:%SZ"),
    "ISO with fractions and an offset": stamped("%Y-%m-%dT%H:%M:%S.%f-05:30"),
    "BusyBox": stamped("%b %e %H:%M:%S", b" mail.info "),
    "RFC 5424 as rsyslog writes it": rfc5424(b"- -  "),
    "RFC 5424 with structured data": rfc5424(rb'ID47 [a@1 b="c \"\]"][d e="f"] '),
    "journalctl -o short-full": stamped("%a %Y-%m-%d %H:%M:%S UTC"),
    "journalctl -o short-unix": stamped("%s.%f"),
    "journalctl -o json": journal(compact=True, as_bytes=False),
    "journalctl -o json, in bytes": journal(compact=True, as_bytes=True),
    "JSON with blanks": journal(compact=False, as_bytes=True),
}


def headers(sample: Sample) -> list[Header]:
    """The lines of a sample, if all could be framed otherwise and none waits for another."""
    found = [split(line.encode("utf-8", "surrogateescape")) for line in sample.lines]
    taken = [header for header in found if header is not None and header.program and header.host]
    old = any(header.program.endswith(b"-login") or header.message.endswith(OLD) for header in taken)
    at_once = len({header.stamp for header in taken}) == 1
    return taken if len(taken) == len(found) and at_once and not old else []


SAMPLES = {
    name: [(sample, headers(sample)) for sample in proof.read(catalog.samples(agent) or "") if headers(sample)]
    for name, agent in AGENTS.items()
}


def test_every_server_that_logs_by_syslog_is_among_them() -> None:
    own = {name for name, agent in AGENTS.items() if "" in agent.programs or name == "hmailserver"}
    assert {name for name, found in SAMPLES.items() if not found} <= own


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("name", AGENTS)
def test_a_login_is_the_same_in_every_framing(name: str, framing: str, scan: Scan) -> None:
    for sample, found in SAMPLES[name]:
        lines = [FRAMINGS[framing](header).decode("utf-8", "surrogateescape") for header in found]
        events = scan([AGENTS[name]], lines)
        assert [proof.spelled(event).fields for event in events] == [claim.fields for claim in sample.claims], lines
