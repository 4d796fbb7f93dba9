"""What stands before a message: a stamp, the host, the program, its process id. Every line is recognised by itself.

| framing | looks like |
|---|---|
| traditional syslog, RFC 3164 | `Nov 23 12:18:10 mx imapd[99]: message`; BusyBox puts `mail.info` before the program |
| ISO 8601, RFC 3339 | `2026-11-23T12:18:10.123456+00:00 mx imapd[99]: message` (rsyslog, journalctl's short-iso) |
| RFC 5424, as rsyslog writes it | `<22>1 2026-11-23T12:18:10.123456+00:00 mx imapd 99 - -  message` |
| journalctl's short forms | `Mon 2026-11-23 12:18:10 CET mx imapd[99]: message`, and as traditional or ISO |
| a server's own file | `Nov 23 12:18:10 imap-login: Info: message`: no host, no program; or another stamp |
| Dovecot 1's own file | `dovecot: Nov 23 12:18:10 Info: message`: no host |
| hMailServer's rows | `"IMAPD"<tab>5436<tab>7<tab>"2026-11-23 12:18:10.909"<tab>message`: its session is the process |
| XMail's rows | `"mx"<tab>"example.org"<tab>"192.0.2.7"<tab>"2026-11-23 12:18:10"<tab>...`: the message is all of it |
| rows under `#Fields:` | `2026-11-23T12:18:10.123Z,...`: the message is all of it, see `poprelay.scan.rows` |
| the journal's JSON | `{"MESSAGE":"message","SYSLOG_IDENTIFIER":"imapd","_PID":"99",...}`: message in text or bytes |

A kept `<PRI>` is skipped, and so is Solaris' `[ID 210418 mail.info] `. A host is a host name or address and never ends
in a colon: that tells a syslog line from a server's own. Escapes (`#012`) are left alone: a client may have typed them.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from poprelay.model import Instant
from poprelay.scan.ownstamps import OF_FILES, OF_JOURNALCTL, usual

_TIME: Final = rb"\d\d:\d\d:\d\d"
_TRADITIONAL: Final = rb"[A-Z][a-z]{2} [ \d]?\d " + _TIME + rb"(?>\.\d{1,9}|)"
_ISO: Final = rb"\d{4}-\d\d-\d\d[T ]" + _TIME + rb"(?>[.,]\d{1,9}|)(?>Z|[+-]\d\d:?\d\d|)"
_STAMP: Final = rb"(" + _TRADITIONAL + rb"|" + _ISO + rb")"

_BEHIND: Final = (
    rb" ([\w.:%-]*[\w.-]) "
    rb"(?>[a-z]\w{1,7}\.[a-z]{3,7} |)"  # BusyBox's facility and level
    rb"([^\s:\[\]]++)(?>\[(\d++)\]|): "
    rb"(?>\[ID \d++ \w++\.\w++\] |)"  # Solaris
)
HEAD: Final = rb"(.{15}|\d{4}-[^ ]++)( [^ ]++ [^ :\[]++)(?:: |\[(\d++)\]: )(?!\[ID )"
"""What is likely the header of a syslog line: stamp, host and program, process id. It is one if the stamp is of a usual
form (`Stamps.quick`), and `split` has found the same host and program, with one blank before each, in another line."""

_SYSLOG: Final = re.compile(rb"(?><\d{1,3}>|)" + _STAMP + _BEHIND)
_JOURNALCTL: Final = re.compile(rb"(" + OF_JOURNALCTL + rb")" + _BEHIND)

_RFC5424: Final = re.compile(
    rb"<\d{1,3}>1 (" + _ISO + rb") ([^ ]++) ([^ ]++) ([^ ]++) [^ ]++ "
    rb'(?:-|(?>(?:\[[^ \]"]++(?>(?: [^ =\]"]++="(?>(?:[^"\\\]]|\\.)*)")*)\])+)) {1,2}(?>\xef\xbb\xbf|)'
)
_OWN: Final = re.compile(_STAMP + rb" ")
_NAMED: Final = re.compile(rb"(dovecot): " + _STAMP + rb" ")
_OTHER: Final = re.compile(rb"(" + OF_FILES + rb") ")
_ROW: Final = re.compile(rb"(" + _ISO + rb"),")
_HMAILSERVER: Final = re.compile(rb'"([A-Z0-9]++)"\t\d++\t(\d++)\t"(' + _ISO + rb')"\t')
_XMAIL: Final = re.compile(rb'"[^"\t]*+"\t"[^"\t]*+"\t"[^"\t]*+"\t"(' + _ISO + rb')"\t')


class Header(msgspec.Struct, frozen=True, gc=False):
    """One line, taken apart. What the line does not say is empty. `stamp` is as it stands there, or an instant."""

    stamp: bytes | Instant
    host: bytes
    program: bytes
    pid: bytes
    message: bytes


def split(line: bytes) -> Header | None:
    """Take one line (without its newline) apart, whatever its framing; None if it is of no known one.

    >>> split(b"Nov 23 12:18:10 mx imapd[99]: Login user=ann")
    Header(stamp=b'Nov 23 12:18:10', host=b'mx', program=b'imapd', pid=b'99', message=b'Login user=ann')
    """
    found = _SYSLOG.match(line)
    if found is not None:
        stamp, host, program, pid = found.groups()
        return Header(stamp, host, program, pid or b"", line[found.end() :])
    found = _RFC5424.match(line)
    if found is not None:
        stamp, host, program, pid = found.groups()
        return Header(stamp, _said(host), _said(program), _said(pid), line[found.end() :])
    found = _OWN.match(line)
    if found is not None:
        return Header(found[1], b"", b"", b"", line[found.end() :])
    return _unusual(line)


def _unusual(line: bytes) -> Header | None:
    """The framings that are tried last."""
    if line.startswith(b"{"):
        return _journal(line)
    if line.startswith(b'"'):
        return _quoted(line)
    found = _ROW.match(line)
    if found is not None:
        return Header(found[1], b"", b"", b"", line)
    found = _OTHER.match(line)
    if found is not None:
        return Header(usual(found[1]), b"", b"", b"", line[found.end() :])
    found = _NAMED.match(line)
    if found is not None:
        return Header(found[2], b"", found[1], b"", line[found.end() :])
    found = _JOURNALCTL.match(line)
    if found is not None:
        stamp, host, program, pid = found.groups()
        return Header(usual(stamp), host, program, pid or b"", line[found.end() :])
    return None


def _quoted(line: bytes) -> Header | None:
    """A row of quoted columns with tabs between them; a carriage return at its end is Windows' own."""
    line = line.removesuffix(b"\r")
    found = _HMAILSERVER.match(line)
    if found is not None:
        program, session, stamp = found.groups()
        return Header(stamp, b"", program, session, line[found.end() :])
    found = _XMAIL.match(line)
    return None if found is None else Header(found[1], b"", b"", b"", line)


