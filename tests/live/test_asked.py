"""The MTAs that ask over a socket in their own way, each with a real one: Exim, Sendmail, and Postfix' tcp: tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from live.clients import LOCAL, OUTSIDE, Smtp
from live.exim import Exim
from live.feeding import Fed
from live.network import ANN4, ANN6, BOB4, BOB6, Network
from live.postfix import Postfix, asking
from live.running import until
from live.sendmail import Sendmail

PERIOD: Final = 4.0

POPAUTH: Final = """\
LOCAL_CONFIG
Kpopauth socket -T<TMPF> -a<POPAUTH> local:{socket}
LOCAL_RULESETS
SLocal_Relay_Auth
R$*\t$: $(popauth $&{{client_addr}} $: NO $)
R$* <POPAUTH>\t$# RELAY
"""


class Asking(NamedTuple):
    """An MTA that asks a poprelay: its port, the code by which it refuses, and the one where nobody answers."""

    network: Network
    fed: Fed
    port: int
    refuses: int
    alone: int

    def code(self, source: str, recipient: str = OUTSIDE) -> int:
        """What a new session is answered at RCPT."""
        with Smtp(self.network.connect(source, self.port, timeout=20.0)) as client:
            return client.ask(recipient).code


def _exim(place: Path, network: Network, stack: ExitStack) -> Asking:
    socket = place / "exim-asks"
    asked = f"${{readsocket{{{socket}}}{{$sender_host_address\\n}}{{2s}}{{}}{{unavailable}}}}"
    exim = Exim(
        place / "exim",
        {"readsocket": "condition = ${if eq{$acl_m_poprelay}{yes}}"},
        before=f"  warn set acl_m_poprelay = {asked}",
        after="  defer condition = ${if eq{$acl_m_poprelay}{unavailable}}",
    )
    fed = Fed(
        place, f'[[services]]\nkind = "readsocket"\nlisten = "unix:{socket}"\nmode = "0666"\n', stack, period=PERIOD
    )
    fed.start()
    exim.start()
    stack.callback(exim.stop)
    return Asking(network, fed, exim.ports["readsocket"], 550, 451)


def _sendmail(place: Path, network: Network, stack: ExitStack) -> Asking:
    socket = place / "sendmail-asks"
    sendmail = Sendmail(place / "sendmail", local=POPAUTH.format(socket=socket))
    part = f'[[services]]\nkind = "socketmap"\nfor = "sendmail"\nlisten = "unix:{socket}"\nmode = "0666"\n'
    fed = Fed(place, part, stack, period=PERIOD)
    fed.start()
    sendmail.start()
    stack.callback(sendmail.stop)
    return Asking(network, fed, sendmail.port, 550, 550)


def _tcp_table(place: Path, network: Network, stack: ExitStack) -> Asking:
    postfix = Postfix(place / "postfix", {"tcp": asking("check_client_access tcp:127.0.0.1:10028")})
    fed = Fed(place, '[[services]]\nkind = "tcp_table"\nlisten = "inet:127.0.0.1:10028"\n', stack, period=PERIOD)
    fed.start()
    postfix.start()
    stack.callback(postfix.stop)
    return Asking(network, fed, postfix.ports["tcp"], 554, 451)


WAYS: Final[dict[str, Callable[[Path, Network, ExitStack], Asking]]] = {
    "exim readsocket": _exim,
    "sendmail socketmap": _sendmail,
    "postfix tcp_table": _tcp_table,
}


@pytest.fixture(params=WAYS)
def mta(request: pytest.FixtureRequest, place: Path, network: Network, stopping: ExitStack) -> Asking:
    return WAYS[request.param](place, network, stopping)


def test_a_login_lets_an_address_relay_for_a_period_and_a_revoke_ends_it(mta: Asking) -> None:
    for address, other in ((ANN4, BOB4), (ANN6, BOB6)):
        assert (mta.code(address), mta.code(address, LOCAL)) == (mta.refuses, 250)
        mta.fed.log_in(address)
        until(lambda address=address: mta.code(address) == 250, seconds=3.0)  # type: ignore[misc]
        assert mta.code(other) == mta.refuses
        mta.fed.revoke(address)
        assert mta.code(address) == mta.refuses
    time.sleep(1.1)  # a revocation beats the logins of its second
    mta.fed.log_in(BOB4)
    until(lambda: mta.code(BOB4) == 250, seconds=3.0)
    until(lambda: mta.code(BOB4) == mta.refuses, seconds=PERIOD + 2)


def test_while_the_daemon_is_gone_local_mail_flows_and_nobody_relays(mta: Asking) -> None:
    mta.fed.log_in(ANN4)
    until(lambda: mta.code(ANN4) == 250, seconds=3.0)
    mta.fed.poprelay.kill()
    assert mta.code(ANN4, LOCAL) == 250
    assert mta.code(ANN4) == mta.alone
    assert mta.code(BOB4) == mta.alone
