"""Options that several commands share, spelled once."""

from __future__ import annotations

import socket
from ipaddress import IPv6Network
from pathlib import Path
from typing import Final

import click

from poprelay.spans import parse_span

DEFAULT_CONFIG: Final = Path("/etc/poprelay/poprelay.toml")


class Address(click.ParamType[str]):
    """One full IPv4 or IPv6 address; or a granted network, as `list` shows it."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        try:
            if "/" in text:
                IPv6Network(text)
            else:
                socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
        except (OSError, ValueError):
            self.fail(f"{text!r} is not one full IPv4 or IPv6 address", param, ctx)
        return text


class Span(click.ParamType[str]):
    """A length of time such as 30m."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not parse_span(str(value)):
            self.fail(f"{value!r} is not a span; write it like 30m, 24h or 7d", param, ctx)
        return str(value)


config = click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), default=DEFAULT_CONFIG, show_default=True,
    envvar="POPRELAY_CONFIG", help="The config file.",
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
user = click.option("--user", help="Only this user.")
address = click.option("--address", type=Address(), help="Only this address.")
mta_config = click.option(
    "--mta-config", type=click.Path(path_type=Path), metavar="PATH",
    help="The MTA's config, where it is not the usual one (Postfix: an instance's directory).",
)  # fmt: skip
