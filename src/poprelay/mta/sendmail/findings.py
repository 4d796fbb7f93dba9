"""What may be wrong with how Sendmail asks us: each trap with the line that mends it.

Its config is read, and Sendmail itself is asked what it makes of a stranger (`sendmail -bt`).
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from poprelay.mta import Finding, Level, Part
from poprelay.mta.files import faults_of_map, faults_of_socket
from poprelay.mta.sendmail.instance import DECIDES, STRANGER, Instance, makemap
from poprelay.mta.sendmail.rulesets import AUTH, DEFER, Cf, asked, rules_that_ask

_FEATURE: Final = re.compile(r"^[^\n]*?\bFEATURE\(\s*`?(\w+)'?", re.MULTILINE)
_RISKS: Final[dict[str, tuple[Level, str]]] = {
    "promiscuous_relay": ("danger", "anybody may relay to anywhere"),
    "relay_local_from": ("danger", "whoever writes one of your addresses as the sender may relay"),
    "relay_mail_from": ("danger", "whoever writes an address of the access database as the sender may relay"),
    "loose_relay_check": ("danger", "user%elsewhere@yours is relayed to elsewhere, for anybody"),
    "relay_based_on_MX": ("note", "whoever names you as the MX of his domain has you relay for it"),
    "relay_entire_domain": ("note", "every host whose name is in your domain may relay, without a login"),
    "accept_unqualified_senders": ("note", "senders without a domain are taken from everybody"),
}
_ADDRESS: Final = re.compile(r"^([0-9]+(?:\.[0-9]+){3}|IPv6:[0-9a-fA-F:]+)", re.MULTILINE)


def examine(instance: Instance, parts: Sequence[Part]) -> Iterator[Finding]:
    """Everything that is wrong."""
    cf = instance.cf
    decision = instance.decides()
    if "$# error" not in decision and "$#error" not in decision:
        yield _finding(
            "danger",
            f"a stranger may relay: for {STRANGER}, {DECIDES} says {decision!r}",
            "an open relay",
            f"see what permits it, and take it out: echo '{DECIDES} a@[198.51.100.1]' | {instance.program} -bt, "
            f"after a line .D{{client_addr}}{STRANGER}",
        )
    yield from _features(instance)
    ours = [part for part in parts if part.kind == "sendmail" or part.spec.get("for") == "sendmail"]
    told = [part for part in ours if _reads(instance, cf, part)]
    for part in told:
        yield from _questions(instance, cf, part)
    for part in ours:
        if part not in told and part.spec.get("format", "access") == "access" and part.kind == "sendmail":
            yield _finding(
                "fault",
                f"{instance.config} has no access database",
                f"what is in {part.place} is never read",
                f"FEATURE(`access_db') in {instance.source}, and make {instance.config} anew",
            )
            told = [*told, part]
    if ours and not told:
        yield _finding(
            "fault",
            "Sendmail does not ask us",
            "nobody can relay by what poprelay grants",
            "poprelay setup sendmail (the lines are in the source: docs/mta/sendmail.md)",
        )
    if any(part.kind == "sendmail" for part in ours) and not makemap():
        why = "the database that Sendmail reads cannot be made"
        yield _finding("fault", "there is no makemap here", why, "install Sendmail's makemap (sendmail-bin, sendmail)")
    yield from _files(instance, cf)
    yield from _listening(instance, cf)


def _features(instance: Instance) -> Iterator[Finding]:
    """What sendmail.mc switches on that lets others relay too."""
    try:
        text = instance.source.read_text("utf-8", "surrogateescape")
    except OSError:
        return
    code = "\n".join(line for line in text.splitlines() if not re.match(r"\s*(?:dnl\b|#)", line))
    for name in _FEATURE.findall(code):
        if name in _RISKS:
            level, why = _RISKS[name]
            mend = f"take FEATURE(`{name}') out of {instance.source}, and make {instance.config} anew"
            yield _finding(level, f"{instance.source} has FEATURE(`{name}')", why, mend)
    if instance.source.stat().st_mtime > instance.config.stat().st_mtime + 1:
        yield _finding(
            "note",
            f"{instance.config} is older than {instance.source}",
            "what was changed there is not in force",
            f"m4 {instance.source} >{instance.config}, as your system does it (make -C {instance.config.parent})",
        )


def _reads(instance: Instance, cf: Cf, part: Part) -> bool:
    """Whether Sendmail reads this part at all."""
    if part.spec.get("format", "access") == "access" and part.kind == "sendmail":
        return instance.access is not None
    return bool(asked(cf, _place(part))) or any(part.place in file.split() for file in cf.files)


def _place(part: Part) -> str:
    """As Sendmail names it."""
    if part.place.startswith("inet:"):
        host, _, port = part.place.removeprefix("inet:").rpartition(":")
        return f"inet:{port}@{host}"
    return part.place.replace("unix:", "local:", 1)


def _questions(instance: Instance, cf: Cf, part: Part) -> Iterator[Finding]:
    if part.kind == "socketmap":
        yield from _rules(instance, cf, asked(cf, _place(part)))
        if DEFER not in rules_that_ask(cf, asked(cf, _place(part))):
            yield _finding(
                "note",
                f"{instance.config} asks {part.place} in {AUTH} only",
                "while poprelay is down, who may relay is refused for good, not asked to try again",
                f"the ruleset {DEFER} (in the source: docs/mta/sendmail.md)",
            )
        yield from faults_of_socket(part, "sendmail", instance.run_as or "root")
        return
    form = part.spec.get("format", "access")
    if form == "relay-domains":
        yield from faults_of_map(part, "sendmail")
        return
    database = f"{part.place}.db" if form == "popauth" else f"{_access(instance)}.db"
    if form == "popauth":
        yield from _rules(instance, cf, asked(cf, part.place))
        yield from faults_of_map(msgspec.structs.replace(part, place=database), "sendmail")
        return
    lost = [key for key in _some_keys(Path(part.place)) if not instance.finds("access", f"connect:{key}")]
    if lost:
        yield _finding(
            "fault",
            f"{database} does not have {lost[0]}, which {part.place} has",
            "it was made by another program, and who may relay is refused",
            "systemctl reload poprelay",
        )


def _rules(instance: Instance, cf: Cf, name: str) -> Iterator[Finding]:
    """Whether what asks for the client's address is there, and permits."""
    where = rules_that_ask(cf, name)
    if AUTH not in where:
        yield _finding(
            "fault",
            f"{instance.config} has the map {name}, and {AUTH} does not ask it",
            "nobody can relay by what poprelay grants",
            f"LOCAL_RULESETS, S{AUTH}, R$* $: $({name} $&{{client_addr}} $: NO $) in {instance.source}",
        )
        return
    rules = cf.rulesets[AUTH]
    if not any(f"$({name} $&{{client_addr}} " in rule for rule in rules):
        yield _finding(
            "danger",
            f"{AUTH} asks {name} for something else than the client's address",
            "the client may choose it",
            f"R$* $: $({name} $&{{client_addr}} $: NO $)",
        )
    if not any(re.search(r"\$#\s*RELAY", rule) for rule in rules):
        yield _finding(
            "fault",
            f"{AUTH} does not end with $# RELAY",
            "another value than that permits nothing there",
            "R$* <POPRELAY> $# RELAY, where the map is defined with -a<POPRELAY>",
        )


