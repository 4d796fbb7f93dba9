"""What must fit together in a config, beyond each section by itself: refusals, and doubts that are only shown."""

from __future__ import annotations

import grp
import pwd
import stat
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poprelay.agents.line import LineAgent
from poprelay.config.listen import Listen, is_pattern, parse_listen, path_flaw
from poprelay.config.load import Document
from poprelay.config.problem import Problem, show_path
from poprelay.config.section import Section
from poprelay.daemon.kinds import BUILTIN
from poprelay.ledger.rules import Rules, RuleTerms
from poprelay.maps.access import flaw

if TYPE_CHECKING:
    from poprelay.daemon.configure import Config, Configured

Keys = tuple[str | int, ...]

LONG_PERIOD: Final = 86_400.0


def check_together(root: Section, config: Config) -> None:
    """Record what contradicts itself: the same file, place or name twice, and what a map cannot do."""
    if not config.sources and not root.spec.get("sources"):
        root.refuse("", "there is no source", "write [[sources]] and below it kind, path and agents")
    _check_files(root, config)
    _check_listens(root, config)
    for parts in (config.sources, config.maps, config.services):
        _check_names(root, parts)
    if config.settings.relay.ipv6_prefix != 128:
        for part in config.maps:
            if not part.object.expresses_networks:
                root.problems.append(
                    Problem(
                        ("maps", part.number, "kind"),
                        f"a map of kind {part.kind} cannot hold a network, and ipv6_prefix is not 128",
                        "use a service, or leave ipv6_prefix at 128",
                    )
                )


def _check_files(root: Section, config: Config) -> None:
    """No file is two things, nor lies inside another (a spool is a directory whose files are all its own)."""
    spools = {part.object.path for part in config.maps if part.kind == "spool"}
    files: list[tuple[Path, Keys]] = [(config.settings.ledger.path, ("ledger", "path"))]
    for part in (*config.sources, *config.maps):
        path = part.spec.get("path")
        if part.kind in BUILTIN[part.role] and isinstance(path, str) and not path_flaw(path):
            files.append((Path("/", path.lstrip("/")), _keys(part, "path")))
    for listen, keys in _listens(config):
        if listen.unix is not None:
            files.append((listen.unix, keys))
    for number, (path, keys) in enumerate(files):
        for other, others in files[:number]:
            if path == other and keys[-1] == others[-1] == "path":
                root.problems.append(Problem(keys, f"{show_path(others)} is the same file", "give each its own"))
            elif (other in path.parents or path in other.parents) and not _is_hidden_in(spools, path, other):
                inner, outer = (keys, others) if other in path.parents else (others, keys)
                root.problems.append(
                    Problem(inner, f"lies inside {show_path(outer)}, where nothing else may be", "put it elsewhere")
                )


def _is_hidden_in(spools: Container[Path], path: Path, other: Path) -> bool:
    """Whether one is a hidden file directly in the other, a spool: such files are no part of it."""
    inner, outer = (path, other) if other in path.parents else (other, path)
    return outer in spools and inner.parent == outer and inner.name.startswith(".")


def _check_listens(root: Section, config: Config) -> None:
    seen: dict[Listen, Keys] = {}
    for listen, keys in _listens(config):
        if seen.setdefault(listen, keys) != keys:
            root.problems.append(Problem(keys, f"{show_path(seen[listen])} listens there too", "give each its own"))


def _listens(config: Config) -> Iterator[tuple[Listen, Keys]]:
    yield config.settings.control.listen, ("control", "listen")
    for part in config.services:
        text = part.spec.get("listen")
        listen = parse_listen(text) if isinstance(text, str) else None
        if listen is not None:
            yield listen, _keys(part, "listen")
    if config.settings.metrics.listen is not None:
        yield config.settings.metrics.listen, ("metrics", "listen")


def _check_names(root: Section, parts: tuple[Configured, ...]) -> None:
    """Positions, logs and `status` go by the name, so it must be one part's own."""
    seen: dict[str, Configured] = {}
    wrong = {problem.path[:2] for problem in root.problems}
    for part in parts:
        where = _keys(part)
        if where not in wrong and seen.setdefault(part.name, part) is not part:
            first = show_path(_keys(seen[part.name]))
            keys = _keys(part, "name") if "name" in part.spec else where
            message = f"{first} is called {part.name!r} too"
            root.problems.append(Problem(keys, message, "give each a name of its own"))


