"""Mail::POPRelay's commands, which it gave to a shell: run without one where that is possible.

A `<` with a file behind it becomes the command's standard input. What else only a shell understands (`|`, `$( )`, `*`,
a variable that is set first, `cd`) stays a shell's.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

SHELL: Final = "/bin/sh"

_ONLY_SHELL: Final = re.compile(r"[|&;>()$`*?~\[\]{}!\n]|<.*<|#|(?:^|\s)\d+<|^\s*\w+=")
_BUILT_IN: Final = frozenset(
    {".", ":", "cd", "command", "eval", "exec", "export", "set", "source", "trap", "ulimit", "umask", "unset", "wait"}
)
_WORDS: Final = re.compile("%([mrn])", re.IGNORECASE)


class Command(msgspec.Struct, frozen=True):
    """Program and arguments, and the file that is its standard input (None: nothing)."""

    run: tuple[str, ...]
    stdin: Path | None = None

    @property
    def by_shell(self) -> bool:
        return self.run[:2] == (SHELL, "-c")


def read_command(text: str, words: Mapping[str, str]) -> Command:
    """Read a command, and put `words` in the place of `%m` and the like. ValueError says what is wrong with it.

    >>> read_command("/usr/sbin/makemap hash %r < %r", {"r": "/etc/mail/my access"})
    Command(run=('/usr/sbin/makemap', 'hash', '/etc/mail/my access'), stdin=PosixPath('/etc/mail/my access'))
    >>> read_command("kill -HUP `cat /run/%m.pid`", {"m": "exim"}).run
    ('/bin/sh', '-c', 'kill -HUP `cat /run/exim.pid`')
    """

    def put(word: str) -> str:
        return _WORDS.sub(lambda found: words[found[1].lower()], word)

    if _ONLY_SHELL.search(text) or not _BUILT_IN.isdisjoint(text.split(maxsplit=1)[:1]):
        return Command((SHELL, "-c", _WORDS.sub(lambda found: shlex.quote(words[found[1].lower()]), text)))
    lexer = shlex.shlex(text, posix=True, punctuation_chars="<")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        found = list(lexer)
    except ValueError:
        raise ValueError("has a quote that is not closed") from None
    stdin = None
    if "<" in found:
        at = found.index("<")
        if at + 1 == len(found):
            raise ValueError("names no file after <")
        stdin = Path(put(found[at + 1]))
        del found[at : at + 2]
    if not found:
        raise ValueError("is no command")
    return Command(tuple(map(put, found)), stdin)
