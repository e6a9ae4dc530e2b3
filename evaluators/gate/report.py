"""What the gate concluded, in one structure that every report (JSON, JUnit, Markdown, GitHub) is written from."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..experiments.record import CaseResult, Experiment

Verdict = Literal["passed", "failed", "inconclusive"]
EXIT_CODES: dict[Verdict, int] = {"passed": 0, "failed": 3, "inconclusive": 4}
SCHEMA = "evalspan.gate/1"


class Reason(msgspec.Struct, frozen=True):
    """One thing that keeps the gate from passing, with its fix."""

    verdict: Verdict
    code: str
    message: str
    hint: str = ""
    example_ids: list[str] = []


class PartitionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: its counts, and what its pass rate does and does not say."""

    verdict: Verdict
    rule: str
    """What the partition must reach."""
    total: int
    passed: int
    failed: int
    inconclusive: int
    pass_rate: float | None
    """Passed over all cases, the unmeasured ones included; None when there is no case."""
    pass_means: str
    failure_bound: float | None
    """Where all pass: the true failure rate may still be this high (one-sided 95 %)."""
    failure_reasons: dict[str, int]
    avg_latency_ms: float | None
    """Over the cases that were answered."""
    p95_latency_ms: float | None


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict and everything behind it."""

    schema: str = SCHEMA
    verdict: Verdict
    exit_code: int
    reasons: list[Reason]
    notes: list[str]
    """What a reader should know although it did not decide."""
    dataset_path: str
    partitions: dict[str, PartitionSummary]
    comparisons: dict[str, list[dict[str, Any]]]
    """Per partition: the candidate against the baseline."""
    baseline: str
    experiment: dict[str, Any]
    """Who ran: the record without its results."""
    model: str
    prompt_version: str
    timestamp: str
    results: list[CaseResult]

    def to_json(self) -> bytes:
        """The report as indented JSON; the same run gives the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self)) + b"\n"


def without_results(experiment: Experiment) -> dict[str, Any]:
    """The record of who ran, for a report that holds the results beside it."""
    document: dict[str, Any] = msgspec.to_builtins(experiment)
    del document["results"]
    return document
