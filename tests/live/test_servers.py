"""What real POP and IMAP servers log is read: logins and their ends, in clear, by STARTTLS and TLS, IPv4 and IPv6."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import ClassVar, Final, TypeAlias

import pytest

from live.clients import Imap, Pop3, Reader
from live.courier import Courier
from live.cyrus import Cyrus
from live.dovecot import Dovecot
from live.network import ANN4, ANN6, Network
from live.nginx import Nginx
from live.perdition import Perdition
from live.popa3d import Popa3d
from live.rooted import PASSWORD, Served
from live.rsyslog import Rsyslog
from live.running import until
from live.solid_pop3d import SolidPop3d
from poprelay.agents import catalog, proof
from poprelay.model import Event, Login
from poprelay.scan import Scanner


class WholeDovecot(Dovecot):
    """Dovecot, as the other servers are begun here."""

    name = "dovecot"
    tls: ClassVar[dict[str, bool | None]] = {"plain": False, "starttls": True, "tls": True}
    ends = ipv6 = True

    def __init__(self, place: Path, syslog: Path) -> None:
        super().__init__(place, ("ann",), syslog=syslog)


FORGED: Final = "6.6.6.6"

Server: TypeAlias = Served | WholeDovecot

SERVERS: Final = (WholeDovecot, Courier, Cyrus, Nginx, Perdition, Popa3d, SolidPop3d)
CLIENTS: Final[dict[str, type[Reader]]] = {"pop3": Pop3, "imap": Imap}


def seen(log: Path) -> list[Event]:
    """What all agents see in a log."""
    agents = [catalog.find(name) for name in catalog.names()]
    modified = log.stat().st_mtime
    return Scanner(agents, source="log").scan(log.read_bytes(), now=modified, horizon=modified + 86_400).events


def connect(network: Network, server: Server, protocol: str, way: str, address: str) -> Reader:
    port = server.ports[protocol + "s" if way == "tls" else protocol]
    client = CLIENTS[protocol](network.connect(address, port), tls=way == "tls")
    if way == "starttls":
        client.start_tls()
    return client


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_each_login_is_read_with_its_address_and_protection_and_so_is_its_end(
    kind: type[Server], place: Path, network: Network, rsyslog: Rsyslog, stopping: ExitStack
) -> None:
    server = kind(place / kind.name, rsyslog.socket)
    stopping.callback(server.stop)
    protocols = [name for name in CLIENTS if name in server.ports]
    for protocol in protocols:
        for user in ("ann", imitation(kind.name)):
            with connect(network, server, protocol, "plain", ANN4) as client, suppress(ConnectionError):
                assert not client.login(user, "wrong")
    done: list[tuple[str, str, str, bool | None]] = []
    for address in (ANN4, ANN6) if server.ipv6 else (ANN4,):
        for protocol in protocols:
            for way, tls in server.tls.items():
                with connect(network, server, protocol, way, address) as client:
                    assert client.login("ann", PASSWORD)
                    client.logout()
                done.append(("ann", address, protocol, tls))

    for log in (rsyslog.traditional, rsyslog.iso):
        events = settled(log, len(done) * (1 + server.ends))
        logins = [event for event in events if isinstance(event, Login)]
        assert [(event.user, event.address, event.service, event.tls) for event in logins] == done
        if server.ends:
            assert _ended(events) == len(done)


def imitation(server: str) -> str:
    """A user name that is what this server writes when somebody logs in."""
    agent = catalog.find("nginx-mail" if server == "nginx" else server)
    templates = proof.templates(catalog.samples(agent) or "")
    line, address = next((each.lines[-1], each.address) for each in templates if each.address)
    return line.partition(": ")[2].replace(address, FORGED).replace(proof.CHOSEN, "bob")


def settled(log: Path, count: int) -> list[Event]:
    """What is seen in a log once there are `count` events, or after a while."""
    with suppress(AssertionError):
        until(lambda: len(seen(log)) >= count, seconds=3)
    return seen(log)


def _ended(events: list[Event]) -> int:
    """How many of the logins have an end with their session."""
    opened = {(event.session, event.service) for event in events if isinstance(event, Login)}
    return len({(event.session, event.service) for event in events if not isinstance(event, Login)} & opened - {None})
