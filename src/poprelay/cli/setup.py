"""`poprelay setup`: lets an MTA ask us."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Final

import click

from poprelay.cli import options
from poprelay.cli.output import print_json
from poprelay.escape import show
from poprelay.mta import KINDS

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(*_: object) -> None:
    """Interrupt it once: a second signal does not keep it from putting everything back."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


@click.command(name="setup")
@click.argument("mta", type=click.Choice(tuple(KINDS)), required=False, metavar="[MTA]")
@click.option(
    "--with",
    "kind",
    default="",
    metavar="KIND",
    help="The map or service that it asks; else the best. A wrong one shows those that it can ask.",
)
@click.option("--log", type=click.Path(path_type=Path), help="The log to follow, where there is no config yet.")
@click.option(
    "--agent",
    "agents",
    multiple=True,
    metavar="NAME",
    help="The POP/IMAP server that logs there (see: poprelay agents); may be given again.",
)
@click.option("--apply", "changes", is_flag=True, help="Change it, and prove it on the SMTP port.")
@click.option(
    "--undo", "undoes", is_flag=True, help="Put back what --apply has changed; what others have changed since stays."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=25,
    show_default=True,
    help="The SMTP port that clients use, for the proof.",
)
@click.option(
    "--from",
    "source",
    type=options.Address(),
    help="An address of this host that the MTA does not trust, for the proof; else one is found.",
)
@click.option(
    "--to", "recipient", default="", metavar="ADDRESS", help="A recipient elsewhere, for the proof; no mail is sent."
)
@options.mta_config
@options.config
@options.as_json
def command(
    mta: str | None,
    kind: str,
    mta_config: Path | None,
    log: Path | None,
    agents: tuple[str, ...],
    changes: bool,
    undoes: bool,
    port: int,
    source: str | None,
    recipient: str,
    config_path: Path,
    as_json: bool,
) -> None:
    """Let the MTA of this host ask poprelay, and write the config if there is none.

    MTA is its name, such as postfix; it is needed only where more than one is installed. Without --apply nothing is
    changed: it shows, as a diff, what would be. With --apply each file that changes is kept as FILE.before-poprelay,
    poprelay is started or reads its config again, and it is proved on the SMTP port that an address of this host is
    refused without a grant, accepted with one, and refused again when it is revoked. If anything fails, all that this
    run has changed is put back. Exit code: 0 done, or nothing to do; 1 it failed, or --undo had to leave something.
    """
    from poprelay.daemon.setup.probe import OUTSIDE
    from poprelay.daemon.setup.proving import Probe
    from poprelay.daemon.setup.setup import Setup, undo_setup

    if changes and undoes:
        raise click.UsageError("--apply and --undo contradict each other")

    def say(sentence: str) -> None:
        print_json({"said": sentence}) if as_json else print(show(sentence))

    if undoes:
        if kind or log or agents or source or recipient or mta_config:
            raise click.UsageError("--undo knows what was done: it takes no option but --config and --json")
        sys.exit(0 if undo_setup(config_path, say, mta or "") else 1)
    setup = Setup(config_path, mta=mta or "", kind=kind, mta_config=mta_config, log=log, agents=agents)
    difference = setup.diff()
    if as_json:
        files = [str(edit.path) for edit in setup.edits()]
        print_json({"mta": setup.mta.name, "kind": setup.kind, "files": files, "diff": difference})
    else:
        for sentence in setup.sentences():
            print(show(sentence))
        print("\n".join(map(show, difference.splitlines())) or "nothing is to be changed")
    if changes:
        for number in _SIGNALS:  # then, too, everything is put back
            signal.signal(number, _interrupt)
        how = Probe(port, source or "", recipient or OUTSIDE)
        try:
            setup.apply(say, how)
        finally:
            for number in _SIGNALS:  # all is done: one that comes while we end must not make another exit code of it
                signal.signal(number, signal.SIG_IGN)
    elif difference and not as_json:
        print("nothing was changed yet: poprelay setup --apply does it")
