"""The command `poprelay`: the table of commands, and what every one of them does with an error.

Exit codes: 0 well; 1 no, not healthy, refused; 2 usage; 3 no daemon, or cannot tell; 65 input cannot be converted;
70 a bug of ours; 77 not permitted; 78 bad config.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Final, NoReturn

import click

from poprelay.errors import PoprelayError
from poprelay.escape import show

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("poprelay.cli.run", "Run the daemon in the foreground."),
    "check": ("poprelay.cli.check", "Read the config and say what it would do."),
    "status": ("poprelay.cli.status", "Show how the daemon is."),
    "list": ("poprelay.cli.list", "Show who may relay now, until when, and why."),
    "watch": ("poprelay.cli.watch", "Show who may relay, live."),
    "allow": ("poprelay.cli.allow", "Let an address relay for a while, by hand."),
    "revoke": ("poprelay.cli.revoke", "Take the permission to relay away."),
    "denials": ("poprelay.cli.denials", "Show whose new logins are refused; lift that."),
    "history": ("poprelay.cli.history", "Show what changed, newest first."),
    "explain": ("poprelay.cli.explain", "Say whether an address may relay now, and why."),
    "match": ("poprelay.cli.match", "Show what the agents see in a log."),
    "replay": ("poprelay.cli.replay", "Run a log through a fresh ledger by the log's own clock."),
    "agents": ("poprelay.cli.agents", "Show the agents, their patterns and samples."),
    "setup": ("poprelay.cli.setup", "Let the MTA of this host ask poprelay."),
    "doctor": ("poprelay.cli.doctor", "Find what is wrong or dangerous, and what mends it."),
    "import": ("poprelay.cli.importing", "Turn a Mail::POPRelay config into one of ours."),
    "cleanup": ("poprelay.cli.cleanup", "Remove from maps and ledger what is no longer live."),
    "wipe": ("poprelay.cli.wipe", "Close every grant."),
    "root-commands": ("poprelay.cli.rootcommands", "Do what needs root, from root's own list, as asked."),
    "completion": ("poprelay.cli.completion", "Print the completion script for a shell."),
}
"""Every command: its module, which holds a click command named `command`, and one line about it."""

USAGE, BUG, INTERRUPTED = 2, 70, 130

LINGER: Final = 2.0
"""Seconds for what threads still do once all is said and done."""


class Commands(click.Group):
    """Imports a command's module only when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, COMMANDS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"there is no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="poprelay", message="poprelay %(version)s")
def poprelay() -> None:
    """A user who has just logged in to POP or IMAP may send mail through the site's SMTP server, for a while."""


def main(command: click.Command | None = None, name: str = "poprelay") -> NoReturn:
    """Be one command, as `run` says, on this process' own command line; never shows a traceback."""
    _prepare_streams()
    _leave(run(sys.argv[1:], command, name))


def _leave(code: int) -> NoReturn:
    """End this process, without a thread whose disk or file system hangs; the interpreter would wait for it."""
    working = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    deadline = time.monotonic() + LINGER
    for each in working:
        each.join(max(0.0, deadline - time.monotonic()))
    if any(each.is_alive() for each in working):
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _prepare_streams() -> None:
    """Make the standard streams fit for whatever is printed.

    One that was closed goes to /dev/null, lest a file that is opened later gets its number. A character that the
    locale's encoding does not have is escaped.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115 - for as long as we live
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(arguments: list[str], command: click.Command | None = None, name: str = "poprelay") -> int:
    """Run one command line, print an error as one line, and return the exit code. `command` is `poprelay`, or one of
    Mail::POPRelay's old commands, called `name`."""
    out = sys.stdout
    try:
        try:
            code = (command or poprelay).main(arguments, prog_name=name, standalone_mode=False)
        except SystemExit as end:
            if sys.stdout is not out:  # click noticed that nobody reads any more, and would have exit code 1
                raise BrokenPipeError from end
            code = end.code
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        message = " ".join(error.format_message().split())
        _complain(f"{message.rstrip('.')}{_named(error)}; see: {_path(error, arguments, name)} --help")
        return USAGE if isinstance(error, click.UsageError) else error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except PoprelayError as error:
        _complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        if os.environ.get("POPRELAY_DEBUG"):
            raise
        _complain(f"the system refuses: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left of the output would fail once more at exit
        return 1
    except Exception as error:
        if os.environ.get("POPRELAY_DEBUG"):
            raise
        _complain(f"a bug of ours: {error!r}; run it again with POPRELAY_DEBUG=1 and report what it prints")
        return BUG
    return code if isinstance(code, int) else 0


def _path(error: click.ClickException, arguments: Sequence[str], name: str) -> str:
    """The command whose help it is; what the parser of options refuses does not say which."""
    context = getattr(error, "ctx", None)
    if isinstance(context, click.Context):
        return context.command_path
    return f"{name} {arguments[0]}" if name == "poprelay" and arguments and arguments[0] in COMMANDS else name


def _named(error: click.ClickException) -> str:
    """How a config is named, if one word too many is there and one may be named."""
    context = getattr(error, "ctx", None)
    if not isinstance(context, click.Context) or "unexpected extra argument" not in error.format_message():
        return ""
    takes = any("--config" in parameter.opts for parameter in context.command.params)
    return "; a config is named with -c" if takes else ""


def _complain(message: str) -> None:
    for line in message.split("\n"):
        print(f"poprelay: {show(line)}", file=sys.stderr)
