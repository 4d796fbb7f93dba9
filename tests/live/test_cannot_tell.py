"""A poprelay that cannot tell: Postfix defers what it would refuse, and never lets it pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from live.clients import LOCAL, OUTSIDE, Reply, Smtp
from live.network import ANN4, Network
from live.postfix import Door, Postfix, asking
from poprelay.config.section import Listen
from poprelay.model import Address, Outcome, Unavailable
from poprelay.services.listener import Door as Where
from poprelay.services.policy import PolicyService
from poprelay.services.socketmap import SocketmapService

BEFORE_ALL = "{}, permit_auth_destination, reject_unauth_destination"
"""Not as recommended: poprelay is asked about mail for local users too."""

POLICY = "check_policy_service unix:poprelay/policy"
SOCKETMAP = "check_client_access socketmap:unix:poprelay/socketmap:relay"


@pytest.fixture
def postfix(place: Path, network: Network, stopping: ExitStack) -> Postfix:
    doors = {
        "policy": asking(POLICY),
        "socketmap": asking(SOCKETMAP),
        "policy before all": Door(BEFORE_ALL.format(POLICY)),
        "socketmap before all": Door(BEFORE_ALL.format(SOCKETMAP)),
    }
    postfix = Postfix(place / "postfix", doors)
    stopping.callback(postfix.stop)
    postfix.start()
    return postfix


@pytest.fixture
async def services(postfix: Postfix) -> AsyncIterator[None]:
    """Both services as they are, on a ledger that cannot tell."""

    def find(address: Address) -> Outcome:
        return Unavailable("starting up")

    policy = PolicyService(Where(Listen(unix=postfix.sockets / "policy", host="", port=0), mode=0o666))
    socketmap = SocketmapService(Where(Listen(unix=postfix.sockets / "socketmap", host="", port=0), mode=0o666))
    for service in (policy, socketmap):
        await service.start(find)
    yield
    for service in (policy, socketmap):
        await service.stop()


async def ask(network: Network, postfix: Postfix, door: str, recipient: str) -> Reply:
    def talk() -> Reply:
        with Smtp(network.connect(ANN4, postfix.ports[door])) as session:
            return session.ask(recipient)

    return await asyncio.to_thread(talk)


@pytest.mark.parametrize("door", ["policy", "socketmap"])
@pytest.mark.usefixtures("services")
async def test_outside_is_deferred_and_local_mail_flows(network: Network, postfix: Postfix, door: str) -> None:
    outside = await ask(network, postfix, door, OUTSIDE)
    local = await ask(network, postfix, door, LOCAL)

    assert 400 <= outside.code < 500, outside
    assert local.code == 250, local


@pytest.mark.usefixtures("services")
async def test_defer_if_reject_lets_local_mail_flow_even_where_the_policy_is_asked_first(
    network: Network, postfix: Postfix
) -> None:
    outside = await ask(network, postfix, "policy before all", OUTSIDE)
    local = await ask(network, postfix, "policy before all", LOCAL)

    assert 400 <= outside.code < 500, outside
    assert local.code == 250, local


@pytest.mark.usefixtures("services")
async def test_a_socketmap_that_is_asked_first_defers_local_mail_too(network: Network, postfix: Postfix) -> None:
    assert (await ask(network, postfix, "socketmap before all", OUTSIDE)).code == 451
    assert (await ask(network, postfix, "socketmap before all", LOCAL)).code == 451
