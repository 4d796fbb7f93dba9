"""`poprelay replay`: what a ledger would have done with a log, or, with `--into`, what the real one makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import chain
from pathlib import Path

import click

from poprelay import escape
from poprelay.address import Network, parse_network
from poprelay.cli import options, reading
from poprelay.cli.output import change_line, print_lines
from poprelay.daemon.configure import Config, default_config, read_config
from poprelay.daemon.replaying import Replay, replay_into, with_networks
from poprelay.daemon.rows import change_brief, change_row
from poprelay.ledger.ledger import Ledger
from poprelay.model import Change, Event


class Networks(click.ParamType[tuple[Network, ...]]):
    """Networks, separated by commas."""

    name = "networks"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Network, ...]:
        try:
            return tuple(parse_network(each.strip()) for each in str(value).split(",") if each.strip())
        except ValueError as error:
            self.fail(f"{error}; write it like 192.0.2.0/24,2001:db8::/32", param, ctx)


@click.command(name="replay")
@reading.files
@click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), envvar="POPRELAY_CONFIG",
    help=f"The config file; {options.DEFAULT_CONFIG} if that is there, else 30 minutes and every agent.",
)  # fmt: skip
@click.option(
    "--allow-networks", type=Networks(), metavar="N,...", default="", help="Networks that the rules let pass too."
)
@click.option("--into", is_flag=True, help="Into the real ledger, by today's clock; no daemon may be running.")
@reading.year
@reading.timezone
@options.as_json
def command(
    files: tuple[str, ...],
    config_path: Path | None,
    allow_networks: tuple[Network, ...],
    into: bool,
    year: int | None,
    zone: tzinfo | None,
    as_json: bool,
) -> None:
    """Run each FILE, in order, through a fresh ledger by the log's own clock, and print every change.

    The relay period, the rules and the agents are those of the config. With --into the logins go into the real ledger
    instead, as after its loss: those younger than a period open the relay again.
    """
    config = with_networks(_config(config_path, into=into), allow_networks)
    events = _events(files, config, year, zone)
    if into:
        ledger, changes = replay_into(config, chain.from_iterable(events))
        _print(ledger, changes, as_json=as_json)
        return
    replay = Replay(config)
    for group in events:
        _print(replay.ledger, replay.feed(group), as_json=as_json)


def _config(path: Path | None, *, into: bool) -> Config:
    if path is None and not into and not options.DEFAULT_CONFIG.exists():
        return default_config()
    return read_config(path or options.DEFAULT_CONFIG)


def _events(files: Sequence[str], config: Config, year: int | None, zone: tzinfo | None) -> Iterator[list[Event]]:
    agents = {agent.name: agent for part in config.sources for agent in part.agents}
    for name in files:
        for scanned in reading.read_log(name, list(agents.values()), year=year, zone=zone):
            yield scanned.events


def _print(ledger: Ledger, changes: Iterable[Change], *, as_json: bool) -> None:
    def line(change: Change) -> str:
        return escape.as_json(change_row(ledger, change)) if as_json else change_line(change_brief(ledger, change))

    print_lines(map(line, changes))