def doubts(path: Path, document: Document, config: Config) -> list[str]:
    """What is allowed but probably not meant, each as a sentence with its place, in the order of the file."""
    about = (
        *_about_rules(config),
        *_about_agents(document, config),
        *_about_own_logs(config),
        *_about_patterns(config),
        *_about_tls(config),
        *_about_doors(config),
    )
    found = [*(Problem(*each) for each in about), *config.agent_doubts]
    told = [document.sentence(each) for each in sorted(found, key=lambda each: document.place(each.path))]
    try:
        mode = path.stat().st_mode
    except OSError:
        return told
    if stat.S_ISREG(mode) and mode & (stat.S_IWGRP | stat.S_IWOTH):
        told.append(f"{path}: others than its owner can write it, and so open the relay; chmod go-w it")
    return told


def _about_rules(config: Config) -> Iterator[tuple[Keys, str]]:
    relay = config.settings.relay
    if relay.period > LONG_PERIOD:
        yield ("relay", "period"), "is longer than a day; by then the address may be somebody else's"
    for number, network in enumerate(relay.allow_networks):
        for sentence in Rules(RuleTerms(allow_networks=(network,))).warnings():
            yield ("relay", "allow_networks", number), sentence


def _about_agents(document: Document, config: Config) -> Iterator[tuple[Keys, str]]:
    """Agents by an expression for whole lines, if a client could forge what they take."""
    used = {agent.name: agent for part in config.sources for agent in part.agents if isinstance(agent, LineAgent)}
    for number, table in enumerate(document.root.spec.get("agents", ())):
        agent = used.get(table.get("name"))
        if agent is not None and agent.remark():
            yield ("agents", number, "line"), agent.remark()


def _about_own_logs(config: Config) -> Iterator[tuple[Keys, str]]:
    """Servers that write a client's newlines into a log of their own, where no syslog daemon stands between."""
    for part in config.sources:
        for number, agent in enumerate(part.agents if part.kind == "file" else ()):
            if agent.raw_names and "" in agent.programs:
                why = "in its own log a client can begin a line, and forge a login: let it log by syslog"
                yield _keys(part, "agents", number), f"{agent.name}: {why} (see: poprelay agents {type(agent).name})"


def _about_patterns(config: Config) -> Iterator[tuple[Keys, str]]:
    """Logs that are named as a shell would name several."""
    for part in config.sources:
        path = part.spec.get("path")
        if part.kind == "file" and isinstance(path, str) and is_pattern(path):
            why = "a pattern is taken literally, as one file's name; name one file, and one source for each further one"
            yield _keys(part, "path"), why


def _about_tls(config: Config) -> Iterator[tuple[Keys, str]]:
    """Agents that cannot open anything, for their server's log never says what `require_tls` asks for."""
    for part in config.sources if config.settings.relay.require_tls else ():
        for number, agent in enumerate(part.agents if part.kind in BUILTIN["source"] else ()):
            if not any("tls" in pattern.groupindex for pattern in (*agent.login_patterns, *agent.connect_patterns)):
                why = "never says whether TLS was used, so with require_tls = true its logins open nothing"
                yield _keys(part, "agents", number), f"{agent.name} {why}; leave it out, or write require_tls = false"


def _about_doors(config: Config) -> Iterator[tuple[Keys, str]]:
    """Who is told, and who may ask: users and groups that this host does not know among them."""
    control = config.settings.control
    if not config.maps and not config.services:
        yield (), "there is no map and no service: nothing tells an MTA, and the ledger is only a list to look at"
    if control.mode & 0o006:
        yield ("control", "mode"), "every user of this host can see who logged in from where"
    metrics = config.settings.metrics
    if metrics.listen is not None and metrics.listen.unix is not None and metrics.mode & 0o006:
        yield ("metrics", "mode"), "every user of this host can see what poprelay counts"
    for part in config.services:
        value = part.spec.get("value") if part.kind == "socketmap" and part.spec.get("for") != "sendmail" else None
        if isinstance(value, str) and (wrong := flaw(value)):
            yield _keys(part, "value"), wrong
    groups: list[tuple[Keys, str]] = [(("control", "group"), control.group)]
    groups += [(_keys(part, "group"), str(part.spec.get("group", ""))) for part in config.services]
    for keys, name in groups:
        if name and not _known(grp.getgrnam, name):
            yield keys, f"this host has no group {name!r}"
    for number, name in enumerate(control.writers):
        if not _known(pwd.getpwnam, name):
            yield ("control", "writers", number), f"this host has no user {name!r}"


def _known(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except (KeyError, ValueError):
        return False
    return True


def _keys(part: Configured, *keys: str | int) -> Keys:
    return (f"{part.role}s", part.number, *keys)
