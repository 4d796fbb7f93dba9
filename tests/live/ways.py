"""Every way by which an MTA is told or asks, by the page of the documentation that describes it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from live import asked, told
from live.exim import Exim
from live.feeding import Fed
from live.network import Network
from live.opensmtpd import Opensmtpd
from live.postfix import Postfix, asking
from live.told import Told
from poprelay.mta.opensmtpd import asking as opensmtpd_asking
from poprelay.mta.postfix import asking as postfix_asking

Start = Callable[[Path, Network, ExitStack], Told]


def _asked(place: Path, network: Network, stack: ExitStack, *, way: str) -> Told:
    """An MTA that asks a service over a socket."""
    known = asked.WAYS[way]
    fed = Fed(place, known.configured(place), stack)
    fed.start()
    return Told(network, fed, known.start(place, stack), known.refuses, place / "asked")


def _postfix(place: Path, network: Network, stack: ExitStack, *, section: str, question: str) -> Told:
    """Postfix, asking as recommended. `{queue}`: its sockets; `{own}`: a folder for maps; `{run}`: its programs."""
    own = place / "own"
    own.mkdir()
    (own / "relay.cf").write_text(postfix_asking.SQLITE_TEXT.format(path=own / "relay.sqlite"))
    postfix = Postfix(place / "postfix", {"way": asking(question.format(own=own))})
    fed = Fed(place, section.format(queue=postfix.sockets, own=own, run=postfix.programs), stack)
    fed.start()
    postfix.start()
    stack.callback(postfix.stop)
    return Told(network, fed, postfix.ports["way"], 554, own / "relay")


def _service(kind: str, question: str) -> Start:
    section = f'[[services]]\nkind = "{kind}"\nlisten = "unix:{{queue}}/{kind}"\nmode = "0666"\n'
    return partial(_postfix, section=section, question=question)


def _map(kind: str, suffix: str, name: str = "relay", *, more: str = "") -> Start:
    section = f'[[maps]]\nkind = "{kind}"\npath = "{{own}}/relay{suffix}"\n{more}'
    return partial(_postfix, section=section, question=f"check_client_access {kind}:{{own}}/{name}")


def _exim(place: Path, network: Network, stack: ExitStack, *, section: str, question: str) -> Told:
    """Exim that reads a map of ours. `{own}`: a folder for maps."""
    own = place / "own"
    own.mkdir()
    exim = Exim(place / "exim", {"way": question.format(own=own)})
    fed = Fed(place, f"[[maps]]\n{section.format(own=own)}", stack)
    fed.start()
    exim.start()
    stack.callback(exim.stop)
    return Told(network, fed, exim.ports["way"], 550, own / "relay")


def _hosts(form: str, question: str) -> Start:
    return partial(_exim, section=f'kind = "exim"\nformat = "{form}"\npath = "{{own}}/relay"\n', question=question)


_POSTMAP: Final = 'postmap = "{run}/postmap"\n'
_RELOAD: Final = 'command = ["{run}/postfix", "reload"]\ninterval = "0s"\n'


def _opensmtpd_sqlite(place: Path, network: Network, stack: ExitStack) -> Told:
    own = place / "own"
    own.mkdir()
    file, table = own / "relay.sqlite", place / "table.conf"
    table.write_text(opensmtpd_asking.SQLITE_TEXT.format(path=file))
    opensmtpd = Opensmtpd(place / "opensmtpd", {"poprelay": f"sqlite:{table}"})
    fed = Fed(place, f'[[maps]]\nkind = "sqlite"\npath = "{file}"\n', stack)
    fed.start()
    opensmtpd.start()
    stack.callback(opensmtpd.stop)
    return Told(network, fed, opensmtpd.ports["poprelay"], 550, file)


WAYS: Final[dict[str, dict[str, Start]]] = {
    "courier": {"courier": told.WAYS["courier"]},
    "exim": {
        "spool": partial(
            _exim,
            section='kind = "spool"\npath = "{own}/relay"\n',
            question="condition = ${{if exists{{{own}/relay/$sender_host_address}}}}",
        ),
        "readsocket": partial(_asked, way="exim readsocket"),
        "iplsearch": _hosts("iplsearch", "hosts = net-iplsearch;{own}/relay"),
        "hosts": _hosts("hosts", "hosts = {own}/relay"),
    },
    "opensmtpd": {"opensmtpd": told.WAYS["opensmtpd"], "sqlite": _opensmtpd_sqlite},
    "postfix": {
        "socketmap": _service("socketmap", "check_client_access socketmap:unix:poprelay/socketmap:relay"),
        "policy": _service("policy", "check_policy_service unix:poprelay/policy"),
        "lmdb": _map("lmdb", ".lmdb"),
        "hash": _map("hash", ".db", more=_POSTMAP),
        "cdb": _map("cdb", ".cdb", more=_POSTMAP),
        "sqlite": _map("sqlite", ".sqlite", "relay.cf"),
        "cidr": _map("cidr", ".cidr", "relay.cidr", more=_RELOAD),
        "texthash": _map("texthash", ".texthash", "relay.texthash", more=_RELOAD),
        "tcp_table": partial(_asked, way="postfix tcp_table"),
    },
    "qmail": {"tcprules": told.WAYS["tcpserver"]},
    "sendmail": {
        "socketmap": partial(_asked, way="sendmail socketmap"),
        **{way: told.WAYS[f"sendmail {way}"] for way in ("popauth", "access", "relay-domains")},
    },
}
"""Page, and the ways in its table. A way is begun with an address that is refused, and all that it needs running."""
