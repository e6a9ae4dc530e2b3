"""What the collector knows about itself: counters and gauges, as numbers and as Prometheus text at /metrics."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

PREFIX = "evalspan_"

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
    "insert_seconds_total": "Seconds spent in inserts.",
    "insert_failures_total": "Inserts that failed and are tried again.",
    "retention_rows_dropped": "Rows that were dropped because of their age, by table.",
    "insert_quarantined_total": "Records that cannot be inserted for what is in them, set aside for `evalspan replay`.",
    "role_changes_total": "Spans whose role was corrected when the span around them came later.",
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

    def prometheus(self, project: str | None = None) -> str:
        """The Prometheus text exposition format, version 0.0.4; without other projects' numbers when one is given."""
        with self._lock:
            counters = {name: dict(values) for name, values in self._counters.items()}

        def shown(labels: Labels) -> bool:
            return project is None or dict(labels).get("project") == project

        lines: list[str] = []
        for name, values in sorted(counters.items()):
            samples = [
                f"{PREFIX}{name}{_labelled(key)} {value:.15g}" for key, value in sorted(values.items()) if shown(key)
            ]
            lines += [*_head(name, "counter"), *samples] if samples else []
        for name, read in sorted(self._gauges.items()) if project is None else ():
            lines += [*_head(name, "gauge"), f"{PREFIX}{name} {read():.15g}"]
        return "\n".join([*lines, ""])


def _head(name: str, kind: str) -> list[str]:
    help_line = [f"# HELP {PREFIX}{name} {HELP[name]}"] if name in HELP else []
    return [*help_line, f"# TYPE {PREFIX}{name} {kind}"]


def _labelled(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
