"""What Prometheus is told, by a daemon that runs."""

from __future__ import annotations

import http.client
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.house import SOCKETMAP, TEXT_MAP, House
from live.network import free_ports
from live.running import until
from poprelay.daemon.metrics.metrics import METRICS, table

ROOT = Path(__file__).parents[3]
BOARD = ROOT / "packaging/grafana/poprelay.json"
RULES = ROOT / "packaging/prometheus/poprelay.rules.yml"
_OURS = re.compile(r"\bpoprelay_[a-z_]+")
_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


@pytest.fixture
def port(house: House) -> int:
    (port,) = free_ports(1)
    metrics = f'[metrics]\nlisten = "inet:127.0.0.1:{port}"\n'
    house.poprelay.configure(house.settings(TEXT_MAP, SOCKETMAP, metrics))
    house.start()
    return port


def samples(port: int) -> dict[str, list[Any]]:
    status, body = get(port, "/metrics")
    assert status == 200
    found: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(port: int, name: str, **labels: str) -> float:
    (one,) = [one for one in samples(port)[f"poprelay_{name}"] if labels.items() <= one.labels.items()]
    return float(one.value)


def test_what_happens_is_counted(house: House, port: int) -> None:
    house.login("9.9.9.9")
    house.login("9.9.9.9")
    house.login("10.0.0.1", user="eve")
    house.say("imap-login: Login: user=<odd>, nothing more that fits")
    until(lambda: house.in_text() == {"9.9.9.9"} and value(port, "source_unmatched_lines_total") == 1)
    until(lambda: value(port, "map_in_step") == 1)
    assert value(port, "grants") == value(port, "addresses") == 1
    assert value(port, "changes_total", change="opened", reason="") == 1
    assert value(port, "changes_total", change="renewed") == 1
    assert value(port, "changes_total", change="refused") == 1
    assert value(port, "source_logins_total", agent="dovecot") == 3
    assert value(port, "commit_seconds_count") >= 1
    assert value(port, "publish_seconds_count") >= 1
    assert value(port, "source_last_login_timestamp_seconds") > value(port, "start_time_seconds") - 2
    assert value(port, "lookups_total", answer="found") == 0


def test_health_says_what_status_says(house: House, port: int) -> None:
    assert get(port, "/health") == (200, '{"healthy": true, "problems": []}\n')
    house.log.rename(house.log.with_suffix(".gone"))
    until(lambda: get(port, "/health")[0] == 503)
    assert json.loads(get(port, "/health")[1])["problems"] == house.status()["problems"]
    assert value(port, "healthy") == 0


def test_who_is_turned_away_at_the_control_socket_is_counted_too(house: House, port: int) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(house.poprelay.place / "control"))
        sock.sendall(b"hello\n")
        assert sock.recv(1000)
    assert value(port, "service_refused_total", service="control", reason="malformed") == 1
    assert house.status()["control"]["answers"]["refused_malformed"] == 1


def test_nothing_else_is_served(house: House, port: int) -> None:
    assert house.answers()
    assert get(port, "/")[0] == 404
    assert get(port, "/metrics", "POST")[0] == 400
    assert get(port, "/metrics", "HEAD") == (200, "")


def test_a_reload_moves_and_ends_it(house: House, port: int) -> None:
    house.reload(house.settings(TEXT_MAP))
    with pytest.raises(ConnectionRefusedError):
        get(port, "/health")
    house.reload(house.settings(TEXT_MAP, f'[metrics]\nlisten = "inet:127.0.0.1:{port}"\n'))
    until(lambda: house.status()["problems"] == [])
    assert get(port, "/health")[0] == 200


def test_a_place_that_is_taken_is_a_problem_and_no_end(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        house.poprelay.configure(house.settings(f'[metrics]\nlisten = "inet:127.0.0.1:{taken.getsockname()[1]}"\n'))
        house.poprelay.start()
        until(lambda: any("cannot listen" in problem for problem in house.status()["problems"]))


def test_every_metric_is_in_the_docs_and_none_else() -> None:
    assert table() in (ROOT / "docs/metrics.md").read_text()


def test_every_metric_is_served(house: House, port: int) -> None:
    house.login("9.9.9.9")
    until(lambda: house.in_text() == {"9.9.9.9"})
    served = {_SUFFIX.sub("", name) for name in samples(port)}
    sometimes = {"poprelay_service_refused_total", "poprelay_source_lag_seconds"}  # once somebody was; of a journal
    assert {f"poprelay_{one.name}" for one in METRICS} - served <= sometimes


@pytest.mark.parametrize("file", [BOARD, RULES, ROOT / "docs/metrics.md"], ids=lambda file: file.name)
def test_what_is_asked_for_exists(file: Path) -> None:
    known = {f"poprelay_{one.name}" for one in METRICS}
    assert {_SUFFIX.sub("", name) for name in _OURS.findall(file.read_text())} <= known


def test_names_follow_prometheus_rules() -> None:
    for one in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", one.name)
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        assert one.kind != "histogram" or one.name.endswith("_seconds")
