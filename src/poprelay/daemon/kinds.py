"""Which class a kind of source, map or service is: the built-in tables, and what others add by entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal, TypeAlias

from poprelay import maps, services, sources
from poprelay.config.problem import nearest
from poprelay.errors import UnknownKind

Role: TypeAlias = Literal["source", "map", "service"]

BUILTIN: Final[dict[Role, dict[str, str]]] = {"source": sources.KINDS, "map": maps.KINDS, "service": services.KINDS}
"""The name of each kind in the config, and where its class is."""


def find_kind(role: Role, name: str) -> Any:
    """The class of a kind, imported. UnknownKind: no such kind, two of that name, or it cannot be used."""
    others = _others(role)
    found = [EntryPoint(name, BUILTIN[role][name], f"poprelay.{role}s")] if name in BUILTIN[role] else []
    found += [point for point in others if point.name == name]
    if not found:
        among = (*BUILTIN[role], *(point.name for point in others))
        raise UnknownKind(f"there is no {role} of kind {name!r}", remedy=nearest(name, among))
    if len(found) > 1:
        owners = ", ".join(map(_owner, found))
        raise UnknownKind(
            f"there is more than one {role} of kind {name!r}: in {owners}", remedy="uninstall all but one"
        )
    try:
        kind = found[0].load()
    except (ImportError, AttributeError) as error:
        raise UnknownKind(
            f"the {role} of kind {name!r} ({found[0].value}) cannot be imported: {error}",
            remedy=f"install what {_owner(found[0])} needs, its extras included",
        ) from error
    if not callable(getattr(kind, "from_section", None)):
        raise UnknownKind(
            f"the {role} of kind {name!r} ({found[0].value}) has no from_section, so the config cannot make one",
            remedy=f"ask whoever wrote {_owner(found[0])}",
        )
    return kind


def _owner(point: EntryPoint) -> str:
    if point.value.startswith("poprelay."):
        return "poprelay"
    return point.dist.name if point.dist is not None else point.value


@cache
def _others(role: Role) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"poprelay.{role}s"))
