"""Sendmail: a map that is asked in the ruleset Local_Relay_Auth, or its own access database.

What stands where, and why: the Sendmail page of the documentation; cf/README of Sendmail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from grp import getgrgid
from pathlib import Path
from pwd import getpwnam
from shlex import quote
from typing import ClassVar, Final

from poprelay.errors import MtaError
from poprelay.mta import STATE, Edit, Finding, Folder, Installed, Part, Plan
from poprelay.mta.restart import hang_up, hanging_up
from poprelay.mta.sendmail.findings import examine
from poprelay.mta.sendmail.instance import Instance, find, makemap
from poprelay.mta.sendmail.rulesets import AUTH, DEFER, NAME, asked, lines

_COPY: Final = Path("/run/poprelay-root/access")
"""Where root's part copies our lines, and makes the database."""


class Sendmail:
    """The Sendmail of this host."""

    name: ClassVar[str] = "sendmail"

    def find(self) -> Installed | None:
        program = find()
        if not program:
            return None
        instance = Instance.read(program)
        makeable = instance.makeable()
        ways = {
            "socketmap": makeable and "SOCKETMAP" in instance.compiled,
            "popauth": makeable and "NEWDB" in instance.compiled and bool(makemap()),
            "access": instance.access is not None and bool(makemap()),
            "relay-domains": makeable,
        }
        kinds = tuple(kind for kind, fits in ways.items() if fits)
        if not kinds:
            raise MtaError(
                "Sendmail cannot be told here: sendmail.cf cannot be made anew, and has no access database",
                remedy="install Sendmail's m4 macros (sendmail-cf) and m4",
            )
        return Installed(self.name, instance.version, instance.config, kinds)

    def plan(self, kind: str) -> Plan:
        instance = Instance.read()
        check, reload = ((instance.program, "-C", str(instance.config), "-bt"),), hang_up(instance.pid_file)
        if kind == "access":
            return _access(instance, check)
        folders: tuple[Folder, ...] = ()
        if kind == "socketmap":
            folder = STATE / "sendmail"
            place = f"local:{folder / kind}"
            section = f'[[services]]\nkind = "socketmap"\nfor = "sendmail"\nlisten = "unix:{folder / kind}"\n'
            folders = (Folder(folder, "poprelay", _group(instance), 0o2750),)
        else:
            place = str(STATE / kind)
            how = 'root = "sendmail"' if kind == "relay-domains" else f'makemap = "{makemap()}"'
            section = f'[[maps]]\nkind = "sendmail"\nformat = "{kind}"\npath = "{place}"\n{how}\n'
        return Plan(
            section=section,
            edits=_edits(instance, kind, place),
            folders=folders,
            check=check,
            reload=reload,
            root=_root(hanging_up(instance.pid_file)) if kind == "relay-domains" else "",
        )

    def examine(self, parts: Sequence[Part]) -> Iterable[Finding]:
        return examine(Instance.read(), parts)


def _edits(instance: Instance, kind: str, place: str) -> tuple[Edit, ...]:
    """sendmail.mc with our lines at its end, and the sendmail.cf that it makes; none if that asks already."""
    cf = instance.cf
    if asked(cf, place) or any(place in file.split() for file in cf.files):
        return ()
    old = instance.source.read_text("utf-8", "surrogateescape")
    if AUTH in old or (kind == "socketmap" and DEFER in old) or NAME in cf.maps:
        raise MtaError(
            f"{instance.source} has a ruleset {AUTH} or {DEFER}, or a map {NAME}, of its own",
            remedy="write what asks us into it by hand, as docs/mta/sendmail.md in the source shows; "
            "or take --with access",
        )
    if AUTH not in cf.rulesets and kind != "relay-domains":
        raise MtaError(f"{instance.config} has no ruleset {AUTH}, so it would not ask", remedy="take --with access")
    _unchanged(instance, instance.made(old))
    new = f"{old.rstrip()}\n\n{lines(kind, place)}"
    return tuple(
        Edit(path, text.encode("utf-8", "surrogateescape"))
        for path, text in ((instance.source, new), (instance.config, instance.made(new)))
    )


def _unchanged(instance: Instance, made: str) -> None:
    """See that nobody has changed sendmail.cf by hand, for that would be lost. Raises MtaError."""
    here, there = (
        {line for line in text.splitlines() if line.strip() and not line.startswith("#")}
        for text in (instance.text, made)
    )
    if here != there:
        line = next(iter(sorted(here - there) or sorted(there - here)))
        raise MtaError(
            f"{instance.config} is not what {instance.source} makes: {line!r} is only in the "
            f"{'first' if line in here else 'second'}",
            remedy="write into sendmail.mc what was changed in sendmail.cf, and make that anew; then run setup again",
        )


def _access(instance: Instance, check: tuple[tuple[str, ...], ...]) -> Plan:
    """Our lines and a person's, made into the database by root's part; what a person wrote of an address wins."""
    assert instance.access is not None, "else it is not offered"
    kind, file = instance.access
    ours, database, program = STATE / "access", f"{file}.db", makemap()
    anew = (
        f"test ! {quote(str(file))} -nt {quote(database)} || {program} -r {kind} {quote(str(file))} <{quote(str(file))}"
    )
    return Plan(
        section=f'[[maps]]\nkind = "sendmail"\nformat = "access"\npath = "{ours}"\nroot = "sendmail"\n',
        kept=(Path(database),),
        make=(("/bin/sh", "-c", anew),),
        check=check,
        root=access_commands(program, kind, ours, file, _COPY),
        remarks=(f"{database} holds our lines from now on; after you change {file}: systemctl reload poprelay",),
    )


def access_commands(program: str, kind: str, ours: Path, theirs: Path, work: Path) -> str:
    """The section of root's list that makes the access database of `theirs` from that and our lines.

    It is made as `work`, where nobody else can change anything, by makemap, the `program`.
    """
    database = f"{theirs}.db"
    steps = (
        f'{{ copy = ["{ours}"], to = "{work}" }}',
        f'{{ run = ["{program}", "{kind}", "{work}"], stdin = "{work}" }}',
        f'{{ run = ["{program}", "-o", "-r", "{kind}", "{work}"], stdin = "{theirs}" }}',
        # not renamed: Sendmail does without a database that is replaced while it opens it
        f'{{ run = ["/usr/bin/flock", "{database}", "/bin/cp", "{work}.db", "{database}"] }}',
        f'{{ run = ["/bin/sync", "{database}"] }}',
    )
    return '[[commands]]\nname = "sendmail"\nsteps = [\n' + "".join(f"    {step},\n" for step in steps) + "]\n"


def _root(command: str) -> str:
    """The section of root's list for a shell's command, which every second may run once at most: it is a SIGHUP."""
    run = f"""["/bin/sh", "-c", '{command}']"""
    return f'[[commands]]\nname = "sendmail"\nevery = "1s"\nsteps = [{{ run = {run} }}]\n'


def _group(instance: Instance) -> str:
    """The group that must get at our socket; root's if Sendmail runs as that, and needs none."""
    user = instance.run_as
    try:
        return getgrgid(getpwnam(user).pw_gid if user else 0).gr_name
    except KeyError:
        raise MtaError(f"{instance.config}: RunAsUser: this host has no user {user!r}") from None
