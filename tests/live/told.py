"""The MTAs that are told by a file, each with a poprelay that keeps the file and runs the command, if there is one.

Where a way says 'by root', the daemon only asks, and root's part copies the file and runs the command.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from live.clients import OUTSIDE, Smtp
from live.courier_esmtp import CourierEsmtp
from live.exim import Exim
from live.feeding import Fed, root_part
from live.network import TRUSTED4, Network
from live.opensmtpd import Opensmtpd
from live.packages import staged
from live.postfix import Postfix, asking
from live.sendmail import Sendmail
from live.tcpserver import Tcpserver
from poprelay.maps.sqlite import SqliteMap
from poprelay.mta.opensmtpd import asking as opensmtpd_asking
from poprelay.mta.postfix import asking as postfix_asking
from poprelay.mta.sendmail import access_commands

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
    """An MTA that runs, its poprelay, the code by which it refuses, and the file by which it is told.

    It may have more ports, each told by a file of its own. `lag`: seconds for which it may go on with what it had when
    the command has ended, where that only sends it a signal.
    """

    network: Network
    fed: Fed
    port: int
    refuses: int
    file: Path
    more: tuple[int, ...] = ()
    lag: float = 0.0

    def session(self, source: str, port: int = 0) -> Smtp:
        """A new session; nobody is there for a moment while Sendmail starts anew."""
        until_then = time.monotonic() + 2.0
        while True:
            with ExitStack() as undo, suppress(ConnectionError):
                connection = undo.enter_context(self.network.connect(source, port or self.port, timeout=40.0))
                session = Smtp(connection)
                undo.pop_all()
                return session
            assert time.monotonic() < until_then, "the MTA is gone"
            time.sleep(0.01)

    def code(self, source: str, recipient: str = OUTSIDE) -> int:
        """What a new session is answered at RCPT; 0 where not all ports say the same."""
        first, *others = (self.code_at(port, source, recipient) for port in (self.port, *self.more))
        return first if all(other == first for other in others) else 0

    def code_at(self, port: int, source: str, recipient: str = OUTSIDE) -> int:
        """What a new session at this port is answered."""
        with self.session(source, port) as client:
            return client.ask(recipient).code


def _sendmail(
    place: Path, network: Network, stack: ExitStack, *, kind: str, by_root: bool = False, more: str = ""
) -> Told:
    own = place / "own"
    own.mkdir()
    file = own / "relay"
    sendmail = Sendmail(place / "sendmail", local=POPAUTH.format(database=file) if kind == "popauth" else "")
    theirs = {"access": sendmail.access, "popauth": file, "relay-domains": sendmail.relay_domains}[kind]
    theirs.write_text("" if kind == "popauth" else "# a person's\n9.9.9.254 REJECT\n" if kind == "access" else "")
    if kind == "relay-domains":
        hang_up = place / "hang-up"  # Sendmail is started last, so its process is not known yet
        hang_up.write_text(f"#!/bin/sh\nexec kill -HUP $(cat {place}/sendmail.pid)\n")
        hang_up.chmod(0o755)
        how = f'command = ["{hang_up}"]'
    else:
        how = f'makemap = "{sendmail.makemap}"'
    if by_root:
        asked = root_part(place, access_commands(str(sendmail.makemap), "hash", file, theirs, place / "all"), stack)
        how = f'root = "sendmail"\nroot_directory = "{asked}"'
    path = file if by_root else theirs
    section = f'[[maps]]\nkind = "sendmail"\nformat = "{kind}"\npath = "{path}"\n{how}\n{more}\n'
    fed = Fed(place, section, stack, period=PERIOD)
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


def _postfix(place: Path, network: Network, stack: ExitStack) -> Told:
    """Every map that Postfix looks at by itself."""
    own = place / "own"
    own.mkdir()
    (own / "relay.cf").write_text(postfix_asking.SQLITE_TEXT.format(path=own / "relay.sqlite"))
    lookups = {name: asking(f"check_client_access {name}:{own}/relay") for name in ("lmdb", "hash", "cdb")}
    lookups["sqlite"] = asking(f"check_client_access sqlite:{own}/relay.cf")
    lookups["in a chroot"] = asking(f"check_client_access proxy:sqlite:{own}/relay.cf", chroot=True)
    postfix = Postfix(place / "postfix", lookups, settings=f"proxy_read_maps = proxy:sqlite:{own}/relay.cf\n")
    made = f'postmap = "{postfix.programs}/postmap"\ninterval = "0s"'
    lines = {
        "lmdb": ("lmdb", ""),
        "hash": ("db", made),
        "cdb": ("cdb", made),
        "sqlite": ("sqlite", ""),
    }
    maps = (f'[[maps]]\nkind = "{kind}"\npath = "{own}/relay.{end}"\n{more}\n' for kind, (end, more) in lines.items())
    fed = Fed(place, "".join(maps), stack, period=PERIOD)
    fed.start()
    postfix.start()
    stack.callback(postfix.stop)
    first, *others = postfix.ports.values()
    return Told(network, fed, first, 554, own / "relay.lmdb", tuple(others))


def _reloaded(place: Path, network: Network, stack: ExitStack, *, kind: str) -> Told:
    """Postfix with a text file that it reads when it is reloaded."""
    own = place / "own"
    own.mkdir()
    postfix = Postfix(place / "postfix", {kind: asking(f"check_client_access {kind}:{own}/relay")})
    reload = f'command = ["{postfix.programs}/postfix", "reload"]\ninterval = "1s"\n'
    fed = Fed(place, f'[[maps]]\nkind = "{kind}"\npath = "{own}/relay"\n{reload}', stack, period=PERIOD)
    fed.start()
    postfix.start()
    stack.callback(postfix.stop)
    return Told(network, fed, postfix.ports[kind], 554, own / "relay", lag=0.5)


def _exim(place: Path, network: Network, stack: ExitStack) -> Told:
    maps = place / "maps"
    maps.mkdir()
    sections = (
        f'[[maps]]\nkind = "spool"\npath = "{maps}/spool"\n'
        f'[[maps]]\nkind = "exim"\npath = "{maps}/iplsearch"\ninterval = "0s"\n'
        f'[[maps]]\nkind = "exim"\nformat = "hosts"\npath = "{maps}/hosts"\ninterval = "0s"\n'
        f'[[maps]]\nkind = "text"\npath = "{maps}/text"\n'
    )
    fed = Fed(place, sections, stack, period=PERIOD)
    fed.start()
    doors = {
        "spool": f"condition = ${{if exists{{{maps}/spool/$sender_host_address}}}}",
        "iplsearch": f"hosts = net-iplsearch;{maps}/iplsearch",
        "hosts": f"hosts = {maps}/hosts",
        "text": f"hosts = {maps}/text",
    }
    exim = Exim(place / "exim", doors)
    exim.start()
    stack.callback(exim.stop)
    first, *others = exim.ports.values()
    return Told(network, fed, first, 550, maps / "spool", tuple(others))


def _tcpserver(place: Path, network: Network, stack: ExitStack) -> Told:
    own = place / "own"
    own.mkdir()
    rules = own / "tcp.smtp"
    rules.write_text(f'127.:allow,RELAYCLIENT=""\n{TRUSTED4}:deny\n:allow\n')
    program = own / "tcprules"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(staged("tcpserver", "tcprules"))} "$@"\n')
    program.chmod(0o755)
    section = f'[[maps]]\nkind = "tcprules"\npath = "{rules}"\ntcprules = "{program}"\ninterval = "0s"\n'
    fed = Fed(place, section, stack, period=PERIOD)
    fed.start()
    tcpserver = Tcpserver(place / "tcpserver", own / "tcp.smtp.cdb")
    tcpserver.start()
    stack.callback(tcpserver.stop)
    return Told(network, fed, tcpserver.ports["two"], 553, rules, (tcpserver.ports["one"],))


def _opensmtpd(place: Path, network: Network, stack: ExitStack, *, by_root: bool = False, more: str = "") -> Told:
    file = place / "relay"
    asks = place / "relay.conf"
    asks.write_text(opensmtpd_asking.SQLITE_TEXT.format(path=place / "relay.sqlite"))
    opensmtpd = Opensmtpd(place / "opensmtpd", {"poprelay": f"file:{file}", "sqlite": f"sqlite:{asks}"})
    command = f'["{opensmtpd.smtpctl}", "update", "table", "poprelay"]'
    how = f"command = {command}"
    if by_root:
        commands = f'[[commands]]\nname = "opensmtpd"\nsteps = [{{ run = {command} }}]\n'
        how = f'root = "opensmtpd"\nroot_directory = "{root_part(place, commands, stack)}"'
    sections = (
        f'[[maps]]\nkind = "opensmtpd"\npath = "{file}"\n{how}\n{more}\n'
        f'[[maps]]\nkind = "sqlite"\npath = "{place}/relay.sqlite"\n'
    )
    fed = Fed(place, sections, stack, period=PERIOD)
    file.write_text("255.255.255.255\n")  # as a new map is; without it smtpd does not start
    with closing(SqliteMap(place / "relay.sqlite")) as database:  # which leaves its log there
        database.keys()
    opensmtpd.start()
    stack.callback(opensmtpd.stop)
    fed.start()
    return Told(network, fed, opensmtpd.ports["poprelay"], 550, file, (opensmtpd.ports["sqlite"],))


def _courier(place: Path, network: Network, stack: ExitStack, *, by_root: bool = False, more: str = "") -> Told:
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
        f'[[maps]]\nkind = "courier"\npath = "{path}"\nsmtpaccess = "{courier.access}"\n{how}\n{more}\n',
        stack,
        period=PERIOD,
    )
    fed.start()
    return Told(network, fed, courier.port, 513, file, lag=0.5)


WAYS: Final[dict[str, Callable[[Path, Network, ExitStack], Told]]] = {
    "sendmail access": partial(_sendmail, kind="access"),
    "sendmail popauth": partial(_sendmail, kind="popauth"),
    "sendmail relay-domains": partial(_sendmail, kind="relay-domains"),
    "sendmail access by root": partial(_sendmail, kind="access", by_root=True),
    "opensmtpd": _opensmtpd,
    "opensmtpd by root": partial(_opensmtpd, by_root=True),
    "courier": _courier,
    "courier by root": partial(_courier, by_root=True),
    "postfix": _postfix,
    "postfix cidr": partial(_reloaded, kind="cidr"),
    "postfix texthash": partial(_reloaded, kind="texthash"),
    "exim": _exim,
    "tcpserver": _tcpserver,
}

_AT_ONCE: Final = 'interval = "0s"'
EACH_KIND: Final[dict[str, Callable[[Path, Network, ExitStack], Told]]] = {
    "sendmail": partial(_sendmail, kind="access", more=_AT_ONCE),
    "opensmtpd": partial(_opensmtpd, more=_AT_ONCE),
    "courier": partial(_courier, more=_AT_ONCE),
    "postfix": _postfix,
    **{way: WAYS[way] for way in ("postfix cidr", "postfix texthash")},
    "exim": _exim,
    "tcpserver": _tcpserver,
}
"""Each kind of map once, and no time between two changes where the MTA bears that."""
