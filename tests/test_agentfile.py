"""An agent in a file of its own is an executable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

AGENT = f"""#!{sys.executable}
import poprelay

class Ours(poprelay.Agent):
    \"\"\"A server of our own.\"\"\"
    name = "ours"
    program = "oursd"
    login = r"hello (?P<user>[^ ]+) at (?P<address>[0-9a-fA-F.:]+)$"

if __name__ == "__main__":
    poprelay.run(Ours)
"""
LINE = "Jun 23 00:11:05 mx oursd[7]: hello ann at 9.9.9.9\n"


def test_an_agent_of_ten_lines_made_executable_is_the_whole_command(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text(AGENT)
    (tmp_path / "ours").chmod(0o755)
    (tmp_path / "log").write_text(LINE)
    matched = subprocess.run(
        [tmp_path / "ours", "match", tmp_path / "log", "--agent", "ours"], capture_output=True, text=True, check=False
    )
    assert matched.returncode == 0, matched.stderr
    assert "user=ann address=9.9.9.9 service=pop3 agent=ours" in matched.stdout


def test_a_config_may_name_it(tmp_path: Path) -> None:
    (tmp_path / "ours").write_text(AGENT)
    (tmp_path / "ours").chmod(0o755)
    config = tmp_path / "poprelay.toml"
    config.write_text(
        f'[relay]\nperiod = "30m"\n[[sources]]\nkind = "file"\npath = "{tmp_path}/log"\nagents = ["ours"]\n'
        f'[[maps]]\nkind = "spool"\npath = "{tmp_path}/spool"\n'
    )
    checked = subprocess.run([tmp_path / "ours", "check", "-c", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "with the agent ours." in checked.stdout