def _said(field: bytes) -> bytes:
    return b"" if field == b"-" else field


_END_OF_TIME: Final = 253_402_300_800
"""The instant at which the year 10000 begins, which no calendar here can show."""


class _Entry(msgspec.Struct, rename="upper"):
    """A journal entry's fields, as `journalctl -o json` writes them (systemd.journal-fields(7))."""

    message: str | list[int] | None
    syslog_identifier: str
    realtime: str = msgspec.field(name="__REALTIME_TIMESTAMP")
    hostname: str = msgspec.field(name="_HOSTNAME", default="")
    pid: str = msgspec.field(name="_PID", default="")


_ENTRY: Final = msgspec.json.Decoder(_Entry)


def _journal(line: bytes) -> Header | None:
    """A journal entry. One whose message holds a newline would be two lines to everyone else: it is none to us."""
    try:
        entry = _ENTRY.decode(line)
        at = int(entry.realtime) / 1e6
        message = bytes(entry.message) if isinstance(entry.message, list) else (entry.message or "").encode()
    except (
        msgspec.DecodeError,
        RecursionError,
        ValueError,
        OverflowError,
    ):  # not JSON or not of this form; no byte; no time
        return None
    if b"\n" in message or not 0 <= at < _END_OF_TIME:
        return None
    return Header(at, entry.hostname.encode(), entry.syslog_identifier.encode(), entry.pid.encode(), message)
