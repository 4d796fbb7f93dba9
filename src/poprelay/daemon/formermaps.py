"""Maps that an earlier config named and this one does not: an MTA may still read them, and nobody closes them.

At a reload they are emptied. What was written is remembered beside the positions of sources, so that a config that was
changed while no daemon ran is noticed too: such a file is shown as a problem until it is gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from poprelay.daemon.configure import Configured

PREFIX: Final = "\0map "
"""No source is called so."""


def remembrance(part: Configured) -> tuple[str, bytes]:
    """Under which name, and how, a map is remembered while it is written."""
    path = path_of(part)
    return PREFIX + path, os.fsencode(path)


def path_of(part: Configured) -> str:
    """What a map writes: its file or directory, or its name if it has neither."""
    return str(part.spec.get("path", part.name))


def left_over(positions: Mapping[str, bytes], maps: Iterable[Configured]) -> list[Path]:
    """The files that earlier configs wrote and these maps do not, as far as they are still there."""
    written = {path_of(part) for part in maps}
    paths = [Path(os.fsdecode(value)) for name, value in positions.items() if name.startswith(PREFIX) and value]
    return sorted(path for path in paths if str(path) not in written and path.is_absolute() and path.exists())
