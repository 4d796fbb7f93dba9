r"""Mail::POPRelay's `mailLogRegExp`: a Perl expression that is looked for anywhere in a line, `$1` user, `$2` address.

What Perl and Python read alike is run as it is written. What only Perl understands, or what the two understand
differently, is refused with its place. Where such an expression lets a client forge a login, that is said.

    >>> found = read_perl(r"popd: .+user=(\w+) from (\d+\.\d+\.\d+\.\d+) ok")
    >>> found.pattern
    '(?s:.*?)popd: .+user=(?P<user>\\w+) from (?P<address>\\d+\\.\\d+\\.\\d+\\.\\d+) ok'
    >>> found.anchored
    ('popd', 'user=(?P<user>\\w+) from (?P<address>[0-9a-fA-F.:]+) ok$')
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Final

import msgspec

from poprelay.agents.patterns import tree
from poprelay.errors import AgentError

LONGEST: Final = 2048
"""Bytes of a line beyond which such an expression is not tried: it may need time that grows with their square."""

_ESCAPES: Final = {
    **dict.fromkeys("z", "write $"),
    **dict.fromkeys("hH", r"write [ \t]"),
    **dict.fromkeys("vVRN", r"write [^ ] or the characters that are meant"),
    **dict.fromkeys("pP", "write the characters that are meant, in [ ]"),
    **dict.fromkeys("QELUlu", "write the text itself, with \\ before what is special"),
    **dict.fromkeys("KGX", "leave it out, or write an agent in Python"),
    **dict.fromkeys("gk", r"write \1 or \2"),
    **dict.fromkeys("coe", r"write \xNN"),
}
"""Letters that mean something behind a backslash to Perl, and nothing or another thing to Python."""
_GROUPS: Final = ("?:", "?=", "?!", "?<=", "?<!", "?>", "?#", "?(")
_FLAGS: Final = re.compile(r"\(\?([a-z]*)(?:-[a-z]+)?([:)])")
_PROGRAM: Final = re.compile(
    r"\^?(?:\.[*+]\??)?(?P<name>[A-Za-z](?:[\w/-]|\\[./-])*)(?:\\\[(?:\\d|\.|\[0-9\])[+*]\\\])?: ?(?P<rest>.*)",
    re.DOTALL,
)
_LEADING: Final = re.compile(r"(?:\.[+*]\??)+")
_ADDRESS: Final = r"(?P<address>[0-9a-fA-F.:]+)"


class Expression(msgspec.Struct, frozen=True):
    """What a `mailLogRegExp` became.

    `pattern` is for the whole line, with named groups. `remarks` says why it is forgeable; none if it is not.
    `anchored` is a program and a pattern for its messages that mean the same and are harder to forge.
    """

    pattern: str
    remarks: tuple[str, ...]
    anchored: tuple[str, str]


class _Piece(msgspec.Struct, frozen=True):
    """One element as far as we read them: where it begins, its text, and which group it opens (0: none)."""

    at: int
    text: str
    group: int = 0


def read_perl(text: str) -> Expression:
    """Read a Perl expression. AgentError says what cannot be run, and `position` where, from 0."""
    pieces = list(_pieces(text))
    _compile(text)
    groups = max((piece.group for piece in pieces), default=0)
    if groups < 2:
        raise _refused(0, f"has {groups or 'no'} group{'s' * (groups != 1)}", "put ( ) around user name and address")
    names = {1: "(?P<user>", 2: "(?P<address>"}
    named = "".join(names.get(piece.group, piece.text) for piece in pieces)
    flags = _FLAGS.match(named)
    if flags is not None and flags[2] == ")":
        named = f"(?{flags[1]}:{named[flags.end() :]})"
    return Expression(f"(?s:.*?){named}", tuple(_remarks(named)), _anchored(named))


def _pieces(text: str) -> Iterator[_Piece]:
    at = group = 0
    while at < len(text):
        start = at
        match text[at]:
            case "\\":
                at += _escape(text, at)
            case "[":
                at = _class(text, at)
            case "(":
                if text.startswith("(*", at):
                    raise _refused(at, "has a verb that only Perl knows", "leave it out")
                opens = _opens(text, at)
                group += opens
                at += 1
                if opens:
                    yield _Piece(start, "(", group)
                    continue
            case "{" if re.match(r"\{ *,", text[at:]):
                raise _refused(at, "has a repetition that Perl and Python read differently", "write {0,n}")
            case character if not character.isascii():
                raise _refused(at, f"has {character!r}", r"write the bytes that the server logs, as \xNN")
            case _:
                at += 1
        yield _Piece(start, text[start:at])


def _escape(text: str, at: int) -> int:
    """The length of what a backslash begins."""
    letter = text[at + 1 : at + 2]
    if letter in _ESCAPES:
        raise _refused(at, f"has \\{letter}, which only Perl understands", _ESCAPES[letter])
    if text.startswith("x{", at + 1):
        raise _refused(at, r"has \x{}, which only Perl understands", r"write \xNN")
    return 2


def _class(text: str, at: int) -> int:
    """Where a character class ends."""
    start = at
    at += 2 if text.startswith("[^", at) else 1
    first = at
    while at < len(text):
        if text[at] == "]" and at > first:
            return at + 1
        if text.startswith(("[:", "[.", "[="), at):
            raise _refused(
                at, "has a named class, which only Perl understands", r"write the characters, such as 0-9 or \w"
            )
        at += _escape(text, at) if text[at] == "\\" else 1
    raise _refused(start, "has a [ that is not closed", "close it, or write \\[")


def _opens(text: str, at: int) -> bool:
    """Whether the parenthesis there opens a group that counts."""
    rest = text[at + 1 :]
    if not rest.startswith("?"):
        return True
    if rest.startswith(_GROUPS):
        return False
    flags = _FLAGS.match(text, at)
    if flags is None or not set(flags[1]) <= set("imsx"):
        raise _refused(at, f"has ({rest[:2]}, which only Perl understands", "write ( ) or (?: )")
    if flags[2] == ")" and at:
        raise _refused(at, "changes its flags half way", f"write {flags[0]} at its beginning")
    return False


def _compile(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            re.compile(text.encode())
        except re.error as error:
            raise _refused(error.pos or 0, "cannot be read", error.msg) from None
        except Warning as warning:
            raise _refused(0, "can be read in two ways", str(warning)) from None
        except (RecursionError, OverflowError):
            raise _refused(0, "is too large", "write a simpler one") from None


def _remarks(named: str) -> Iterator[str]:
    """Why a client could make a line that this takes for a login of another address."""
    if not named.startswith(("^", r"\A")) or _alternatives(named):
        yield "it may begin anywhere in a line, so in a user name, a host name, or another program's words too"
    before, _, after = named.partition("(?P<address>")
    if re.search(r"(?<!\\)(?:\\\\)*\.[*+{]", before):
        yield "it has a catch-all before the address, which passes over what a client wrote, a false address included"
    depth, end = 1, 0
    for piece in _pieces(after):
        depth += {"(": 1, ")": -1}.get(piece.text[:1], 0)
        end = piece.at + 1
        if not depth:
            break
    if not after[end:]:
        yield "nothing must follow the address, so a host name such as 9.9.9.9.example.net counts as one"


def _alternatives(pattern: str) -> bool:
    return any(str(operation) == "BRANCH" for operation, _ in tree(pattern))


def _anchored(named: str) -> tuple[str, str]:
    """The program and a pattern for its messages, as far as they can be told from the expression."""
    found = _PROGRAM.fullmatch(named)
    program, rest = (re.sub(r"\\(.)", r"\1", found["name"]), found["rest"]) if found else ("PROGRAM", named.lstrip("^"))
    rest = _LEADING.sub("", rest, count=1) if _LEADING.match(rest) else rest
    parts: list[str] = []
    depth = 0
    for piece in _pieces(rest.replace("(?P<user>", "(").replace("(?P<address>", "(")):
        if piece.group == 2:
            parts.append(_ADDRESS)
            depth = 1
        elif depth:
            depth += {"(": 1, ")": -1}.get(piece.text[:1], 0)
        else:
            parts.append("(?P<user>" if piece.group == 1 else piece.text)
    text = re.sub(r"(?<!\\)\.([*+])", r"[^ ]\1", "".join(parts))
    return program, text if text.endswith("$") else f"{text}$"


def _refused(at: int, what: str, remedy: str) -> AgentError:
    return AgentError(f"the expression {what} at character {at + 1}", remedy=remedy, position=at)
