"""An agent in a file of its own is an executable."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

from live.running import Running, until

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


def test_it_follows_a_log_as_mail_poprelays_agents_did(tmp_path: Path) -> None:
    (tmp_path / "old.conf").write_text(
        f"mailLogFile = {tmp_path}/log\nmailRelayDirectory = {tmp_path}/spool\n"
        f"mailRelayFile = {tmp_path}/access\nmailRelayPeriod = 3600\n"
    )
    agent = AGENT.replace("poprelay.run(Ours)", f'poprelay.Daemon("{tmp_path}/old.conf", agent=Ours).run()')
    assert len([line for line in agent.splitlines() if line.strip()]) == 9
    (tmp_path / "ours").write_text(agent)
    (tmp_path / "ours").chmod(0o755)
    (tmp_path / "log").touch()
    following = Running("ours", [str(tmp_path / "ours")], output=tmp_path / "printed")
    try:
        following.ready(lambda: "info: started" in following.printed())
        with (tmp_path / "log").open("a") as log:
            log.write(f"{datetime.now():%b %e %H:%M:%S} mx oursd[7]: hello ann at 9.9.9.9\n")
        until(lambda: (tmp_path / "access").read_text().endswith("POPRelay.\n9.9.9.9\n"))
        assert following.stop() == 0
    finally:
        following.kill()
    assert (tmp_path / "access").read_text().endswith("POPRelay.\n")
