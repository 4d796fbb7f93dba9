"""Mail::POPRelay's commands: `poprelay_ipop3d`, `poprelay_qpopper`, `poprelay_vpopd` and `poprelay_cleanup`.

The daemons stay in the foreground, as a service manager wants it; `poprelayd start` runs one in the background.
"""

from __future__ import annotations

from pathlib import Path

import click

_CONFIG = click.argument("config", type=click.Path(path_type=Path))
_SETTINGS = {"help_option_names": ["-h", "--help"]}


def daemon(agent: str, server: str) -> click.Command:
    """The command of one of the old agents."""
    name = f"poprelay_{agent}"

    @click.command(
        name=name,
        context_settings=_SETTINGS,
        help=f"Let logins at {server} open the relay, as the Mail::POPRelay file CONFIG says. Runs in the foreground. "
        "SIGHUP reads CONFIG again, cleans the spool and writes the relay file anew; SIGTERM wipes spool and relay "
        "file, and ends.",
    )
    @_CONFIG
    @click.version_option(package_name="poprelay", prog_name=name, message="%(prog)s %(version)s")
    def command(config: Path) -> None:
        from poprelay.daemon.heritage.framework import Daemon

        Daemon(config, agent=agent).run()

    return command


ipop3d = daemon("ipop3d", "UW ipop3d and imapd")
qpopper = daemon("qpopper", "Qpopper")
vpopd = daemon("vpopd", "vpop3d")


@click.command(name="poprelay_cleanup", context_settings=_SETTINGS)
@_CONFIG
@click.version_option(package_name="poprelay", prog_name="poprelay_cleanup", message="%(prog)s %(version)s")
def cleanup(config: Path) -> None:
    """Remove from the spool and the relay file of the Mail::POPRelay file CONFIG what has expired. For cron: it adds
    nothing, and says nothing. With a daemon running, the daemon is asked to do it."""
    from poprelay.daemon.heritage.framework import POPRelay

    POPRelay(config).clean_up()


COMMANDS = (ipop3d, qpopper, vpopd, cleanup)


def _main(command: click.Command) -> None:
    from poprelay.cli.main import main

    main(command, command.name or "")


def main_ipop3d() -> None:
    _main(ipop3d)


def main_qpopper() -> None:
    _main(qpopper)


def main_vpopd() -> None:
    _main(vpopd)


def main_cleanup() -> None:
    _main(cleanup)
