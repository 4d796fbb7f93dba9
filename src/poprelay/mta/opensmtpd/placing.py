"""Where the lines of ours belong in smtpd.conf."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from poprelay.errors import MtaError
from poprelay.mta import Edit, Part
from poprelay.mta.opensmtpd.asking import question
from poprelay.mta.opensmtpd.rules import Rules

TABLE: Final = "poprelay"
"""What our table is called, and the action, where there is none yet that takes mail out."""


def edited(config: Path, rules: Rules, part: Part, table: str) -> Edit:
    """The file in which our lines belong, with them: before the rule that decides for strangers, or behind all."""
    if not table and TABLE in rules.tables:
        raise MtaError(
            f"{config}: there is another table {TABLE}: {rules.tables[TABLE].place}", remedy="give it another name"
        )
    wall = rules.wall()
    if wall < len(rules.rules) and rules.rules[wall].opens and rules.relays(rules.rules[wall].action):
        raise MtaError(f"{config} is an open relay: {rules.rules[wall]}", remedy="say from whom: match from auth …")
    action = rules.outgoing()
    lines = question(part, table, action or TABLE)
    if not action:
        lines = f'action "{TABLE}" relay\n{lines}'
    named = {("table", table), ("action", action)}
    needed = [one for one in rules.statements if one.words[0] == "match" or one.words[:2] in named]
    if wall < len(rules.rules):
        file, begin, _ = rules.rules[wall].at[1:]
        text = read_text(file)
        place = text.rfind("\n", 0, begin) + 1
    elif needed:
        _, file, _, place = needed[-1]
        text = read_text(file)
    else:
        file, text = config, read_text(config)
        place = len(text)
    before = text[:place]
    if before and not before.endswith("\n"):
        before += "\n"
    return Edit(file, f"{before}{lines}{text[place:]}".encode("utf-8", "surrogateescape"))


def read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise MtaError(f"{path}: {error.strerror}", remedy="run it as root") from error
