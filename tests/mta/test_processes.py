from __future__ import annotations

import subprocess
import time

from live.running import until
from poprelay.mta.processes import running


def test_a_process_is_found_by_its_program_with_its_words_and_its_beginning() -> None:
    with subprocess.Popen(["sleep", "41.5"]) as started:
        try:
            until(lambda: any(one.pid == started.pid for one in running("sleep")))  # its words come after its exec
            (found,) = [one for one in running("sleep") if one.pid == started.pid]
        finally:
            started.kill()
    assert found.words == ("sleep", "41.5")
    assert abs(found.began - time.time()) < 30.0


def test_another_program_is_not_taken_for_it() -> None:
    assert list(running("no-such-program")) == []
