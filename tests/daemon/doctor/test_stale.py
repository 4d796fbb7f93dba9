"""A map that the daemon could not bring in step: who may relay by it, and what mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poprelay.daemon.configure import Config, read_config
from poprelay.daemon.doctor.stale import faults
from poprelay.mta import Finding

REMEDY = "create the directory /x"


def config(place: Path, kind: str = "text", more: str = "") -> Config:
    path = place / "poprelay.toml"
    path.write_text(
        f'[relay]\nperiod = "30m"\n[[sources]]\nkind = "stdin"\nagents = ["dovecot"]\n'
        f'[[maps]]\nkind = "{kind}"\npath = "{place}/there/relay"\n{more}'
    )
    return read_config(path)


def found(config: Config, error: str = "No such file or directory", remedy: str = REMEDY) -> Finding:
    name = config.maps[0].name
    row: dict[str, Any] = {"name": name, "in_step": False, "error": f"{name}: {error}: {remedy}", "remedy": remedy}
    (one,) = faults(config, {"maps": [row]})
    return one


@pytest.mark.parametrize("kind", ["text", "texthash", "exim", "spool"])
def test_by_a_map_that_was_never_made_nobody_relays(tmp_path: Path, kind: str) -> None:
    said = found(config(tmp_path, kind))
    assert (said.level, said.mend) == ("fault", REMEDY)
    assert said.what == "the map is not made: No such file or directory"


@pytest.mark.parametrize("name", ["relay", "relay.db"])
def test_a_map_that_is_there_or_what_is_made_from_it_may_let_relay(tmp_path: Path, name: str) -> None:
    (tmp_path / "there").mkdir()
    assert found(config(tmp_path)).level == "fault"
    (tmp_path / "there" / name).touch()
    assert (found(config(tmp_path)).level, found(config(tmp_path)).mend) == ("danger", REMEDY)


def test_what_a_command_makes_may_lie_elsewhere(tmp_path: Path) -> None:
    assert found(config(tmp_path, more='command = ["/bin/true"]\n')).level == "danger"


def test_a_map_that_is_only_late_is_cleaned(tmp_path: Path) -> None:
    (one,) = faults(config(tmp_path, more='command = ["/bin/true"]\n'),
                    {"maps": [{"name": str(tmp_path / "there/relay"), "in_step": False, "error": ""}]})  # fmt: skip
    assert (one.level, one.what) == ("danger", "the map is stale")
    assert "poprelay cleanup" in one.mend
