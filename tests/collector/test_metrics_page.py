"""/metrics is what Prometheus reads: standard names, histograms, and only one project's numbers for its key."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from evalspan.queries.host.telemetry import BUCKETS_S, Telemetry


def test_prometheus_reads_back_what_was_counted_whatever_a_projects_name_holds() -> None:
    telemetry = Telemetry()
    hostile = 'it\'s "quoted" \\ and\nbroken'
    telemetry.add("spans_accepted_total", 3, project=hostile)
    telemetry.add("spans_accepted_total", 4, project="b")
    telemetry.gauge("log_backlog_bytes", lambda: 5)
    for seconds in (0.001, 0.3, 100.0):
        telemetry.observe("insert_duration_seconds", seconds, log="spans")
    samples = [one for family in text_string_to_metric_families(telemetry.prometheus()) for one in family.samples]
    found = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}
    assert found["evalspan_spans_accepted_total", (("project", hostile),)] == 3
    assert found["evalspan_log_backlog_bytes", ()] == 5
    buckets = {one.labels["le"]: one.value for one in samples if one.name == "evalspan_insert_duration_seconds_bucket"}
    assert (buckets["0.005"], buckets["0.25"], buckets["0.5"], buckets["60"], buckets["+Inf"]) == (1, 1, 2, 2, 3)
    assert len(buckets) == len(BUCKETS_S) + 1
    assert found["evalspan_insert_duration_seconds_count", (("log", "spans"),)] == 3
    assert any(name.startswith("evalspan_process_resident_memory") for name, _ in found)
    own = telemetry.prometheus(hostile)
    assert own.count("\nevalspan_") == 1
    assert "backlog" not in own
    assert 'project="b"' not in own
