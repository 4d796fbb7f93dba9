"""A Mail::POPRelay config, run by the same daemon: it becomes TOML, and that is read as any other.

So what `poprelay import` prints is what the old commands run. A refusal names the option and its place in the old file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from poprelay.config.legacy import Legacy, read_legacy
from poprelay.config.legacytoml import OPTION_OF, to_toml
from poprelay.config.load import Document
from poprelay.config.problem import Problem, show_path
from poprelay.daemon.configure import Config, build_config
from poprelay.daemon.crosschecks import doubts
from poprelay.errors import ConfigError
from poprelay.escape import show


class LegacyDocument(Document):
    """The TOML that an old config became; what is wrong in it is said of the old one."""

    def __init__(self, legacy: Legacy, agent: str | None, name: str) -> None:
        self.text = to_toml(legacy, agent)
        self.legacy = legacy
        super().__init__(self.text, name)

    def sentence(self, problem: Problem) -> str:
        option = next((name for keys, name in OPTION_OF if problem.path[: len(keys)] == keys), "")
        given = self.legacy.given.get(option)
        message = problem.message
        for keys, name in OPTION_OF:
            message = message.replace(f"{show_path(keys)}.path", name)
        parts = (given.where if given else self._name, given.name if given else option, message)
        return show(": ".join(part for part in parts if part) + (f"; {problem.remedy}" if problem.remedy else ""))


def read_old(
    path: Path | None, *, agent: str | None = None, options: Mapping[str, object] | None = None
) -> LegacyDocument:
    """Read an old config (None: only `options`) as `agent` would. Raises ConfigError with every mistake."""
    text = "" if path is None else _read(path)
    name = "options" if path is None else path.name
    return LegacyDocument(read_legacy(text, name, options), agent, name)


def old_config(document: LegacyDocument, path: Path | None) -> Config:
    """What it means. Raises ConfigError."""
    config = build_config(document)
    document.check()
    return msgspec.structs.replace(config, warnings=tuple(doubts(path or Path("/nonexistent"), document, config)))


def logging_to(config: Config, to: str) -> Config:
    """The config, but with its log going to `to`; as it is if that is empty."""
    if not to:
        return config
    settings = config.settings
    log = msgspec.structs.replace(settings.log, to=to)
    return msgspec.structs.replace(config, settings=msgspec.structs.replace(settings, log=log))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError([show(f"{path}: cannot be read: {error.strerror or error}; name the config file")]) from None
