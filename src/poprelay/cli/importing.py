"""`poprelay import`: Mail::POPRelay's config becomes one of ours."""

from __future__ import annotations

from pathlib import Path

import click

AGENTS = ("ipop3d", "qpopper", "vpopd")


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--agent", type=click.Choice(AGENTS), help="Whose command ran it: that of poprelay_ipop3d, and so on.")
def command(file: Path, agent: str | None) -> None:
    """Print a Mail::POPRelay config as TOML, with a comment for each option that says what became of it.

    What is printed, run by `poprelay run`, does what the file did. Nothing in the file is evaluated. Without --agent
    the agents of all three old commands are named. Exit code 65 if it cannot be converted, with every mistake.
    """
    from poprelay.daemon.heritage.legacy import old_config, read_old
    from poprelay.errors import ConfigError, LegacyError

    try:
        document = read_old(file, agent=agent)
        old_config(document, file)
    except ConfigError as error:
        raise LegacyError(str(error)) from None
    click.echo(document.text, nl=False)
