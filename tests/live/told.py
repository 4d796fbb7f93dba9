"""The MTAs that are told by a file and a command, each with a poprelay that keeps the file and runs the command.

Where a way says 'by root', the daemon only asks, and root's part copies the file and runs the command.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from live.clients import OUTSIDE, Smtp
from live.courier_esmtp import CourierEsmtp
from live.feeding import Fed, root_part
from live.network import Network
from live.opensmtpd import Opensmtpd
from live.sendmail import Sendmail

POPAUTH: Final = """\
LOCAL_CONFIG
Kpopauth hash -o -T<TMPF> -a<POPAUTH> {database}
LOCAL_RULESETS
SLocal_Relay_Auth
R$*\t$: $(popauth $&{{client_addr}} $: NO $)
R$* <POPAUTH>\t$# RELAY
"""


PERIOD: Final = 7.0
"""Seconds; long enough for two changes of a map that lets 2 s pass between them."""


class Told(NamedTuple):
    """An MTA that runs, its poprelay, the code by which it refuses, and the file by which it is told."""

    network: Network
    fed: Fed
    port: int
    refuses: int
    file: Path

    def session(self, source: str) -> Smtp:
        """A new session; nobody is there for a moment while Sendmail starts anew."""
        until_then = time.monotonic() + 2.0
        while True:
            with ExitStack() as undo, suppress(ConnectionError):
                connection = undo.enter_context(self.network.connect(source, self.port, timeout=40.0))
                session = Smtp(connection)
                undo.pop_all()
                return session
            assert time.monotonic() < until_then, "the MTA is gone"
            time.sleep(0.01)

    def code(self, source: str, recipient: str = OUTSIDE) -> int:
        """What a new session is answered at RCPT."""
        with self.session(source) as client:
            return client.ask(recipient).code


def _sendmail(place: Path, network: Network, stack: ExitStack, *, kind: str, by_root: bool = False) -> Told:
    own = place / "own"
    own.mkdir()
    file = own / "relay"
    sendmail = Sendmail(place / "sendmail", local=POPAUTH.format(database=file) if kind == "popauth" else "")
    theirs = {"access": sendmail.access, "popauth": file, "relay-domains": sendmail.relay_domains}[kind]
    theirs.write_text("" if kind == "popauth" else "# a person's\n9.9.9.254 REJECT\n" if kind == "access" else "")
    makemap = f'"{sendmail.makemap}"'
    if kind == "relay-domains":
        hang_up = place / "hang-up"  # Sendmail is started last, so its process is not known yet
        hang_up.write_text(f"#!/bin/sh\nexec kill -HUP $(cat {place}/sendmail.pid)\n")
        hang_up.chmod(0o755)
        how, commands = f'command = ["{hang_up}"]', f'steps = [{{ run = ["{hang_up}"] }}]'
    else:
        how = f"makemap = {makemap}"
        commands = (
            f'steps = [{{ copy = ["{file}", "{theirs}"], to = "{place}/all" }}, '
            f'{{ run = [{makemap}, "-r", "hash", "{place}/all.new"], stdin = "{place}/all" }}, '
            f'{{ run = ["/usr/bin/mv", "-f", "{place}/all.new.db", "{theirs}.db"] }}]'
        )
    if by_root:
        asked = root_part(place, f'[[commands]]\nname = "sendmail"\n{commands}\n', stack)
        how = f'root = "sendmail"\nroot_directory = "{asked}"'
    path = file if by_root else theirs
    fed = Fed(place, f'[[maps]]\nkind = "sendmail"\nformat = "{kind}"\npath = "{path}"\n{how}\n', stack, period=PERIOD)
    if kind == "relay-domains":  # the first change sends a signal to nobody
        (place / "sendmail.pid").write_text("")
        sendmail.start()
        (place / "sendmail.pid").write_text(f"{sendmail.pid}\n")
        fed.start()
    else:
        fed.start()
        sendmail.start()
    stack.callback(sendmail.stop)
    return Told(network, fed, sendmail.port, 550, theirs)


def _opensmtpd(place: Path, network: Network, stack: ExitStack, *, by_root: bool = False) -> Told:
    file = place / "relay"
    opensmtpd = Opensmtpd(place / "opensmtpd", {"poprelay": f"file:{file}"})
    command = f'["{opensmtpd.smtpctl}", "update", "table", "poprelay"]'
    how = f"command = {command}"
    if by_root:
        commands = f'[[commands]]\nname = "opensmtpd"\nsteps = [{{ run = {command} }}]\n'
        how = f'root = "opensmtpd"\nroot_directory = "{root_part(place, commands, stack)}"'
    fed = Fed(place, f'[[maps]]\nkind = "opensmtpd"\npath = "{file}"\n{how}\n', stack, period=PERIOD)
    file.write_text("255.255.255.255\n")  # as a new map is; without it smtpd does not start
    opensmtpd.start()
    stack.callback(opensmtpd.stop)
    fed.start()
    return Told(network, fed, opensmtpd.ports["poprelay"], 550, file)


def _courier(place: Path, network: Network, stack: ExitStack, *, by_root: bool = False) -> Told:
    courier = CourierEsmtp(place / "courier")
    courier.start()
    stack.callback(courier.stop)
    file = courier.access / "poprelay"
    command = f'["{courier.makesmtpaccess}"]'
    how, path = f"command = {command}", file
    if by_root:
        path = place / "own" / "poprelay"
        path.parent.mkdir()
        steps = f'steps = [{{ copy = ["{path}"], to = "{file}" }}, {{ run = {command} }}]'
        asked = root_part(place, f'[[commands]]\nname = "courier"\n{steps}\n', stack)
        how = f'root = "courier"\nroot_directory = "{asked}"'
    fed = Fed(
        place,
        f'[[maps]]\nkind = "courier"\npath = "{path}"\nsmtpaccess = "{courier.access}"\n{how}\n',
        stack,
        period=PERIOD,
    )
    fed.start()
    return Told(network, fed, courier.port, 513, file)


WAYS: Final[dict[str, Callable[[Path, Network, ExitStack], Told]]] = {
    "sendmail access": partial(_sendmail, kind="access"),
    "sendmail popauth": partial(_sendmail, kind="popauth"),
    "sendmail relay-domains": partial(_sendmail, kind="relay-domains"),
    "sendmail access by root": partial(_sendmail, kind="access", by_root=True),
    "opensmtpd": _opensmtpd,
    "opensmtpd by root": partial(_opensmtpd, by_root=True),
    "courier": _courier,
    "courier by root": partial(_courier, by_root=True),
}
