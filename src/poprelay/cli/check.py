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
    """Read the config and say in sentences what it would do. Exit code 78 if it is refused, with every mistake."""
    from poprelay.daemon.configure import read_config

    config = read_config(config_path)
    sentences = config.sentences()
    if as_json:
        print_json({"config": str(config_path), "does": list(sentences), "warnings": list(config.warnings)})
        return
    for sentence in sentences:
        print(show(sentence))
    for warning in config.warnings:
        print(f"warning: {show(warning)}")
