"""Which agents there are: the built-in ones in one table, others through the entry point `poprelay.agents`."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module, resources
from importlib.metadata import EntryPoint, entry_points
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from poprelay.agents.base import Agent
from poprelay.errors import AgentError

BUILTIN: Final[dict[str, str]] = {
    "apple-mail": "poprelay.agents.apple_mail:AppleMail",
    "courier": "poprelay.agents.courier:Courier",
    "cucipop": "poprelay.agents.cucipop:Cucipop",
    "cyrus": "poprelay.agents.cyrus:Cyrus",
    "dbmail": "poprelay.agents.dbmail:DBMail",
    "dovecot": "poprelay.agents.dovecot:Dovecot",
    "exchange": "poprelay.agents.exchange:Exchange",
    "gnu-pop3d": "poprelay.agents.gnu_pop3d:GnuPop3d",
    "hmailserver": "poprelay.agents.hmailserver:HMailServer",
    "imapproxy": "poprelay.agents.imapproxy:Imapproxy",
    "nginx-mail": "poprelay.agents.nginx_mail:NginxMail",
    "perdition": "poprelay.agents.perdition:Perdition",
    "popa3d": "poprelay.agents.popa3d:Popa3d",
    "qpopper": "poprelay.agents.qpopper:Qpopper",
    "solid-pop3d": "poprelay.agents.solid_pop3d:SolidPop3d",
    "teapop": "poprelay.agents.teapop:Teapop",
    "tpop3d": "poprelay.agents.tpop3d:TPop3d",
    "uw-imap": "poprelay.agents.uw:UW",
    "vm-pop3d": "poprelay.agents.vm_pop3d:VmPop3d",
    "vpop3d": "poprelay.agents.vpop3d:VPop3d",
    "vpopmail": "poprelay.agents.vpopmail:Vpopmail",
    "xmail": "poprelay.agents.xmail:XMail",
    "zimbra": "poprelay.agents.zimbra:Zimbra",
}
"""Name in the config, and the class."""


_ADDED: Final[dict[str, type[Agent]]] = {}


def add(agent: type[Agent]) -> None:
    """Know one more agent, or another one by a known name, until this process ends: see `poprelay.run`."""
    _ADDED[agent.name] = agent


def names() -> tuple[str, ...]:
    """All names, sorted; nothing is imported."""
    return tuple(sorted({*BUILTIN, *_ADDED, *(point.name for point in _others())}))


def find(name: str) -> Agent:
    """The agent of that name, ready to use. AgentError: no such agent, two of that name, or it cannot be imported."""
    if name in _ADDED:
        return _ADDED[name]()
    others = [point for point in _others() if point.name == name]
    if len(others) + (name in BUILTIN) > 1:
        owners = sorted(_owner(point) for point in others)
        raise AgentError(
            f"agent {name!r} is there more than once: in {', '.join(['poprelay'] * (name in BUILTIN) + owners)}",
            remedy="uninstall one of them",
            agent=name,
        )
    if name in BUILTIN:
        point = EntryPoint(name, BUILTIN[name], "poprelay.agents")
    elif others:
        point = others[0]
    else:
        raise AgentError(f"there is no agent {name!r}", remedy=_nearest(name), agent=name)
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise AgentError(
            f"agent {name!r} ({point.value}) cannot be imported: {error}",
            remedy=f"install what {_owner(point)} needs, its extras included",
            agent=name,
        ) from error
    if isinstance(found, type) and issubclass(found, Agent):
        return found()
    raise AgentError(f"agent {name!r} ({point.value}) is not a class made from poprelay.Agent", agent=name)


def samples(agent: Agent) -> str | None:
    """The text of the samples beside the agent's module (`samples/NAME.log`, see `poprelay.agents.proof`), or None."""
    module = import_module(type(agent).__module__)
    if module.__package__:
        beside: Traversable = resources.files(module.__package__)
    elif module.__file__ is not None:  # an agent in a file of its own
        beside = Path(module.__file__).parent
    else:
        return None
    file = beside.joinpath("samples", f"{agent.name}.log")
    return file.read_bytes().decode("utf-8", "surrogateescape") if file.is_file() else None


@cache
def _others() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group="poprelay.agents"))


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _nearest(name: str) -> str:
    near = get_close_matches(name, names(), 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names())}"