def _files(instance: Instance, cf: Cf) -> Iterator[Finding]:
    """What everybody may write, and a database that is older than its text."""
    folder = instance.config.parent
    access = _access(instance)
    files = [folder, instance.config, instance.source, access, access.with_name(f"{access.name}.db")]
    files += [Path(file.split("%")[0].split()[-1]) for file in cf.files if "/" in file]
    for path in dict.fromkeys(files):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if mode & stat.S_IWOTH:
            yield _finding(
                "danger", f"every user of this host may write {path}", "and so let anybody relay", f"chmod o-w {path}"
            )
    text, database = files[3:5]
    if instance.access is not None and text.exists():
        if not database.exists():
            why = "Sendmail answers 451 to everybody"
        elif text.stat().st_mtime > database.stat().st_mtime + 1:
            why = "what you have changed there is not in force"
        else:
            return
        what = f"{database} is {'older than ' + str(text) if database.exists() else 'missing'}"
        mend = f"makemap {instance.access[0]} {text} <{text}; then: systemctl reload poprelay"
        yield _finding("note" if database.exists() else "fault", what, why, mend)


def _access(instance: Instance) -> Path:
    return instance.access[1] if instance.access is not None else instance.config.with_name("access")


def _some_keys(file: Path) -> list[str]:
    """A few addresses that a map of ours holds, as Sendmail asks for them."""
    try:
        text = file.read_text("ascii", "replace")
    except OSError:
        return []
    return [key.lower() for key in _ADDRESS.findall(text.replace("Connect:", ""))[-3:]]


def _listening(instance: Instance, cf: Cf) -> Iterator[Finding]:
    doors = cf.options.get("DaemonPortOptions", [])
    hosts = [re.search(r"\bAddr(?:ess)?=([^,\s]+)", door, re.IGNORECASE) for door in doors]
    if doors and all(host and re.fullmatch(r"127\..*|::1|IPv6:::1|localhost", host[1]) for host in hosts):
        yield _finding(
            "note",
            f"Sendmail listens only to this host: {'; '.join(doors)}",
            "no client of another host gets as far as Sendmail",
            f"take Addr= out of DAEMON_OPTIONS in {instance.source}, and make {instance.config} anew",
        )


def _finding(level: Level, what: str, why: str, mend: str) -> Finding:
    return Finding(level, "sendmail", what, why, mend)
