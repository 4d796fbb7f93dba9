"""`poprelay run`: the daemon."""

from __future__ import annotations

from pathlib import Path

import click

from poprelay.cli import options


@click.command(name="run")
@options.config
@click.option(
    "--observe", is_flag=True, help="See and record everything, publish nothing: no map is written, no service listens."
)
def command(config_path: Path, observe: bool) -> None:
    """Run the daemon in the foreground, as Type=notify. SIGHUP reads the config again, SIGTERM ends it in order."""
    import asyncio

    from poprelay.daemon.daemon import Daemon

    asyncio.run(Daemon(config_path, observe=observe).run())
