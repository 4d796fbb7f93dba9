"""Whatever bytes come, and however they are cut: only what the ledger has just allowed is permitted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutting import PLACES, cut
from poprelay.model import Absent, Address, Allowed, Grant, Outcome, Unavailable
from poprelay.wire.netstring import encode
from wire.dialogues import DIALOGUES, is_over

PERMITS = {
    "socketmap": b"OK OK,",
    "sendmail": b"OK RELAY,",
    "policy": b"=OK\n\n",
    "readsocket": b"yes",
    "tcp_table": b"200 ",
}
KEYS = st.text(max_size=12) | st.sampled_from(
    ["192.0.2.7", "192.0.2.8", "192.0.2.99", "::ffff:192.0.2.7", "2001:DB8::7", "ipv6:2001:db8:0:0:0:0:0:7", "192.0.2",
     "192.0.2.7 ", "192.0.2.7/32", "192.0.2.07", "192.0.2.7.example.org", "2001:db8::7%lo", "unknown", "", "yes",
     "200 OK", "\n", "\0", ",", "%31"]
)  # fmt: skip
SCRAPS = st.binary(max_size=20) | st.sampled_from(
    [encode(b"relay 192.0.2.8"), encode(b"other 192.0.2.7"), b"17:relay 192.0.2.7,", b"0:,", b"9", b":", b",", b"get ",
     b"get %", b"request=smtpd_access_policy\n", b"protocol_state=RCPT\n", b"client_address=192.0.2.8\n", b"\r\n",
     b"\n", b"\n\n", b"action=OK\n\n", b"OK OK,", b"200 OK\n", b"yes"]
)  # fmt: skip


def asked(kind: str, key: str, other: str) -> bytes:
    """A question about the key, as the MTA puts it; `other` is what stands elsewhere in it."""
    text, beside = key.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    if kind in {"socketmap", "sendmail"}:
        return encode((b"relay " if other != "unknown" else b"other ") + text)
    if kind == "policy":
        names = b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=%s\nclient_name=%s\n\n"
        return names % (text, beside)
    return (b"get " if kind == "tcp_table" else b"") + text + b"\n"


def streams(kind: str) -> st.SearchStrategy[bytes]:
    questions = st.builds(asked, st.just(kind), KEYS, KEYS)
    return (st.lists(questions, max_size=8) | st.lists(questions | SCRAPS, max_size=8)).map(b"".join)


class Ledger:
    """Allows two addresses, or none; cannot tell of a third, and breaks on a fourth. Knows what it has answered."""

    def __init__(self, *, allows: bool = True) -> None:
        self._allows = allows
        self.allowed = 0

    def __call__(self, address: Address) -> Outcome:
        if self._allows and address in {"192.0.2.7", "2001:db8::7"}:
            self.allowed += 1
            return Allowed((Grant(address, "ann", "login", 0.0, 60.0, 0.0, 0.0, 60.0, "dovecot"),))
        if address == "192.0.2.8":
            raise ZeroDivisionError(address)
        return Unavailable("starting up") if address == "192.0.2.99" else Absent()


@pytest.mark.parametrize("kind", DIALOGUES)
@given(data=st.data(), places=PLACES)
def test_only_what_is_allowed_is_permitted_and_cutting_changes_no_answer(
    kind: str, data: st.DataObject, places: list[int]
) -> None:
    stream = data.draw(streams(kind))
    ledger, deaf = Ledger(), Ledger(allows=False)
    whole, in_pieces, denied = DIALOGUES[kind](ledger), DIALOGUES[kind](Ledger()), DIALOGUES[kind](deaf)
    said = whole.receive(stream)
    permitted = said.count(PERMITS[kind])
    assert permitted <= ledger.allowed if kind == "policy" else permitted == ledger.allowed
    assert PERMITS[kind] not in denied.receive(stream)
    assert b"".join(in_pieces.receive(piece) for piece in cut(stream, places)) == said
    assert (in_pieces.refused, in_pieces.finished) == (whole.refused, whole.finished)
    if is_over(whole):
        assert whole.receive(asked(kind, "192.0.2.7", "")) == b""
