"""Looks for what is wrong or dangerous: in our config and sources, the daemon and its grants, and the MTA's config."""

from __future__ import annotations

import errno
import os
import pwd
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

from poprelay.address import Network
from poprelay.config.load import control_socket
from poprelay.daemon.client import ask, connect
from poprelay.daemon.configure import Config, Configured, read_config
from poprelay.daemon.detect import logins_of, mtas
from poprelay.daemon.starting import USER
from poprelay.errors import NoDaemon, PoprelayError
from poprelay.mta import Finding, Mta, Part
from poprelay.mta.host import bridges, gateways
from poprelay.spans import show_span

SILENT: Final = 86_400.0
"""Seconds without a new line after which a log is likely the wrong one."""
_ENFORCING: Final = Path("/sys/fs/selinux/enforce")
_ORDER: Final = ("danger", "fault", "note")

Row = dict[str, Any]


def examine(config_path: Path, mta: str = "", mta_config: Path | None = None) -> list[Finding]:
    """Everything that is wrong, the worst first. Raises ConfigError if our config is refused."""
    config = read_config(config_path)
    status = _status(config_path)
    grants = _grants(config_path)
    found = [
        *(
            Finding("note", "config", doubt, "it is allowed, but hardly meant", "see there")
            for doubt in config.warnings
        ),
        *_daemon(status),
        *_sources(config, status),
        *_crowds(config, grants),
        *_selinux(config),
        *_mtas(config, mtas(mta, mta_config)),
    ]
    return sorted(found, key=lambda one: _ORDER.index(one.level))


def parts_of(config: Config) -> list[Part]:
    """The maps and services, as MTAs know them."""
    return [
        Part(part.role, part.kind, str(part.spec.get("path", part.spec.get("listen", ""))), dict(part.spec))
        for part in (*config.maps, *config.services)
        if part.role != "source"
    ]


def _mtas(config: Config, among: Sequence[Mta]) -> Iterator[Finding]:
    """What each MTA that is here says; that one does not ask matters only if none does."""
    parts = parts_of(config)
    asked: list[list[Finding]] = []
    for mta in among:
        try:
            if mta.find() is not None:
                asked.append(list(mta.examine(parts)))
        except PoprelayError as error:
            yield Finding("fault", mta.name, str(error), "how it asks us cannot be seen", f"poprelay doctor {mta.name}")
    silent = [found for found in asked if any(one.what.endswith("does not ask us") for one in found)]
    for found in asked:
        if len(asked) == 1 or len(silent) == len(asked) or found not in silent:
            yield from found


def _status(config_path: Path) -> Row | None:
    try:
        with connect(control_socket(config_path)) as connection:
            row: Row = next(iter(ask(connection, "status", {})))
            return row
    except NoDaemon:
        return None


def _grants(config_path: Path) -> list[Row]:
    try:
        with connect(control_socket(config_path)) as connection:
            return list(ask(connection, "list", {}))
    except NoDaemon:
        return []


def _daemon(status: Row | None) -> Iterator[Finding]:
    if status is None:
        yield Finding(
            "fault", "poprelay", "no daemon is running", "no login opens anything", "systemctl start poprelay"
        )
        return
    if status["observe"]:
        why = "it sees and records, but tells no MTA"
        yield Finding("fault", "poprelay", "the daemon only observes", why, "start it without --observe")
    for problem in status["problems"]:
        yield Finding("fault", "poprelay", problem, "poprelay status says so", "see its log: journalctl -u poprelay")
    for one in status["maps"]:
        if one["in_step"] is False and not one["error"]:
            why = "somebody may relay who must not any more, or the other way round"
            yield Finding("fault", one["name"], "the map is stale", why, "poprelay cleanup; then look at it again")


def _sources(config: Config, status: Row | None) -> Iterator[Finding]:
    rows = {row["name"]: row for row in (status or {}).get("sources", ())}
    for source in config.sources:
        about = f"source {source.name}"
        if source.kind == "file":
            yield from _log(source, about)
        else:
            row = rows.get(source.name, {"agents": {agent.name: 1 for agent in source.agents}})
            never = [agent.name for agent in source.agents if not row["agents"].get(agent.name)]
            if never:
                yield _never(about, never, f"{source.name} since the daemon began", ())


