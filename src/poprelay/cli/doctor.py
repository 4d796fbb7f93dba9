"""`poprelay doctor`: what is wrong or dangerous, and the line that mends it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from poprelay.cli import options
from poprelay.cli.output import print_json
from poprelay.errors import MtaError
from poprelay.escape import show

_EXIT: Final = {"note": 0, "fault": 1, "danger": 4}


@click.command(name="doctor")
@click.argument("mta", required=False, default="")
@options.mta_config
@options.config
@options.as_json
def command(mta: str, mta_config: Path | None, config_path: Path, as_json: bool) -> None:
    """Find what is wrong or dangerous in our config, our sources, the daemon, and how the MTA asks us.

    Without MTA, each that is installed is looked at. Each finding says what it is, why it matters, and the line that
    mends it; nothing is changed. Run it as root, so that it sees all. Exit code by the worst: 0 none, or notes (it
    works, but may bite); 1 a fault: somebody who may relay is refused, or mail waits; 4 a danger: somebody may relay
    who must not. --json has level, about, what, why, mend.
    """
    from poprelay.daemon.doctor import examine
    from poprelay.daemon.setup.detect import mtas

    try:
        mtas(mta, mta_config)
    except MtaError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error
    findings = examine(config_path, mta, mta_config)
    for finding in findings:
        if as_json:
            print_json(msgspec.to_builtins(finding))
        else:
            print(show(f"{finding.level}: {finding.about}: {finding.what}"))
            print(f"  why: {show(finding.why)}")
            print(f"  mend: {show(finding.mend)}")
    if not findings and not as_json:
        print("nothing is wrong")
    sys.exit(max((_EXIT[finding.level] for finding in findings), default=0))
