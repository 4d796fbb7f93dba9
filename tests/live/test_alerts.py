"""What `packaging/` has for Prometheus, and what the daemon tells it, by Prometheus' own tool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.request import urlopen

from daemon.house import TEXT_MAP, House
from live.network import free_ports
from live.packages import staged
from live.running import until
from poprelay.daemon.metrics.metrics import CONTENT_TYPE

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "packaging/prometheus/poprelay.rules.yml"
PLAYED = HERE / "alerts.yml"


def promtool(*words: str | Path, given: str = "") -> None:
    command = staged("prometheus", "/usr/bin/promtool", *words)
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_should_and_none_while_all_is_well() -> None:
    promtool("check", "rules", RULES)
    promtool("test", "rules", PLAYED)
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert set(re.findall(r"alertname: (\w+), eval_time: 25h, exp_alerts: \[\]", PLAYED.read_text())) == alerts
    assert set(re.findall(r"alertname: (\w+)\n.*\n +exp_alerts:\n", PLAYED.read_text())) == alerts


def test_what_is_served_is_named_by_the_rules(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with House(tmp_path) as house:
        house.poprelay.configure(house.settings(TEXT_MAP, f'[metrics]\nlisten = "inet:127.0.0.1:{port}"\n'))
        house.start()
        house.login("9.9.9.9")
        until(lambda: house.in_text() == {"9.9.9.9"})
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            assert page.headers["Content-Type"] == CONTENT_TYPE
            promtool("check", "metrics", given=page.read().decode())
