"""Room for the ledger in the spool of an older daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from poprelay.config.load import Document
from poprelay.daemon.configure import Config, build_config
from poprelay.daemon.heritage.heritage import make_room
from poprelay.errors import StoreError


def config(spool: object, ledger: object) -> Config:
    return build_config(
        Document(
            '[relay]\nperiod = "1h"\n[[sources]]\nkind = "file"\npath = "/var/log/mail.log"\nagents = ["dovecot"]\n'
            f'[[maps]]\nkind = "spool"\npath = "{spool}"\n[ledger]\npath = "{ledger}/.ledger.db"\n',
            "new.toml",
        )
    )


@pytest.mark.parametrize("spelled", ["spool", "spool/", "spool//", "/spool", "link"])
def test_the_spool_is_closed_to_others_however_its_path_is_spelled(spelled: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    (tmp_path / "link").symlink_to(spool)
    named = f"{tmp_path}/{spelled}"
    spool.mkdir()
    spool.chmod(0o777)
    make_room(config(named, spool))
    assert spool.stat().st_mode & 0o777 == 0o755
    (spool / ".ledger.db").touch()
    (spool / ".ledger.db").chmod(0o666)
    with pytest.raises(StoreError, match="another user may have made it"):
        make_room(config(named, spool))


def test_a_missing_spool_is_made_however_its_path_is_spelled(tmp_path: Path) -> None:
    make_room(config(f"{tmp_path}/spool/", tmp_path / "spool"))
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o755


def test_a_spool_that_does_not_hold_the_ledger_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o777)
    make_room(config(tmp_path / "spool", tmp_path))
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o777
