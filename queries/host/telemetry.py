"""What the collector knows about itself: counters and gauges, as numbers and as Prometheus text at /metrics."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric, Sample

PREFIX = "evalspan_"
# Upper bounds of the histograms, in seconds.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

Labels = tuple[tuple[str, str], ...]

# Every number there is, with what it counts.
HELP = {
    "requests_total": "Requests by signal and by the HTTP status that answered them.",
    "grpc_requests_total": "gRPC requests by signal and by the code that answered them.",
    "spans_accepted_total": "Spans acknowledged: on disk, and in the store soon.",
    "spans_rejected_total": "Spans refused by partial_success, by reason.",
    "spans_without_time_total": "Spans that came without a usable start time and were given one.",
    "spans_sampled_out_total": "Spans that sampling did not keep, by reason.",
    "tail_decided_early_total": "Traces that tail sampling decided before their time because its memory was full.",
    "online_evaluation_total": "Spans and evaluations of online rules by stage: seen, matched, sampled, scored and so on.",
    "online_lag_seconds": "How far the slowest online rule is behind the stored spans.",
    "online_rules_off": "Rules of [evaluation] that cannot run.",
    "alert_evaluations_total": "Evaluations of alert rules, by rule.",
    "alert_evaluation_failures_total": "Evaluations of alert rules whose query failed, by rule.",
    "alerts_total": "Alerts that fired or were resolved, by rule and state.",
    "alert_notices_total": "Notices to sinks by outcome: delivered, failed, dropped.",
    "alert_rules_without_data": "Alert rules whose query has too little data to tell.",
    "alert_rules_off": "Alert rules and sinks that cannot work.",
    "duplicate_requests_total": "Requests that a client sent again; stored once.",
    "evaluations_accepted_total": "Evaluation results that arrived as log records.",
    "messages_accepted_total": "Messages of calls that arrived as log records.",
    "messages_without_span_total": "Spans whose messages arrived as log records and that themselves never did.",
    "log_records_rejected_total": "Log records refused by partial_success: not evaluation results, or broken ones.",
    "metric_points_rejected_total": "Metric data points refused by partial_success: metrics are not stored.",
    "log_backlog_bytes": "Bytes that are on disk and not yet in the store.",
    "log_backlog_bytes_spans": "Of these, spans.",
    "log_backlog_bytes_scores": "Of these, evaluations that came as log records.",
    "log_backlog_bytes_messages": "Of these, messages of calls that came as log records.",
    "log_damaged_bytes_total": "Bytes of the log that made no sense after a crash and were set aside.",
    "log_sync_failures_total": "Syncs that failed; their senders were told to try again.",
    "insert_segments_total": "Segments of the log that the store took.",
    "insert_failures_total": "Inserts that failed and are tried again.",
    "retention_rows_dropped_total": "Rows that were dropped because of their age, by table.",
    "insert_quarantined_total": "Records that cannot be inserted for what is in them, set aside for `evalspan replay`.",
    "role_changes_total": "Spans whose role was corrected when the span around them came later.",
    "request_duration_seconds": "How long OTLP requests took, by signal and transport.",
    "insert_duration_seconds": "How long inserts took, by log.",
    "query_duration_seconds": "How long SQL statements of clients took until their answer began.",
    "evaluation_duration_seconds": "How long the evaluators of an online rule took for one span, trace or conversation.",
    "alert_evaluation_duration_seconds": "How long alert rules took to be evaluated.",
    "values_repaired_total": "Values that a reader could not take and that were written in another form.",
    "log_deleted_segments_total": "Segments that somebody deleted while they were inserted or waited for their spans.",
    "log_lost_bytes_total": "Bytes of the log that somebody deleted before their insert.",
    "part_restarts_total": "Restarts of a part of the service after an exception.",
    "stage_failures_total": "Segments that went in unsampled because sampling failed on them.",
}


class Telemetry:
    """Counters that any thread may add to, and gauges that are read when somebody looks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self._gauges: dict[str, Callable[[], float]] = {}
        self._histograms: dict[str, dict[Labels, tuple[list[int], float]]] = defaultdict(dict)

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Adds to the counter `name` (without prefix) under these labels."""
        with self._lock:
            self._counters[name][tuple(sorted(labels.items()))] += amount

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Registers what tells the current value of `name`."""
        self._gauges[name] = read

    def total(self, name: str, **labels: str) -> float:
        """The counter's sum over all label sets that contain `labels`; 0 when it never counted."""
        wanted = set(labels.items())
        with self._lock:
            return sum(value for key, value in self._counters[name].items() if wanted <= set(key))

    def total_of(self, name: str, project: str | None) -> float:
        """The counter of one project, of all for None; 0 for what is not counted by project."""
        return self.total(name) if project is None else self.total(name, project=project)

    def value(self, name: str) -> float:
        """The gauge's value now, or the counter's sum; 0 for one that is not there."""
        return self._gauges[name]() if name in self._gauges else self.total(name)

    def counted(self, name: str) -> list[tuple[dict[str, str], float]]:
        """The counter's label sets, each with its value."""
        with self._lock:
            return [(dict(labels), value) for labels, value in self._counters.get(name, {}).items()]

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Adds a duration to the histogram `name` under these labels."""
        key = tuple(sorted(labels.items()))
        with self._lock:
            counts, total = self._histograms[name].get(key, ([0] * (len(BUCKETS_S) + 1), 0.0))
            counts[bisect_left(BUCKETS_S, seconds)] += 1
            self._histograms[name][key] = counts, total + seconds

    @contextmanager
    def timed(self, name: str, **labels: str) -> Iterator[None]:
        """Observes how long the block takes, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(name, time.perf_counter() - began, **labels)

    def prometheus(self, project: str | None = None) -> str:
        """The Prometheus text exposition format, version 0.0.4; only one project's numbers when one is given."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Snapshot(self, project))
        if project is None:
            ProcessCollector(namespace="evalspan", registry=registry)
        return generate_latest(registry).decode()

    def families(self, project: str | None) -> Iterator[Metric]:
        """Every counter, gauge and histogram as prometheus_client has them; of one project what is counted by project."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        with self._lock:
            counters = {name: dict(values) for name, values in self._counters.items()}
            histograms = {
                name: {key: (list(counts), total) for key, (counts, total) in values.items()}
                for name, values in self._histograms.items()
            }

        def visible(labels: Labels) -> bool:
            return project is None or dict(labels).get("project") == project

        for name, values in sorted(counters.items()):
            family = CounterMetricFamily(PREFIX + name, HELP.get(name, name))
            for key, value in sorted(values.items()):
                if visible(key):
                    family.samples.append(_sample(name, key, value))
            if family.samples:
                yield family
        if project is not None:
            return
        for name, read in sorted(self._gauges.items()):
            yield GaugeMetricFamily(PREFIX + name, HELP.get(name, name), value=read())
        for name, durations in sorted(histograms.items()):
            labels = sorted({label for key in durations for label, _ in key})
            histogram = HistogramMetricFamily(PREFIX + name, HELP.get(name, name), labels=labels)
            for key, (counts, total) in sorted(durations.items()):
                bounds = [*(f"{bound:g}" for bound in BUCKETS_S), "+Inf"]
                buckets = list(zip(bounds, accumulate(counts), strict=True))
                histogram.add_metric([dict(key).get(label, "") for label in labels], buckets, total)
            yield histogram


class _Snapshot:
    """What prometheus_client collects from: the numbers of this moment."""

    def __init__(self, telemetry: Telemetry, project: str | None) -> None:
        self._telemetry, self._project = telemetry, project

    def collect(self) -> Iterator[Metric]:
        """The families."""
        return self._telemetry.families(self._project)


def _sample(name: str, labels: Labels, value: float) -> Sample:
    from prometheus_client.core import Sample

    return Sample(PREFIX + name, dict(labels), value)
