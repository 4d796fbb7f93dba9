"""Everything that `status` knows, for Prometheus: one table of metrics, and how each is read off a running daemon.

Names follow Prometheus' rules (base units, `_total` for what only grows). No metric names a user or an address: these
are nobody's business there, and there would be as many time series as grants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from poprelay.daemon.metrics.timings import Timings
from poprelay.spans import parse_rfc3339

if TYPE_CHECKING:
    from poprelay.daemon.daemon import Daemon

Row = dict[str, Any]
Samples = Iterable[tuple[tuple[str, ...], float | Timings]]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Named(msgspec.Struct, frozen=True):
    """One metric: its name without `poprelay_`, what it means, its labels, and how it is read."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    meaning: str
    labels: tuple[str, ...]
    read: Callable[[Daemon, Row], Samples]


def _one(read: Callable[[Daemon, Row], float | Timings]) -> Callable[[Daemon, Row], Samples]:
    return lambda daemon, row: [((), read(daemon, row))]


def _each(role: str, key: str) -> Callable[[Daemon, Row], Samples]:
    """A number of each source, map or service; nothing where it is not known."""
    return lambda _daemon, row: [((one["name"],), float(one[key])) for one in row[role] if one.get(key) is not None]


def _times(role: str, key: str) -> Callable[[Daemon, Row], Samples]:
    return lambda _daemon, row: [((one["name"],), parse_rfc3339(one[key])) for one in row[role] if one.get(key)]


def _up(role: str) -> Callable[[Daemon, Row], Samples]:
    return lambda _daemon, row: [((one["name"],), float(not one["error"])) for one in row[role]]


def _answers(keys: Callable[[str], str | None]) -> Callable[[Daemon, Row], Samples]:
    """The counts of each service, and of the control socket, that `keys` gives a label for."""

    def read(_daemon: Daemon, row: Row) -> Iterator[tuple[tuple[str, ...], float]]:
        for one in (*row["services"], row["control"]):
            for word, count in one.get("answers", {}).items():
                label = keys(word)
                if label is not None:
                    yield (one["name"], *filter(None, (label,))), float(count)

    return read


