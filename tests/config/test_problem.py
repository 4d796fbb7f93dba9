from __future__ import annotations

import subprocess
import sys

from poprelay.config.problem import nearest, show_path


def test_a_path_reads_as_one_would_write_it() -> None:
    assert show_path(()) == ""
    assert show_path(("maps", 1, "command", 0)) == "maps[1].command[0]"
    assert show_path(("relay", "deny.users", "")) == 'relay."deny.users".""'


def test_the_nearest_known_word_is_named_alone_and_else_all_of_them() -> None:
    assert nearest("perid", ["period", "path"]) == "did you mean 'period'?"
    assert nearest("xyzzy", ["period", "path"]) == "known are path and period"
    assert nearest("xyzzy", ["path"]) == "known is path"
    assert nearest("xyzzy", []) == ""


def test_a_config_without_mistakes_does_not_wait_for_what_finds_near_words() -> None:
    program = "import sys, poprelay.config.load; sys.exit('difflib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
