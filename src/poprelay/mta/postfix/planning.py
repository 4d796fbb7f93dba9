"""What is to be changed so that Postfix asks us: in main.cf as `postconf -e` writes it, and beside it."""

from __future__ import annotations

import shutil
import tempfile
from grp import getgrgid
from pathlib import Path
from stat import S_ISGID
from typing import Final

from poprelay.errors import MtaError
from poprelay.mta import STATE, Edit, Folder, Part, Plan
from poprelay.mta.postfix import postconf
from poprelay.mta.postfix.asking import FILES, SQLITE, SQLITE_TEXT, asks, question
from poprelay.mta.postfix.instance import Instance
from poprelay.mta.postfix.restrictions import RECIPIENT, RELAY, STOPS, Restriction, lossless, parse, placed, written

KINDS: Final = ("socketmap", "lmdb", "policy", "hash", "cdb", "sqlite", "cidr", "texthash", "tcp_table")
_DOORS: Final = ("smtp/inet", "25/inet", "smtpd/pass")
"""Where mail comes in from anywhere; the last behind postscreen(8)."""
_ROOT: Final = '[[commands]]\nname = "postfix"\nevery = "10s"\n[[commands.steps]]\nrun = [{}]\n'


def plan(instance: Instance, kind: str) -> Plan:
    """What is to be changed so that a part of that kind is asked; without edits if it is already. Raises MtaError."""
    part = part_of(kind, instance)
    remarks: list[str] = []
    wanted = {name: new for name in (RELAY, RECIPIENT) if (new := _wanted(instance, name, part, remarks))}
    if not parse(instance.values[RELAY]) and not parse(instance.values[RECIPIENT]):
        raise MtaError(f"{instance.main}: neither {RELAY} nor {RECIPIENT} is set", remedy=f"set {RELAY}")
    _overridden(instance, part)
    reload = (*instance.program("postfix"), "reload")
    by_root = kind in ("cidr", "texthash")
    edits = [_edited(instance, wanted)] if wanted else []
    if kind == "sqlite":
        edits.insert(0, Edit(Path(SQLITE), SQLITE_TEXT.format(path=part.place).encode()))
    return Plan(
        section=_section(part),
        edits=tuple(edits),
        folders=_folders(part, instance),
        check=((*instance.program("postfix"), "check"),),
        reload=(reload,) if instance.running() else (),
        root=_ROOT.format(", ".join(f'"{word}"' for word in reload)) if by_root else "",
        remarks=(*remarks, *instance.remarks()),
    )


def part_of(kind: str, instance: Instance) -> Part:
    """What of ours Postfix is to ask."""
    if kind in ("socketmap", "policy"):
        return Part("service", kind, f"unix:{instance.queue / 'poprelay' / kind}")
    if kind == "tcp_table":
        return Part("service", kind, "inet:127.0.0.1:10028")
    return Part("map", kind, f"{STATE / 'relay'}{FILES[kind] or f'.{kind}'}")


def _section(part: Part) -> str:
    """Its section in our config."""
    if part.role == "service":
        return f'[[services]]\nkind = "{part.kind}"\nlisten = "{part.place}"\n'
    by_root = 'root = "postfix"\n' if part.kind in ("cidr", "texthash") else ""
    return f'[[maps]]\nkind = "{part.kind}"\npath = "{part.place}"\n{by_root}'


def _folders(part: Part, instance: Instance) -> tuple[Folder, ...]:
    """Where its socket lies: a new socket there gets the directory's group, Postfix's own."""
    if not part.place.startswith("unix:"):
        return ()
    folder = Path(part.place.removeprefix("unix:")).parent
    if folder.is_dir():
        status = folder.stat()
        if not status.st_mode & S_ISGID or getgrgid(status.st_gid).gr_name != instance.group:
            raise MtaError(
                f"what poprelay makes in {folder} does not get the group {instance.group}, so Postfix cannot ask there",
                remedy=f"chown poprelay:{instance.group} {folder} && chmod 2750 {folder}",
            )
    return (Folder(folder, "poprelay", instance.group, 0o2750),)


def _wanted(instance: Instance, name: str, part: Part, remarks: list[str]) -> str:
    """A list as it is to be; '' if it may stay as it is."""
    text = instance.written(name)
    if not any(one.name in STOPS for one in parse(text)):  # they may stand in what it refers to
        text = instance.values[name]
    if not lossless(text):
        raise MtaError(
            f"{instance.main}: {name} cannot be read: {text}",
            remedy=f"put {question(part, instance.queue)} before reject_unauth_destination by hand",
        )
    others = [other for kind in KINDS if kind != part.kind for other in [part_of(kind, instance)]]
    found = parse(text)
    kept = [one for one in found if not any(_asks(one, other, instance) for other in others)]
    asked = any(_asks(one, part, instance) for one in kept)
    if not kept or (asked and kept == found):
        return ""
    alone = name == RELAY or not parse(instance.values[RELAY])
    new = kept if asked else placed(kept, question(part, instance.queue), local=alone)
    if new is None:
        if not alone:
            return ""
        raise MtaError(
            f"{instance.main}: {name} does not end with reject_unauth_destination: {written(kept)}",
            remedy="add it, so that nobody relays who must not; then run setup again",
        )
    remarks += [f"{name} asks us by another way no more: {one}" for one in found if one not in kept]
    if not alone:
        remarks.append(
            f"{name} rejects strangers too, so it must ask as well, even for mail to your own domains, and "
            f"that waits while poprelay is down; {RELAY} has reject_unauth_destination, so it needs none"
        )
    return written(new)


def _overridden(instance: Instance, part: Part) -> None:
    """Refuse where master.cf has lists of its own for a door, for what main.cf says does not count there."""
    for smtpd in instance.smtpds:
        for name in (RELAY, RECIPIENT) if smtpd.name in _DOORS else ():
            restrictions = parse(smtpd.overrides.get(name, ""))
            if any(_asks(one, part, instance) for one in restrictions):
                continue
            new = placed(restrictions, question(part, instance.queue), local=name == RELAY)
            if new is not None:
                command = f"{' '.join(instance.command)} -P '{smtpd.name}/{name}={written(new)}'"
                raise MtaError(
                    f"{instance.main.with_name('master.cf')}: {smtpd.name} has a {name} of its own, before which that "
                    "of main.cf counts for nothing",
                    remedy=f"{command}; then run setup again",
                )


def _asks(one: Restriction, part: Part, instance: Instance) -> bool:
    return bool(one.argument) and asks(one.argument, part, instance.queue)


def _edited(instance: Instance, wanted: dict[str, str]) -> Edit:
    """main.cf as `postconf -e` leaves it, tried on a copy."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for name in ("main.cf", "master.cf", "dynamicmaps.cf"):
            if (instance.main.parent / name).exists():
                shutil.copy2(instance.main.parent / name, copy / name)
        postconf.ask(instance.postconf, "-c", directory, "-e", *(f"{name} = {value}" for name, value in wanted.items()))
        return Edit(instance.main, (copy / "main.cf").read_bytes())
