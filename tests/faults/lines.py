"""What servers write: real lines of several, from the agents' own samples, with a stamp, a user, an address put in."""

from __future__ import annotations

import random
import re
from datetime import datetime
from importlib.resources import files
from typing import Final

from poprelay.agents.proof import Template, templates

SERVERS: Final = (
    "dovecot", "courier", "cyrus", "uw-imap", "qpopper", "popa3d", "solid-pop3d", "perdition", "vpopmail"
)  # fmt: skip
FORGED: Final = "6.6.6.6"
"""What attackers write as their user's name, and nobody logs in from."""

_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_TRADITIONAL: Final = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d")


def _stamped(line: str) -> bool:
    return bool(_ISO.search(line) or _TRADITIONAL.match(line))


def _forms() -> list[Template]:
    folder = files("poprelay.agents") / "samples"
    found = [each for name in SERVERS for each in templates((folder / f"{name}.log").read_text("utf-8"))]
    return [each for each in found if all(map(_stamped, each.lines))]


FORMS: Final = _forms()
LOGINS: Final = [each for each in FORMS if each.address]
FAILURES: Final = [each for each in FORMS if not each.address]
_TRADITIONAL_LOGINS: Final = [each for each in LOGINS if all(map(_TRADITIONAL.match, each.lines))]


def login(chance: random.Random, user: str, address: str, at: datetime, *, traditional: bool = False) -> str:
    """The lines of one login, by some server. `traditional`: every stamp is one without a year and a zone."""
    form = chance.choice(_TRADITIONAL_LOGINS if traditional else LOGINS)
    assert form.address
    return _written(form, user, at, traditional=traditional).replace(form.address, address)


def failure(chance: random.Random, at: datetime, *, traditional: bool = False) -> str:
    """The lines of a failed login, whose user's name is the text of a success from `FORGED`."""
    forged = chance.choice(LOGINS)
    assert forged.address
    text = forged.filled("eve")[0].replace(forged.address, FORGED)
    name = chance.choice((text, text.partition(": ")[2], f"x, rip={FORGED}, lip=9.9.9.9", f"eve [{FORGED}]"))
    return _written(chance.choice(FAILURES), name, at, traditional=traditional)


def session(user: str, address: str, at: datetime, *, traditional: bool = False) -> str:
    """A login of Dovecot's, of another host, where `session_ends` may follow."""
    return (
        f"{_stamp(at, traditional=traditional)} box dovecot: imap-login: Login: user=<{user}>, method=PLAIN, "
        f"rip={address}, lip=9.9.9.9, mpid=7, TLS, session=<{_key(address)}>\n"
    )


def session_ends(user: str, address: str, at: datetime, *, traditional: bool = False) -> str:
    """Its logout."""
    return (
        f"{_stamp(at, traditional=traditional)} box dovecot: imap({user})<7><{_key(address)}>: "
        "Disconnected: Logged out in=9 out=470 deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 "
        "body_bytes=0\n"
    )


def _key(address: str) -> str:
    return address.replace(".", "x")


def _stamp(at: datetime, *, traditional: bool) -> str:
    return f"{at:%b} {at.day:2} {at:%H:%M:%S}" if traditional else at.isoformat(timespec="microseconds")


def _written(form: Template, user: str, at: datetime, *, traditional: bool) -> str:
    plain = _stamp(at, traditional=True)
    full = _stamp(at, traditional=traditional)
    fresh = [_TRADITIONAL.sub(plain, _ISO.sub(full, line, 1), 1) for line in form.lines]
    return "".join(f"{line}\n" for line in Template(tuple(fresh), form.address).filled(user))
