"""`poprelay check`: what the config says."""

from __future__ import annotations

from pathlib import Path

import click

from poprelay.cli import options
from poprelay.cli.output import print_json
from poprelay.escape import show


@click.command(name="check")
@options.config
@options.as_json
def command(config_path: Path, as_json: bool) -> None:
    """Read the config and say in sentences what it would do, and what it names that is not there now.

    Exit code 78 if it is refused, with every mistake.
    """
    from poprelay.config.load import read_document
    from poprelay.daemon.absences import absences
    from poprelay.daemon.configure import checked_config

    document = read_document(config_path)
    config = checked_config(document, config_path)
    warnings = [*config.warnings, *absences(document, config)]
    sentences = config.sentences()
    if as_json:
        print_json({"config": str(config_path), "does": list(sentences), "warnings": warnings})
        return
    for sentence in sentences:
        print(show(sentence))
    for warning in warnings:
        print(f"warning: {show(warning)}")
