"""Options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

DEFAULT_CONFIG: Final = Path("/etc/poprelay/poprelay.toml")

config = click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), default=DEFAULT_CONFIG, show_default=True,
    envvar="POPRELAY_CONFIG", help="The config file.",
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
user = click.option("--user", help="Only this user.")
address = click.option("--address", help="Only this address.")
