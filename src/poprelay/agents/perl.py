r"""Mail::POPRelay's `mailLogRegExp`: a Perl expression that is looked for anywhere in a line, `$1` user, `$2` address.

What Perl and Python read alike is run as it is written. What only Perl understands, or what the two understand
differently, is refused with its place; so is what a client could keep busy for ever. Where such an expression lets a
client forge a login, that is said.

    >>> found = read_perl(r"popd: .+user=(\w+) from (\d+\.\d+\.\d+\.\d+) ok")
    >>> found.pattern
    '(?s:.*?)popd: .+user=(?P<user>\\w+) from (?P<address>\\d+\\.\\d+\\.\\d+\\.\\d+) ok'
    >>> found.anchored
    ('popd', '(?:[^ =]+ )*user=(?P<user>\\w+) from (?P<address>[0-9a-fA-F.:]+) ok[^ ]*$')
"""

from __future__ import annotations

import re
import warnings
from typing import Final

import msgspec

from poprelay.agents.perlpieces import FLAGS, pieces, refused

LONGEST: Final = 2048
"""Bytes of a line beyond which such an expression is not tried: it may need time that grows with their square."""

_CODE: Final = re.compile(r"(?:qr|m)\s*([^\w\s\\]).*[^\w\s\\][a-z]*|/.*/[a-z]*", re.DOTALL)
_LEADING: Final = re.compile(r"\.[+*]\??(?![+?{*])")
_LAST: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\([ns])([+*]?)(?:\$|\\Z)?$")


class Expression(msgspec.Struct, frozen=True):
    """What a `mailLogRegExp` became.

    `pattern` is for the whole line, with named groups. `remarks` says why it is forgeable; none if it is not.
    `anchored` is a program and a pattern for its messages that mean the same and are harder to forge.
    """

    pattern: str
    remarks: tuple[str, ...]
    anchored: tuple[str, str]


def read_perl(text: str) -> Expression:
    """Read a Perl expression. AgentError says what cannot be run, and `position` where, from 0."""
    from poprelay.agents.perladvice import anchored, remarks, require_quick  # noqa: PLC0415 - seldom needed, and large

    if _CODE.fullmatch(text):
        raise refused(0, "is quoted as in a Perl program", "write what stands between the marks, (?i) first for /i")
    found = list(pieces(text))
    _compile(text)
    groups = max((piece.group for piece in found), default=0)
    if groups < 2:
        raise refused(0, f"has {groups or 'no'} group{'s' * (groups != 1)}", "put ( ) around user name and address")
    names = {1: "(?P<user>", 2: "(?P<address>"}
    named = "".join(names.get(piece.group, piece.text) for piece in found)
    flags = FLAGS.match(named)
    depth, has_choice = 0, False
    for piece in found:
        depth += {"(": 1, ")": -1}.get(piece.text, 0)
        has_choice = has_choice or (piece.text == "|" and not depth)
    plain = text
    if flags is not None and flags[2] == ")":
        named = f"(?{flags[1]}:{named[flags.end() :]})"
        plain = text[flags.end() :]
    elif has_choice:
        named = f"(?:{named})"
    ending = flags is None and not has_choice
    bare = _LAST.sub(r"\1", named) if ending else named
    named = _LAST.sub(_before_newline, named) if ending else named
    prefix = "" if _LEADING.match(named) else "(?s:.*?)"
    require_quick(prefix, plain, len(text) - len(plain), LONGEST)
    return Expression(prefix + named, tuple(remarks(named)), anchored(bare))


def _before_newline(last: re.Match[str]) -> str:
    """The end of an expression that takes the newline, which ends each line in Perl and none of ours."""
    optional = "" if last[2] == "n" else {"": r"(?:\s|$)", "+": r"(?:\s+|$)", "*": r"\s*"}[last[3]]
    ended = last[0].endswith(("$", r"\Z"))
    if last[2] == "s" and ended:
        optional = r"\s?" if not last[3] else r"\s*"
    return last[1] + optional + ("$" if ended or (last[2] == "n" and last[3] != "*") else "")


def _compile(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            re.compile(text.encode())
        except re.error as error:
            raise refused(error.pos or 0, "cannot be read", error.msg) from None
        except Warning as warning:
            raise refused(0, "can be read in two ways", str(warning)) from None
        except (RecursionError, OverflowError):
            raise refused(0, "is too large", "write a simpler one") from None
