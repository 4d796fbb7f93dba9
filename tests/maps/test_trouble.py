"""What the operating system refuses, said to the operator."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from poprelay.errors import MapError
from poprelay.maps.trouble import explained


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room on the file system that holds /srv/maps"),
        (errno.ENOENT, "create the directory /srv/maps"),
        (errno.EACCES, "let the user that poprelay runs as write in /srv/maps"),
    ],
)
def test_what_the_system_refuses_is_told_with_the_next_step(number: int, remedy: str) -> None:
    with pytest.raises(MapError) as caught, explained("text /srv/maps/relay", Path("/srv/maps/relay")):
        raise OSError(number, os.strerror(number))
    assert str(caught.value) == f"text /srv/maps/relay: {os.strerror(number)}: {remedy}"
    assert caught.value.retry
