"""One of the files in Courier's smtpaccess directory, from all of which makesmtpaccess makes what couriertcpd reads.

    /etc/courier/smtpaccess/poprelay      192.0.2.7<TAB>allow,RELAYCLIENT
                                          :2001:0db8:0000:0000:0000:0000:0000:0007<TAB>allow,RELAYCLIENT

An IPv6 address is written in full, with one more colon in front. makesmtpaccess lets couriertcpd read the new database
(the database alone it never looks at again); sessions that are open do not see it.

makesmtpaccess reads every file of the directory, hidden ones too (but for those that end in a tilde), and fails where
two lines have the same key: then nothing changes any more, not even what is taken away. So an address that another file
there names is left to that, and files of the same name as ours are taken for copies of ours.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poprelay.maps.lines import COURIER, Form, first_fields
from poprelay.maps.text import TextMap
from poprelay.maps.uptake import read_uptake

if TYPE_CHECKING:
    from poprelay.config.section import Section

FOLDER: Final = Path("/etc/courier/smtpaccess")
_PASSED_OVER: Final = re.compile(r"~\Z|\.dpkg-[a-z]*\Z")
"""Files that makesmtpaccess does not read."""


class CourierMap:
    """Makes the text map with smtpaccess's lines, and makesmtpaccess after each change."""

    @staticmethod
    def from_section(section: Section) -> TextMap:
        path = section.file("path")
        uptake = read_uptake(section, ("makesmtpaccess",), several=False)
        interval = section.duration("interval", 2.0, low=0.0, high=3600.0)
        folder = section.file("smtpaccess", FOLDER)
        form = Form("", "\tallow,RELAYCLIENT", COURIER)
        return TextMap(path, interval=interval, kind="courier", form=form, uptake=uptake, taken=Others(folder))


@dataclass(frozen=True, slots=True)
class Others:
    """The keys of the other files in the directory, or of the one file in its place, as far as we may read them."""

    folder: Path

    def __call__(self, file: Path, above: bytes) -> set[str]:
        found = first_fields(above)
        with suppress(OSError):
            for other in sorted(self.folder.iterdir()) if self.folder.is_dir() else [self.folder]:
                if other.name not in (file.name, f".{file.name}.owed") and not _PASSED_OVER.search(other.name):
                    with suppress(OSError):
                        found |= first_fields(other.read_bytes())
        return found
