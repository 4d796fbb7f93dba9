"""The MTAs that ask over a socket, each in its own ways.

Each is set up as its service's page says. The service is poprelay's, or the test's own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from live.clients import OUTSIDE, Smtp
from live.exim import Exim
from live.network import Network
from live.postfix import Postfix, asking
from live.sendmail import Sendmail

POPAUTH: Final = """\
LOCAL_CONFIG
Kpopauth socket -T<TMPF> -a<POPAUTH> local:{socket}
LOCAL_RULESETS
SLocal_Relay_Auth
R$*\t$: $(popauth $&{{client_addr}} $: NO $)
R$* <POPAUTH>\t$# RELAY
SLocal_check_rcpt
R$*\t$: $1 $| <$(popauth $&{{client_addr}} $: NO $)>
R$* $| <$* <TMPF>>\t$: $1 $| $>"Rcpt_ok" $1
R$* $| <$*>\t$@ OK
R$* $| RELAY\t$@ OK
R$* $| $# $*\t$@ OK
R$* $| $*\t$: $1 $| $>"Relay_ok" $1
R$* $| RELAY\t$@ OK
R$* $| $# $*\t$@ OK
R$*\t$# error $@ 4.3.0 $: "451 Cannot tell whether you may relay, please try again"
"""

PORT: Final = 10028


class Way(NamedTuple):
    """How one MTA asks: the service's section in the config, with what starts the MTA and tells its port.

    `refuses` is the code by which it refuses, `defers` that by which it hands on 'cannot tell', `at_once` whether it
    says 451 at once where nobody listens.
    """

    section: str
    start: Callable[[Path, ExitStack], int]
    refuses: int
    at_once: bool = True
    defers: int = 451

    def configured(self, place: Path) -> str:
        """The `[[services]]` section."""
        return f"[[services]]\n{self.section.format(socket=place / 'asked')}"


class Site(NamedTuple):
    """A running MTA that asks."""

    way: Way
    network: Network
    port: int

    def session(self, source: str) -> Smtp:
        """A new session; one that asks where nobody answers may last."""
        return Smtp(self.network.connect(source, self.port, timeout=40.0))

    def code(self, source: str, recipient: str = OUTSIDE) -> int:
        """What a new session is answered at RCPT."""
        with self.session(source) as client:
            return client.ask(recipient).code


def _exim(place: Path, stack: ExitStack) -> int:
    asked = f"${{readsocket{{{place / 'asked'}}}{{$sender_host_address\\n}}{{2s}}{{}}{{unavailable}}}}"
    exim = Exim(
        place / "exim",
        {"readsocket": "condition = ${if eq{$acl_m_poprelay}{yes}}"},
        before=f"  warn set acl_m_poprelay = {asked}",
        after="  defer condition = ${if !eq{$acl_m_poprelay}{no}}",
    )
    exim.start()
    stack.callback(exim.stop)
    return exim.ports["readsocket"]


def _sendmail(place: Path, stack: ExitStack) -> int:
    sendmail = Sendmail(place / "sendmail", local=POPAUTH.format(socket=place / "asked"))
    sendmail.relay_domains.write_text("backup.test\n")
    sendmail.start()
    stack.callback(sendmail.stop)
    return sendmail.port


def _postfix(place: Path, stack: ExitStack, *, question: str) -> int:
    postfix = Postfix(place / "postfix", {"door": asking(question.format(socket=place / "asked"))})
    postfix.start()
    stack.callback(postfix.stop)
    return postfix.ports["door"]


WAYS: Final[dict[str, Way]] = {
    "exim readsocket": Way('kind = "readsocket"\nlisten = "unix:{socket}"\nmode = "0666"\n', _exim, 550),
    "sendmail socketmap": Way(
        'kind = "socketmap"\nfor = "sendmail"\nlisten = "unix:{socket}"\nmode = "0666"\n', _sendmail, 550
    ),
    "postfix socketmap": Way(
        'kind = "socketmap"\nlisten = "unix:{socket}"\nmode = "0666"\n',
        partial(_postfix, question="check_client_access socketmap:unix:{socket}:relay"),
        554,
    ),
    "postfix policy": Way(
        'kind = "policy"\nlisten = "unix:{socket}"\nmode = "0666"\n',
        partial(_postfix, question="check_policy_service unix:{socket}"),
        554,
        at_once=False,
        defers=450,
    ),
    "postfix tcp_table": Way(
        f'kind = "tcp_table"\nlisten = "inet:127.0.0.1:{PORT}"\n',
        partial(_postfix, question=f"check_client_access tcp:127.0.0.1:{PORT}"),
        554,
        at_once=False,
    ),
}
