"""Writes the man pages in `packaging/man`, one for each command, from the commands themselves.

    .venv/bin/python packaging/manpages.py [FOLDER]

A test holds them equal to what this makes, so that they cannot drift. The form is man(7)'s.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import click

from poprelay.cli import old, poprelayd
from poprelay.cli.main import COMMANDS, poprelay
from poprelay.daemon.root import rootlist
from poprelay.ledger.reasons import CLOSED, REFUSED

MAN = Path(__file__).resolve().parent / "man"

EXIT_CODES = """\
0 well; 1 no, not healthy, or refused; 2 usage; 3 no daemon, or cannot tell;{more} 65 input cannot be converted;
70 a bug of ours; 77 not permitted; 78 bad config; 130 interrupted. The description says what a command makes of
0, 1 and 3."""
DANGER = " 4 a danger;"
"""What only doctor has."""

CONFIG_VARIABLE = "POPRELAY_CONFIG"
VARIABLES = {
    CONFIG_VARIABLE: "The config file, where no --config names one.",
    "POPRELAY_DEBUG": "If it is set, an error of ours shows where in the program it happened, for a report.",
}

SETUP_FILES = (
    ("/etc/poprelay/setup.json", "What was changed, beside the config, so that --undo can put it back."),
    ("FILE.before-poprelay", "A file as it was before it was changed, beside it."),
)
ROOT_FILES = (
    ("/etc/poprelay/root.toml", "Root's own list. Only root may be able to change it, and what it runs."),
    ("/run/poprelay-root/requests", "Where the daemon asks; it belongs to the daemon's user."),
    ("/run/poprelay-root/results", "Where it is answered."),
)
ROOT_LIST = dedent((rootlist.__doc__ or "").partition("\n\n")[2].partition("\n\nA step")[0])
ROOT_KEYS = (
    ("user", "Who may ask, and whose files may be copied; poprelay, if it is not given."),
    ("name", 'What the command is called: a map says root = "NAME". Letters a-z, digits and -, at most 63.'),
    ("every", "It is run at most so often: 1s, if it is not given, to 1h."),
    ("steps", "What is done, in this order; each only if the one before has ended well. It has run, or copy and to."),
    ("run", "A program of root's by its whole path, and its arguments. No shell; nothing of a request gets into it."),
    ("stdin", "The file that the program reads as its standard input; without it, nothing."),
    ("timeout", "The program is ended after so long: 1s to 1h; 30s, if it is not given."),
    ("copy", "Files by their whole paths, put one after the other into one. Each belongs to root or to user."),
    ("to", "That one. It is replaced as a whole; its owner and mode stay."),
    ("limit", "The bytes that each of the files may have; 67108864 (64 MiB), if it is not given."),
)  # fmt: skip

OLD_CONFIG = (
    "A config of Mail::POPRelay: one option on each line, name = value. poprelay import says what becomes of each."
)


def pages() -> dict[str, str]:
    """Every page: file name and text."""
    context = click.Context(poprelay, info_name="poprelay", **poprelay.context_settings)
    found = {"poprelay.1": _page(poprelay, context, "poprelay")}
    for name in COMMANDS:
        command = poprelay.get_command(context, name)
        assert command is not None
        child = click.Context(command, info_name=name, parent=context)
        found[f"poprelay-{name}.1"] = _page(command, child, f"poprelay-{name}")
    for command in (*old.COMMANDS, poprelayd.command):
        name = command.name or ""
        found[f"{name}.1"] = _page(command, click.Context(command, info_name=name, **command.context_settings), name)
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
        if record is not None and record[1]:  # arguments stand in the synopsis
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
    if title == "poprelay-root-commands":
        yield from (".SH ROOT'S LIST", *_literal(ROOT_LIST))
        for word, sentence in ROOT_KEYS:
            yield from (".TP", f".B {_roff(word)}", _roff(sentence))
    yield ".SH ENVIRONMENT"
    given = {parameter.envvar for parameter in command.params}
    for name, sentence in VARIABLES.items():
        if name in given or name != CONFIG_VARIABLE or title == "poprelay":
            yield from (".TP", f".B {name}", _roff(sentence))
    if files := _files(command, title):
        yield ".SH FILES"
        for name, sentence in files:
            yield from (".TP", f".I {_roff(name)}", _roff(sentence))
    if title != "poprelayd":
        codes = EXIT_CODES.format(more=DANGER if title == "poprelay-doctor" else "")
        yield from (".SH EXIT STATUS", _roff(_flat(codes)))
    yield from (".SH SEE ALSO", ".BR postconf (5)" if title == "poprelay" else ".BR poprelay (1)")


def _files(command: click.Command, title: str) -> tuple[tuple[str, str], ...]:
    """The files that a command reads or writes by itself, and what each is."""
    if title.startswith("poprelay_"):
        return (("CONFIG", OLD_CONFIG),)
    if title == "poprelayd":
        return ((str(poprelayd.CONFIG), OLD_CONFIG),)
    if title == "poprelay-root-commands":
        return ROOT_FILES
    reads = title == "poprelay" or any(parameter.envvar == CONFIG_VARIABLE for parameter in command.params)
    config = (("/etc/poprelay/poprelay.toml", "The config."),) if reads else ()
    return (*config, *SETUP_FILES) if title == "poprelay-setup" else config


def _literal(text: str) -> Iterator[str]:
    yield ".nf"
    yield from (_roff(line) for line in text.splitlines())
    yield ".fi"


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
