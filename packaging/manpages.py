"""Writes the man pages in `packaging/man`, one for each command, from the commands themselves.

    .venv/bin/python packaging/manpages.py [FOLDER]

A test holds them equal to what this makes, so that they cannot drift. The form is man(7)'s.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from poprelay.cli import old, poprelayd
from poprelay.cli.main import COMMANDS, poprelay
from poprelay.ledger.reasons import CLOSED, REFUSED

MAN = Path(__file__).resolve().parent / "man"

EXIT_CODES = """\
0 well; 1 no, not healthy, or refused; 2 usage; 3 no daemon, or cannot tell; 65 input cannot be converted;
70 a bug of ours; 77 not permitted; 78 bad config. The description says what a command makes of 0, 1 and 3."""

OLD_CONFIG = (
    "A config of Mail::POPRelay: one option on each line, name = value. poprelay import says what becomes of each."
)


def pages() -> dict[str, str]:
    """Every page: file name and text."""
    context = click.Context(poprelay, info_name="poprelay")
    found = {"poprelay.1": _page(poprelay, context, "poprelay")}
    for name in COMMANDS:
        command = poprelay.get_command(context, name)
        assert command is not None
        child = click.Context(command, info_name=name, parent=context)
        found[f"poprelay-{name}.1"] = _page(command, child, f"poprelay-{name}")
    for command in (*old.COMMANDS, poprelayd.command):
        name = command.name or ""
        found[f"{name}.1"] = _page(command, click.Context(command, info_name=name), name)
    return found


def _page(command: click.Command, context: click.Context, title: str) -> str:
    return "\n".join(_lines(command, context, title)) + "\n"


def _lines(command: click.Command, context: click.Context, title: str) -> Iterator[str]:
    text = _flat(command.help or "")
    brief = COMMANDS[context.info_name][1] if context.info_name in COMMANDS else re.split(r"[.:] ", text)[0]
    yield f'.TH {title.upper()} 1 "" poprelay "System administration"'
    yield from (".SH NAME", f"{title} \\- {_roff(brief[0].lower() + brief[1:].rstrip('.'))}")
    yield from (
        ".SH SYNOPSIS",
        f".B {_roff(context.command_path)}",
        _roff(" ".join(command.collect_usage_pieces(context))),
    )
    yield from (".SH DESCRIPTION", _roff(text))
    yield ".SH OPTIONS"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield from (".TP", f".B {_roff(record[0])}", _roff(_flat(record[1])))
    if isinstance(command, click.Group):
        yield ".SH COMMANDS"
        for name, (_, line) in COMMANDS.items():
            yield from (".TP", f".BR poprelay\\-{_roff(name)} (1)", _roff(line))
    if title == "poprelay-history":
        for section, reasons in (("WHY A LOGIN IS REFUSED", REFUSED), ("WHY A GRANT IS CLOSED", CLOSED)):
            yield f".SH {section}"
            for word, sentence in reasons.items():
                yield from (".TP", f".B {_roff(word)}", _roff(sentence))
    if title.startswith("poprelay_"):
        yield from (".SH FILES", ".TP", ".I CONFIG", _roff(OLD_CONFIG))
    elif title == "poprelayd":
        yield from (".SH FILES", ".TP", f".I {_roff(str(poprelayd.CONFIG))}", _roff(OLD_CONFIG))
    else:
        yield from (".SH FILES", ".TP", ".I /etc/poprelay/poprelay.toml", "The config.")
    if title != "poprelayd":
        yield from (".SH EXIT STATUS", _roff(_flat(EXIT_CODES)))
    yield from (".SH SEE ALSO", ".BR postconf (5)" if title == "poprelay" else ".BR poprelay (1)")


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\b", "")).strip()


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main(folder: Path) -> None:
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else MAN)
