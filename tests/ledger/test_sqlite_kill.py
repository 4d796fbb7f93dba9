"""After `kill -9` at any moment the ledger opens, and what is in it belongs together."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from poprelay.ledger.bundles import FEW
from poprelay.ledger.history import History
from poprelay.ledger.sqlite import open_or_set_aside

KILLS = 20
WRITE = """
import sys
from pathlib import Path
from poprelay.ledger.bundles import FEW
from poprelay.ledger.record import Cell, OpenSession, Record
from poprelay.ledger.sqlite import open_or_set_aside
from poprelay.model import Address, Grant, Opened, SessionKey

store, aside = open_or_set_aside(Path(sys.argv[1]), 0.0)
assert aside is None
turn = int(store.load().positions.get("mail.log", b"0"))
print(turn, flush=True)
while True:
    turn += 1
    grants = [
        Grant(Address(f"192.0.2.{n}"), f"user{n}", "login", 1.0, 1.0 + turn, 1.0, 1.0, 1800.0, "dovecot", "", turn)
        for n in range(2 * FEW)
    ]
    store.commit([
        Record(grants=[Cell(grant) for grant in grants[:FEW]]),
        Record(
            grants=[
                Cell(grant, (OpenSession(SessionKey("a", "b", "c", "d"), grant.address, grant.user, "dovecot", turn),))
                for grant in grants[FEW:]
            ],
            history=[Opened(turn, grants[0])], positions={"mail.log": b"%d" % turn},
        ),
    ])
    store.unpack_old()
    print(turn, flush=True)
"""


def test_grants_sessions_history_and_positions_agree_however_often_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    chance = random.Random(9)
    told = 0
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", WRITE, path], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert int(writer.stdout.readline()) >= told
            time.sleep(chance.random() * 0.05)
            writer.kill()
            told = max([told, *map(int, writer.stdout.read().split())])
        store, aside = open_or_set_aside(path, 0.0)
        with closing(store):
            assert aside is None
            assert store.unchecked
            snapshot = store.load()
        turn = int(snapshot.positions.get("mail.log", b"0"))
        assert turn >= told, "what was acknowledged is there"
        assert {cell.grant.renewals for cell in snapshot.grants} == ({turn} if turn else set())
        assert [session.at for cell in snapshot.grants for session in cell.sessions] == ([turn] * FEW if turn else [])
        with History(path) as history:
            assert [past.at for past in history.find()] == list(range(turn, 0, -1)), "each was written once"
    assert told > KILLS
