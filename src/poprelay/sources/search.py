"""Finds the file that was being read, by its content, wherever a rotation has put it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from poprelay.errors import SourceError
from poprelay.sources.place import FINGERPRINT, Identity, Place
from poprelay.sources.reading import Reading
from poprelay.sources.rotation import Entry, Listing


def search(listing: Listing, place: Place, *, but: Identity | None = None) -> Reading | None:
    """The file of `place`, open and standing there; None if it is nowhere.

    The file with its inode comes first, then the rotated ones from the newest on, then others of its name. The live
    file, if it has another inode, is taken for it only on a whole fingerprint: a new log may begin with the same few
    bytes. Where nothing was read, only a plain rotated file with its inode can be it. A copy shorter than what was read
    is found too, and is at its end. Files that may not be read are passed over, but for the one with its inode. Raises
    SourceError.
    """
    shorter: Reading | None = None
    for entry in _candidates(listing, place):
        if entry.identity == but:
            continue
        at_home = entry.identity == place.identity
        if not at_home and (place.head.length == 0 or (entry is listing.live and place.head.length < FINGERPRINT)):
            continue
        if place.head.length == 0 and (entry is listing.live or entry.is_packed):
            continue
        try:
            likeness, reading = Reading.resume(entry.path, place)
        except FileNotFoundError:
            continue
        except SourceError:
            if at_home:
                raise
            continue
        if likeness == "same":
            if shorter is not None:
                shorter.close()
            return reading
        if likeness == "shorter" and shorter is None and not at_home and entry is not listing.live:
            shorter = reading
        else:
            reading.close()
    return shorter


def _candidates(listing: Listing, place: Place) -> Iterator[Entry]:
    known = [*reversed(listing.rotated), *listing.others]
    former = Path(bytes(place.path).decode(errors="surrogateescape"))
    entries = [*known, *_former(former, listing), *([listing.live] if listing.live is not None else [])]
    yield from sorted(entries, key=lambda entry: entry.identity != place.identity)


def _former(path: Path, listing: Listing) -> list[Entry]:
    """The file under the name that it had, where no listing shows it: a symbolic link may have been switched."""
    try:
        entry = Entry.of(path, path.stat())
    except OSError:
        return []
    known = {one.identity for one in (*listing.chain, *listing.others)}
    return [] if entry.identity in known else [entry]