def _log(source: Configured, about: str) -> Iterator[Finding]:
    path = Path(str(source.spec["path"]))
    try:
        status = path.stat()
    except OSError as error:
        mend = 'name the log that the POP/IMAP server writes, or kind = "journal", in our config'
        yield Finding("fault", about, f"{path}: {error.strerror}", "no login is seen", mend)
        return
    denied = _denied(path)
    if denied:
        mend = f"setfacl -m u:{USER}:r {path} (and in its directory, for the next one: setfacl -d …), or the journal"
        yield Finding("fault", about, f"{USER} may not read {path}: {denied}", "no login is seen", mend)
    age = time.time() - status.st_mtime
    if age > SILENT:
        what = f"{path} was not written for {show_span(age)}"
        yield Finding("note", about, what, "it may be the wrong log", "see where the server logs: doveconf log_path")
    try:
        seen = logins_of(path)
    except PoprelayError:
        return
    never = [agent.name for agent in source.agents if not seen[agent.name]]
    if never:
        wanted = {agent.name for agent in source.agents}
        yield _never(about, never, str(path), [name for name in seen if name not in wanted])


def _never(about: str, names: Sequence[str], where: str, others: Iterable[str]) -> Finding:
    quoted = ", ".join(f'"{name}"' for name in others)
    return Finding(
        "note",
        about,
        f"no login of {', '.join(names)} is in {where}",
        "either nobody has logged in, or another server logs there, or it does not log logins",
        f"agents = [{quoted}] in our config" if quoted else "poprelay match LOG --near-misses",
    )


def _denied(path: Path) -> str:
    """Why the daemon's account cannot read that file; '' if it can, or if that cannot be tried by us."""
    try:
        account = pwd.getpwnam(USER)
    except KeyError:
        return ""
    if os.geteuid() not in (0, account.pw_uid):
        return ""
    return _as_account(account, lambda: path.open("rb").close())


def _as_account(account: pwd.struct_passwd, attempt: Callable[[], object]) -> str:
    """What the system says when that account tries; a child process becomes it."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            if os.geteuid() == 0:
                os.initgroups(account.pw_name, account.pw_gid)
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
            attempt()
        except OSError as error:
            code = error.errno or errno.EIO
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return os.strerror(code) if code else ""


def _crowds(config: Config, grants: Sequence[Row]) -> Iterator[Finding]:
    """Who stands for many: a gateway, or the bridge of containers."""
    gates, crowds = gateways(), bridges()
    why = "everybody behind it may relay"
    for address in sorted({row["address"] for row in grants}):
        network = _network(address)
        if address in gates:
            mend = f'poprelay revoke --address {address}; deny_networks = ["{address}"] in our config'
            yield Finding("danger", "ledger", f"the gateway {address} may relay", why, mend)
        elif any(_overlap(network, crowd) for crowd in crowds):
            mend = f"poprelay revoke --address {address}; let the containers' clients be seen by their own addresses"
            yield Finding("danger", "ledger", f"{address} is on a bridge of containers, and may relay", why, mend)
    for allowed in config.settings.relay.allow_networks:
        for crowd in crowds:
            if _overlap(allowed, crowd):
                what = f"relay.allow_networks has {allowed}, which holds the bridge of containers {crowd}"
                yield Finding("danger", "config", what, why, f"take {allowed} out of allow_networks")


def _network(address: str) -> Network:
    return ip_network(address) if "/" in address else ip_network(ip_address(address))


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _selinux(config: Config) -> Iterator[Finding]:
    try:
        enforcing = _ENFORCING.read_text().strip() == "1"
    except OSError:
        return
    if not enforcing:
        return
    for part in parts_of(config):
        if part.role == "map":
            directory = Path(part.place).parent
            mend = f"semanage fcontext -a -t etc_t '{directory}(/[^/]*)?' && restorecon -v {directory} {directory}/*"
            yield Finding("note", part.kind, f"SELinux may keep the MTA from {part.place}", "its lookups fail", mend)
        elif part.place.startswith("unix:"):
            mend = "listen on inet:127.0.0.1:10027, or: ausearch -m avc -c smtpd | audit2allow -M poprelay"
            yield Finding("note", part.kind, f"SELinux may keep the MTA from {part.place}", "its lookups fail", mend)
