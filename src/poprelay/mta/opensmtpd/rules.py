"""OpenSMTPD's tables, actions and match rules: what they say, and where a rule of ours belongs.

The rules are gone through in their order, for each recipient; the first that matches decides. No rule: no relay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from poprelay.mta.opensmtpd.grammar import Statement, parse

_VALUES: Final = {
    "for": {"domain": True, "rcpt-to": True},
    "from": {"auth": False, "mail-from": True, "rdns": False, "src": True},
    "": {"auth": False, "helo": True, "mail-from": True, "rcpt-to": True, "tag": True},
}
"""Options that have a value; whether they must."""
_WORDS: Final = frozenset(
    {"for", "from", "auth", "helo", "mail-from", "rcpt-to", "tag", "tls", "!", "action", "reject"}
)
CHOSEN: Final = frozenset({"mail-from", "from mail-from", "helo", "rcpt-to", "tls"})
"""What the client chooses: it keeps nobody out."""


class Option(NamedTuple):
    """One option of a rule: `from src`, `for any`, `auth`; the table or the words that it names."""

    name: str
    negated: bool = False
    table: str = ""
    words: tuple[str, ...] = ()


class Rule(NamedTuple):
    """One match: from whom, to whom, what else must hold, and the action that it takes ('' rejects)."""

    source: Option
    to: Option
    others: tuple[Option, ...]
    action: str
    at: Statement

    @property
    def strangers(self) -> bool:
        """Whether it decides for strangers' mail to anywhere, whatever else they do."""
        if self.to != Option("for any") or any(one.name != "auth" or not one.negated for one in self.others):
            return False
        return self.source == Option("from any") or (self.source.negated and self.source.name != "from any")

    @property
    def opens(self) -> bool:
        """Whether strangers may have it take their mail to anywhere: what else it asks is theirs to choose."""
        if self.to.name not in ("for any", "for rcpt-to") or self.to.negated or not self.action:
            return False
        if any(not one.negated and one.name not in CHOSEN for one in self.others):
            return False
        return self.source.name in ("from any", "from mail-from") and not self.source.negated

    def __str__(self) -> str:
        return " ".join(self.at.words).replace("< ", "<").replace(" >", ">").replace("! ", "!")


class Table(NamedTuple):
    """One table: `file`, `db`, `sqlite`, `socketmap`, …, and its place; or what stands in it (`static`)."""

    kind: str
    place: str
    words: tuple[str, ...]


class Rules(NamedTuple):
    """What smtpd.conf says, as far as it is about who may relay."""

    statements: Sequence[Statement]
    tables: dict[str, Table]
    actions: dict[str, tuple[str, ...]]
    rules: list[Rule]

    @classmethod
    def read(cls, text: str, file: Path, read: Callable[[str], object]) -> Self:
        statements = parse(text, file, read)
        tables = {
            one.words[1]: _table(one.words[2:]) for one in statements if len(one.words) > 2 and one.words[0] == "table"
        }
        actions = {one.words[1]: one.words[2:] for one in statements if len(one.words) > 2 and one.words[0] == "action"}
        rules = [_rule(one) for one in statements if one.words[0] == "match"]
        return cls(statements, tables, actions, rules)

    def relays(self, action: str) -> bool:
        return self.actions.get(action, ("",))[0] == "relay"

    def wall(self) -> int:
        """The number of the first rule that decides for strangers; how many rules there are, if none does."""
        return next((number for number, one in enumerate(self.rules) if one.strangers), len(self.rules))

    def outgoing(self) -> str:
        """The action that takes mail out already; '' if there is none."""
        used = [one.action for one in self.rules if one.to.name == "for any" and self.relays(one.action)]
        return next(iter([*used, *filter(self.relays, self.actions)]), "")

    def asking(self, table: str) -> list[int]:
        """The numbers of the rules that ask that table from whom mail comes."""
        return [
            number
            for number, one in enumerate(self.rules)
            if any(option.table == table and option.name == "from src" for option in (one.source, *one.others))
        ]


def _table(words: Sequence[str]) -> Table:
    if words[0] == "{":
        return Table("static", "", tuple(word for word in words if word not in "{},"))
    kind, colon, place = words[0].partition(":")
    return Table(kind, place, ()) if colon and "/" not in kind else Table("file", words[0], ())


def _rule(statement: Statement) -> Rule:
    words = list(statement.words[1:])
    source, to = Option("from local"), Option("for local")
    others: list[Option] = []
    action, negated = "", False
    while words:
        word = words.pop(0)
        if word == "!":
            negated = True
            continue
        if word == "reject":
            break
        if word == "action":
            action = words[0] if words else ""
            break
        option = _option(word, words, negated=negated)
        negated = False
        if word == "from":
            source = option
        elif word == "for":
            to = option
        else:
            others.append(option)
    return Rule(source, to, tuple(others), action, statement)


def _option(word: str, words: list[str], *, negated: bool) -> Option:
    """Takes from `words` what belongs to the option that `word` begins."""
    group = word if word in ("for", "from") else ""
    kind = words.pop(0) if group and words else word
    name = f"{group} {kind}".strip()
    if kind not in _VALUES[group]:
        return Option(name, negated)
    if words[:1] == ["regex"]:
        words.pop(0)
    elif not _VALUES[group][kind] and (not words or words[0] in _WORDS):
        return Option(name, negated)
    taken: list[str] = []
    while words:
        taken.append(words.pop(0))
        if taken[0] not in "<{" or taken[-1] in ">}":
            break
    if taken[:1] == ["<"]:
        return Option(name, negated, table=taken[1] if len(taken) > 2 else "")
    return Option(name, negated, words=tuple(one for one in taken if one not in "{},"))
