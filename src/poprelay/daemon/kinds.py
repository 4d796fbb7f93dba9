"""Which class a kind of source, map or service is: the built-in tables, and what others add by entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal, TypeAlias

from poprelay import maps, services, sources
from poprelay.config.section import nearest
from poprelay.errors import UnknownKind

Role: TypeAlias = Literal["source", "map", "service"]

BUILTIN: Final[dict[Role, dict[str, str]]] = {"source": sources.KINDS, "map": maps.KINDS, "service": services.KINDS}


def find_kind(role: Role, name: str) -> Any:
    """The class of a kind, imported. Raises UnknownKind."""
    others = _others(role)
    found = [EntryPoint(name, BUILTIN[role][name], "")] if name in BUILTIN[role] else []
    found += [point for point in others if point.name == name]
    if not found:
        among = (*BUILTIN[role], *(point.name for point in others))
        raise UnknownKind(f"there is no {role} of kind {name!r}", remedy=nearest(name, among))
    if len(found) > 1:
        owners = ", ".join(point.dist.name if point.dist else "poprelay" for point in found)
        raise UnknownKind(f"there is more than one {role} of kind {name!r} ({owners})", remedy="uninstall all but one")
    try:
        return found[0].load()
    except (ImportError, AttributeError) as error:
        raise UnknownKind(
            f"the {role} of kind {name!r} cannot be imported: {error}", remedy="install what it needs"
        ) from error


@cache
def _others(role: Role) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"poprelay.{role}s"))