METRICS: Final = (
    Named("info", "gauge", "Always 1; its label is the version.", ("version",),
          lambda _, row: [((row["version"],), 1)]),
    Named("healthy", "gauge", "1 if `poprelay status` has no problem to tell, else 0.", (),
          _one(lambda _, row: float(not row["problems"]))),
    Named("problems", "gauge", "How many problems `poprelay status` tells.", (),
          _one(lambda _, row: len(row["problems"]))),
    Named("starting", "gauge", "1 while unknown addresses are answered 'cannot tell' because it starts up, else 0.", (),
          _one(lambda _, row: float(row["state"] == "starting"))),
    Named("start_time_seconds", "gauge", "When the daemon began, in seconds since 1970.", (),
          _one(lambda daemon, _: daemon.since)),
    Named("grants", "gauge", "Live grants.", (), _one(lambda _, row: row["grants"])),
    Named("addresses", "gauge", "Addresses that may relay.", (), _one(lambda _, row: row["addresses"])),
    Named("denials", "gauge", "Users and addresses whose new logins are refused by order.", (),
          _one(lambda _, row: row["denials"])),
    Named("crowded_addresses", "gauge", "Addresses with too many users to be one client.", (),
          _one(lambda _, row: len(row["crowded"]))),
    Named("changes_total", "counter", "Changes of grants, by kind (opened, renewed, closed, refused) and reason.",
          ("change", "reason"), lambda daemon, _: [(key, count) for key, count in daemon.keeper.changes.items()]),
    Named("stale_logins_total", "counter", "Logins older than a relay period when they were read.", (),
          _one(lambda _, row: row["changes"]["stale"])),
    Named("commit_seconds", "histogram", "How long a commit of the ledger took, the wait for others included.", (),
          _one(lambda daemon, _: daemon.keeper.commits)),
    Named("ledger_writable", "gauge", "1 if the ledger can be written, else 0: then nothing opens.", (),
          _one(lambda _, row: float(not row["ledger"]["error"]))),
    Named("source_up", "gauge", "1 if the source is read, 0 if that fails.", ("source",), _up("sources")),
    Named("source_caught_up", "gauge", "1 once all that was waiting at the start has been read.", ("source",),
          _each("sources", "caught_up")),
    Named("source_lines_total", "counter", "Lines read.", ("source",), _each("sources", "lines")),
    Named("source_cut_lines_total", "counter", "Lines over 64 KiB, which were not looked at.", ("source",),
          _each("sources", "cut")),
    Named("source_unmatched_lines_total", "counter", "Lines that look like a login but match nothing.", ("source",),
          _each("sources", "unmatched")),
    Named("source_logins_total", "counter", "Logins seen, by the agent that saw them.", ("source", "agent"),
          lambda _, row: [((one["name"], agent), n) for one in row["sources"] for agent, n in one["agents"].items()]),
    Named("source_logouts_total", "counter", "Ends of sessions seen.", ("source",), _each("sources", "logouts")),
    Named("source_last_line_timestamp_seconds", "gauge", "The stamp of the last line; its age: time() minus this.",
          ("source",), _times("sources", "last_line")),
    Named("source_last_login_timestamp_seconds", "gauge", "The stamp of the last login; its age: time() minus this.",
          ("source",), _times("sources", "last_login")),
    Named("source_lag_bytes", "gauge", "What waits in files to be read.", ("source",), _each("sources", "lag")),
    Named("source_lag_seconds", "gauge", "How old the last entry of the journal was, while more waits; else 0.",
          ("source",), _each("sources", "lag_seconds")),
    Named("source_skew_seconds", "gauge",
          "How far fresh stamps are ahead of our clock; negative: behind it; 0 within five minutes.",
          ("source",), _each("sources", "skew")),
    Named("map_up", "gauge", "1 if the map is written, 0 if that fails.", ("map",), _up("maps")),
    Named("map_addresses", "gauge", "Addresses that the map holds.", ("map",), _each("maps", "addresses")),
    Named("map_in_step", "gauge", "1 if the map says what the ledger says, 0 while it is being told.", ("map",),
          _each("maps", "in_step")),
    Named("map_changes_total", "counter", "How often the map was changed.", ("map",), _each("maps", "changes")),
    Named("publish_seconds", "histogram", "How long a change of a map took.", ("map",),
          lambda daemon, _: [((name,), one.timings) for name, one in daemon.parts.publishers.items()]),
    Named("service_up", "gauge", "1 if the service listens, 0 if it cannot.", ("service",), _up("services")),
    Named("lookups_total", "counter", "Answers to MTAs: found, absent, unavailable (cannot tell).",
          ("service", "answer"),
          _answers(lambda word: word if word in ("found", "absent", "unavailable") else None)),
    Named("service_refused_total", "counter",
          "Peers that were turned away, by reason; service `control`: at the control socket.", ("service", "reason"),
          _answers(lambda word: word.removeprefix("refused_") if word.startswith("refused_") else None)),
    Named("service_connections", "gauge", "Open connections; service `control`: at the control socket.",
          ("service",), _answers(lambda word: "" if word == "connections" else None)),
)  # fmt: skip
"""Every metric; docs/metrics.md is made from it."""


class _Reader(Collector):
    """Reads all of them at once, so that they fit together."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def collect(self) -> Iterator[Metric]:
        row = self._daemon.status()
        for named in METRICS:
            yield _family(named, named.read(self._daemon, row))

    def describe(self) -> Iterator[Metric]:
        return iter(())  # nothing is read before it is asked for


class Metrics:
    """The metrics of one daemon; `page` is what Prometheus reads, its own process's numbers with it."""

    def __init__(self, daemon: Daemon) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Reader(daemon))
        for collector in (PROCESS_COLLECTOR, GC_COLLECTOR):
            self._registry.register(collector)

    def page(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self._registry)


def _family(named: Named, samples: Samples) -> Metric:
    name = f"poprelay_{named.name}"
    if named.kind == "histogram":
        histogram = HistogramMetricFamily(name, named.meaning, labels=named.labels)
        for labels, value in samples:
            assert isinstance(value, Timings)
            histogram.add_metric(labels, value.buckets(), value.total)
        return histogram
    family = (GaugeMetricFamily if named.kind == "gauge" else CounterMetricFamily)(
        name, named.meaning, labels=named.labels
    )
    for labels, value in samples:
        assert not isinstance(value, Timings)
        family.add_metric(labels, value)
    return family


def table() -> str:
    """The table of docs/metrics.md."""
    rows = ["| metric | type | labels | means |", "|---|---|---|---|"]
    rows += [
        f"| `poprelay_{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} | {one.meaning} |"
        for one in METRICS
    ]
    return "\n".join(rows) + "\n"
