"""How Exim spells the question to each of our parts, and whether a line of its config is that question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from poprelay.mta import Part
from poprelay.mta.exim.acl import Clause, Statement

KINDS: Final = ("spool", "exim", "readsocket")
"""The kinds of our maps and services that Exim can ask."""

_DONE: Final = "control = submission/sender_retain"
"""As for hosts that may always relay: what a printer leaves out (a date, a message id) is put in."""
_HEAD: Final = "  # poprelay: who has just logged in to POP or IMAP may relay for a while\n"


def question(part: Part, domains: Clause | None) -> str:
    """The statements that ask this part; with `domains`, only about other domains."""
    only = "" if domains is None else f"    {domains}\n"
    if part.kind != "readsocket":
        return f"{_HEAD}  accept\n{only}    {condition(part)}\n    {_DONE}\n"
    socket = place(part)
    asked = f"${{readsocket{{{socket}}}{{$sender_host_address\\n}}{{2s}}{{}}{{unavailable}}}}"
    return (
        f"{_HEAD}  warn\n{only}    set acl_m_poprelay = {asked}\n"
        f"  accept\n{only}    condition = ${{if eq{{$acl_m_poprelay}}{{yes}}}}\n    {_DONE}\n"
        f"  defer\n{only}    condition = ${{if !eq{{$acl_m_poprelay}}{{no}}}}\n"
        "    message = Cannot tell whether you may relay, please try again\n"
    )


def condition(part: Part) -> str:
    """The one line that asks a map."""
    if part.kind == "spool":
        return f"condition = ${{if exists{{{place(part)}/$sender_host_address}}}}"
    named = place(part) if part.spec.get("format") == "hosts" else f"net-iplsearch;{place(part)}"
    return f"hosts = {named}"


def place(part: Part) -> str:
    """As Exim names it: a path, or `inet:host:port`."""
    return part.place.removeprefix("unix:")


def names(text: str, part: Part) -> bool:
    """Whether a text names this part's file, directory or socket."""
    return re.search(rf"(?<![\w/.-]){re.escape(place(part))}(?![\w.-])", text) is not None


def asks(statement: Statement, part: Part) -> Clause | None:
    """What in a statement asks this part."""
    return next((clause for clause in statement.clauses if names(clause.value, part)), None)


def permits_anybody(clause: Clause, part: Part) -> bool:
    """Whether the question does not depend on the client's address, or on what is behind it in the text."""
    asked = re.escape(place(part))
    if part.kind == "spool":
        return re.search(rf"{asked}/+\$\{{?sender_host_address\b", clause.value) is None
    if part.kind == "readsocket":
        return re.search(rf"{asked}\}}\s*\{{\$\{{?sender_host_address\b", clause.value) is None
    return clause.name != "hosts" and "$sender_host_address" not in clause.value


def by_name(clause: Clause, part: Part) -> bool:
    """Whether a list of hosts is looked up by the client's name, which is its owner's to choose."""
    if part.kind != "exim" or clause.name != "hosts":
        return False
    found = re.search(rf"(\S*);\s*{re.escape(place(part))}", clause.value)
    return found is not None and not found[1].lstrip("!").startswith("net")


def local_mail_asks(before: Sequence[Statement], asking: Statement, clause: Clause) -> bool:
    """Whether mail for our own domains gets as far as the question."""
    ahead = asking.clauses[: asking.clauses.index(clause)]
    if any(one.name == "domains" for one in ahead):
        return False
    return not any(
        one.verb == "accept" and any(each.name == "domains" and not each.negated for each in one.conditions)
        and all(each.name in ("domains", "verify") for each in one.conditions)
        for one in before
    )  # fmt: skip
