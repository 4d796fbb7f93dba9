"""What the tests of the config share: sections made from TOML, and their problems as they are shown."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable

import pytest

from poprelay.config.load import Document
from poprelay.config.section import Section

Load = Callable[[str], tuple[Section, Callable[[], list[str]]]]


@pytest.fixture
def load() -> Load:
    """Makes the root section of a TOML text, and what tells its problems so far."""

    def make(text: str) -> tuple[Section, Callable[[], list[str]]]:
        document = Document(text, "x.toml")
        return document.root, lambda: [document.sentence(problem) for problem in document.root.problems]

    return make


@pytest.fixture
def _accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has the group postfix and the user ann, and no others."""

    def knows(*known: str) -> Callable[[str], object]:
        def look_up(name: str) -> object:
            if name not in known:
                raise KeyError(name)
            return object()

        return look_up

    monkeypatch.setattr(grp, "getgrnam", knows("postfix"))
    monkeypatch.setattr(pwd, "getpwnam", knows("ann"))
