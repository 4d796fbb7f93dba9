"""The site that the tests are about: Postfix with a door for every way of asking, and one poprelay behind them all."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from live.clients import OUTSIDE, Pop3, Smtp
from live.daemon import Poprelay
from live.dovecot import Dovecot
from live.network import TRUSTED4, Network
from live.postfix import Door, Postfix, asking
from live.rooted import PASSWORD

_SOCKETMAP: Final = "check_client_access socketmap:{}:relay"
_POLICY: Final = "check_policy_service {}"

LMDB: Final = ("lmdb", "lmdb in a chroot")
SOCKETMAP: Final = ("socketmap", "socketmap in a chroot", "socketmap by TCP")
POLICY: Final = ("policy", "policy in a chroot", "policy by TCP")
DOORS: Final = (*LMDB, *SOCKETMAP, *POLICY)

GRANTED: Final = dict.fromkeys(DOORS, 250)
REFUSED: Final = dict.fromkeys(DOORS, 554)


def doors(relay: Path) -> dict[str, Door]:
    """What Postfix is told to do at each door; `relay` is the lmdb map, without its suffix."""
    lmdb = f"check_client_access lmdb:{relay}"
    return {
        "lmdb": asking(lmdb),
        "lmdb in a chroot": asking(lmdb, chroot=True),
        "socketmap": asking(_SOCKETMAP.format("unix:poprelay/socketmap")),
        "socketmap in a chroot": asking(_SOCKETMAP.format("unix:poprelay/socketmap"), chroot=True),
        "socketmap by TCP": asking(_SOCKETMAP.format("inet:127.0.0.1:10027")),
        "policy": asking(_POLICY.format("unix:poprelay/policy")),
        "policy in a chroot": asking(_POLICY.format("unix:poprelay/policy"), chroot=True),
        "policy by TCP": asking(_POLICY.format("inet:127.0.0.1:10028")),
    }


def settings(postfix: Postfix, relay: Path, log: Path, *, period: str, rules: str = "") -> str:
    """poprelay's config for all doors: it follows `log`; `rules` are further lines of `[relay]`."""
    return f"""
[relay]
period = "{period}"
{rules}
[[sources]]
kind = "file"
path = "{log}"
agents = ["dovecot"]
[[maps]]
kind = "lmdb"
path = "{relay}.lmdb"
[[services]]
kind = "socketmap"
listen = "unix:{postfix.sockets}/socketmap"
mode = "0666"
[[services]]
kind = "socketmap"
listen = "inet:127.0.0.1:10027"
[[services]]
kind = "policy"
listen = "unix:{postfix.sockets}/policy"
mode = "0666"
[[services]]
kind = "policy"
listen = "inet:127.0.0.1:10028"
"""


class Site:
    """The site of one test: its network, and as soon as that has begun its poprelay and its Postfix."""

    def __init__(self, place: Path, network: Network, stack: ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._relay = place / "maps/relay"
        self._relay.parent.mkdir()
        self.network = network
        self.postfix = Postfix(place / "postfix", doors(self._relay), mynetworks=f"127.255.255.254/32 {TRUSTED4}")
        stack.callback(self.postfix.stop)

    def begin(self, log: Path, *, period: str = "1h", rules: str = "") -> Poprelay:
        """Have poprelay run and ready, following `log`, and then Postfix."""
        written = settings(self.postfix, self._relay, log, period=period, rules=rules)
        poprelay = Poprelay(self._place / "poprelay", written, path=str(self.postfix.programs))
        self._stack.callback(lambda: poprelay.running and poprelay.stop())
        poprelay.start()
        poprelay.settled()
        self.postfix.start()
        return poprelay

    def codes(self, source: str, recipient: str = OUTSIDE) -> dict[str, int]:
        """What each door answers a new session from `source` at RCPT."""
        with ExitStack() as stack:
            return self._open(source, stack).codes(recipient)

    def sessions(self, source: str) -> Sessions:
        """A session from `source` at each door, open until the test ends."""
        return self._open(source, self._stack)

    def log_in(self, dovecot: Dovecot, source: str, user: str) -> None:
        """`user` looks for mail by POP3, and is gone again."""
        with Pop3(self.network.connect(source, dovecot.ports["pop3"])) as client:
            assert client.login(user, PASSWORD)
            client.logout()

    def _open(self, source: str, stack: ExitStack) -> Sessions:
        ports = self.postfix.ports.items()
        return Sessions({door: stack.enter_context(Smtp(self.network.connect(source, port))) for door, port in ports})


class Sessions:
    """One SMTP session at each door."""

    def __init__(self, sessions: dict[str, Smtp]) -> None:
        self._sessions = sessions

    def codes(self, recipient: str = OUTSIDE) -> dict[str, int]:
        """What each door answers at RCPT now."""
        return {door: session.ask(recipient).code for door, session in self._sessions.items()}
