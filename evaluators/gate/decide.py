"""From results to the verdict: golden complete and perfect, regressions all passing, the rest no worse than before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from ..datasets import Dataset
from ..datasets.approval import how_to_approve
from ..datasets.example import PARTITIONS
from ..experiments.case_verdict import CaseCause
from ..experiments.record import CaseResult, Experiment
from .report import EXIT_CODES, GateReport, PartitionSummary, Reason, Verdict, without_results

if TYPE_CHECKING:
    from ..experiments.compare import Comparison

MAX_BASELINE_AGE_DAYS = 90
CONFIDENCE_TAIL = 0.05

RULES = {
    "golden": "every case passes, none is missing, two people approved the set",
    "regression": "every case passes: the same failure never ships twice",
    "adversarial": "no worse than the baseline by the margin, or every case passes",
    "distribution": "no worse than the baseline by the margin",
}


class Policy(msgspec.Struct, frozen=True):
    """What the gate demands beyond the rules of the partitions."""

    partitions: tuple[str, ...] = ()
    """Only these; () for all that the dataset holds."""
    margins: dict[str, float] = {}
    max_baseline_age_days: float = MAX_BASELINE_AGE_DAYS


def decide(
    dataset: Dataset,
    experiment: Experiment,
    policy: Policy,
    *,
    baseline: Experiment | None = None,
    baseline_name: str = "",
    contamination: Sequence[Reason] = (),
) -> GateReport:
    """The gate's report. Failed outweighs inconclusive, and anything unclear is at best inconclusive."""
    reasons = [*_selection(dataset, experiment, policy), *_golden_set(dataset, experiment), *contamination]
    partitions: dict[str, PartitionSummary] = {}
    comparisons: dict[str, list[Comparison]] = {}
    if baseline is not None:
        reasons += _stale(baseline, experiment, policy)
    for name in PARTITIONS:
        results = experiment.of(name)
        if not results:
            continue
        compared = _compare(name, results, baseline, experiment, policy) if name not in ("golden", "regression") else []
        comparisons[name] = compared
        own = _judge(name, results, compared, baseline, policy)
        reasons += own
        partitions[name] = summarise(name, results, experiment, _worst([reason.verdict for reason in own]))
    verdict = _worst([reason.verdict for reason in reasons])
    return GateReport(
        verdict=verdict,
        exit_code=EXIT_CODES[verdict],
        reasons=sorted(reasons, key=_importance),
        notes=_notes(experiment, partitions, dataset),
        dataset_path=str(dataset.path or ""),
        partitions=partitions,
        comparisons={name: [msgspec.to_builtins(one) for one in some] for name, some in comparisons.items() if some},
        baseline=baseline_name,
        experiment=without_results(experiment),
        model=experiment.target.model,
        prompt_version=experiment.target.prompt_version,
        timestamp=experiment.started_at,
        results=experiment.results,
    )


def summarise(name: str, results: list[CaseResult], experiment: Experiment, verdict: Verdict) -> PartitionSummary:
    """The partition in numbers."""
    counts = Counter(result.status for result in results)
    latencies = sorted(result.latency_ms for result in results if result.model_output is not None)
    bound = 1 - CONFIDENCE_TAIL ** (1 / len(results)) if counts["passed"] == len(results) else None
    reasons = Counter(result.failure_reason or "" for result in results if result.status != "passed")
    return PartitionSummary(
        verdict=verdict,
        rule=RULES[name],
        total=len(results),
        passed=counts["passed"],
        failed=counts["failed"],
        inconclusive=counts["inconclusive"],
        pass_rate=counts["passed"] / len(results) if results else None,
        pass_means=pass_means(experiment),
        failure_bound=bound,
        failure_reasons=dict(reasons.most_common(50)),
        avg_latency_ms=round(sum(latencies) / len(latencies), 3) if latencies else None,
        p95_latency_ms=latencies[max(0, -(-95 * len(latencies) // 100) - 1)] if latencies else None,
    )


def pass_means(experiment: Experiment) -> str:
    """What "passed" says of a case, in words: to be read beside every pass rate (G15)."""
    return ", then ".join(f"{metric.name} {metric.passes}" for metric in experiment.suite)


def _selection(dataset: Dataset, experiment: Experiment, policy: Policy) -> list[Reason]:
    """Nothing measured is nothing proven: an empty dataset, or a partition that was asked for and is empty."""
    if not experiment.results and not policy.partitions:
        return [Reason("inconclusive", "empty", f"{dataset.path or dataset.name} holds no example", "add examples")]
    found = [
        Reason(
            "inconclusive",
            "empty",
            f"no {name} example was selected: nothing was measured",
            f"the dataset holds {dataset.stats()}",
        )
        for name in policy.partitions
        if not dataset.partition(name)
    ]
    chosen = policy.partitions or PARTITIONS
    ran = {(result.example_id, result.partition) for result in experiment.results}
    missing = [one.id for one in dataset if one.partition in chosen and (one.id, one.partition) not in ran]
    if missing:
        found.append(Reason("inconclusive", "incomplete", f"{len(missing)} cases have no result", "", missing[:10]))
    return found


def _golden_set(dataset: Dataset, experiment: Experiment) -> list[Reason]:
    place = str(dataset.path or dataset.name)
    if experiment.of("golden"):
        why = dataset.why_unapproved("golden")
        return [Reason("failed", "unapproved", why, how_to_approve(place))] if why else []
    if not dataset.partition("golden") and any(one.partition == "golden" for one in dataset.manifest.approvals):
        return [Reason("failed", "golden_gone", "the approved golden set is gone", "restore it from version control")]
    return []


def _stale(baseline: Experiment, experiment: Experiment, policy: Policy) -> list[Reason]:
    from ..experiments.compare import stale_reasons

    hint = "run the baseline again: evalspan experiment run --out FILE"
    found = [Reason("inconclusive", "stale_baseline", why, hint) for why in stale_reasons(baseline, experiment)]
    try:
        ran = datetime.fromisoformat(baseline.started_at)
        ran = ran if ran.tzinfo else ran.replace(tzinfo=UTC)
        old = datetime.now(UTC) - ran > timedelta(days=policy.max_baseline_age_days)
        why = f"the baseline is of {ran:%Y-%m-%d}, older than {policy.max_baseline_age_days:g} days"
    except ValueError:
        old, why = True, "the baseline does not say when it ran"
    return [*found, Reason("inconclusive", "stale_baseline", why, hint)] if old else found


def _compare(
    name: str, results: list[CaseResult], baseline: Experiment | None, experiment: Experiment, policy: Policy
) -> list[Comparison]:
    if baseline is None:
        return []
    from ..experiments.compare import compare_runs

    return compare_runs(baseline.of(name), results, experiment.suite, policy.margins)


def _judge(
    name: str,
    results: list[CaseResult],
    compared: list[Comparison],
    baseline: Experiment | None,
    policy: Policy,
) -> list[Reason]:
    if name in ("golden", "regression"):
        return _all_must_pass(name, results)
    found = _unmeasured(name, [result for result in results if result.status == "inconclusive"])
    everything = all(result.status == "passed" for result in results)
    if name == "adversarial" and everything:
        return found  # a fixed list of attacks, all withstood: there is nothing to be worse at
    if baseline is None:
        return found + _without_baseline(name, results, everything, policy)
    return found + _against_baseline(name, results, compared, baseline)


def _all_must_pass(name: str, results: list[CaseResult]) -> list[Reason]:
    found = []
    failed = [result for result in results if result.status == "failed"]
    if failed:
        first = failed[0]
        cause = f"; root cause: {first.root_cause}" if first.root_cause else ""
        message = (
            f"{len(failed)} of {len(results)} {name} cases failed: {first.example_id}: {first.failure_reason}{cause}"
        )
        found.append(Reason("failed", f"{name}_failed", message, "", [one.example_id for one in failed]))
    return found + _unmeasured(name, [result for result in results if result.status == "inconclusive"])


def _unmeasured(name: str, open_cases: list[CaseResult]) -> list[Reason]:
    if not open_cases:
        return []
    first = open_cases[0]
    message = f"{len(open_cases)} {name} cases could not be judged: {first.example_id}: {first.failure_reason}"
    hint = "evalspan dataset review" if first.cause is CaseCause.NOT_REVIEWED else ""
    return [Reason("inconclusive", "unmeasured", message, hint, [one.example_id for one in open_cases])]


def _without_baseline(name: str, results: list[CaseResult], everything: bool, policy: Policy) -> list[Reason]:
    """A sample in which all pass needs no baseline once it is large enough: no baseline passes more than all."""
    margin = policy.margins.get("pass rate", 0.05)
    if everything and 1 - CONFIDENCE_TAIL ** (1 / len(results)) <= margin:
        return []
    failed = [result.example_id for result in results if result.status == "failed"]
    what = f"{len(failed)} of {len(results)} {name} cases failed" if failed else f"{len(results)} {name} cases are few"
    return [
        Reason(
            "inconclusive",
            "no_baseline",
            f"{what}, and there is no baseline to compare with",
            "record one: evalspan experiment run --out baseline.json, then --baseline baseline.json",
            failed,
        )
    ]


def _against_baseline(
    name: str, results: list[CaseResult], compared: list[Comparison], baseline: Experiment
) -> list[Reason]:
    hint = "run the baseline again on these cases"
    before = {one.example_id: one for one in baseline.of(name)}
    absent = [one.example_id for one in results if one.example_id not in before]
    if absent:
        return [
            Reason(
                "inconclusive", "stale_baseline", f"the baseline lacks {len(absent)} {name} cases", hint, absent[:10]
            )
        ]
    broken = [one.example_id for one in before.values() if one.passed is None or one.model_output is None]
    found = []
    if broken:
        why = f"{len(broken)} {name} cases of the baseline have no result: it cannot be a bar"
        found.append(Reason("inconclusive", "broken_baseline", why, hint, broken[:10]))
    if not compared:
        found.append(Reason("inconclusive", "thin", f"{name}: too few cases to compare", "add cases"))
    return found + [reason for one in compared for reason in _from_comparison(name, one)]


def _from_comparison(name: str, one: Comparison) -> list[Reason]:
    if one.conclusion in ("improvement", "no_change", "trivial"):
        return []
    if one.conclusion == "inconclusive" and one.margin is None:
        return []  # reported, not deciding: nobody said how much of this scale matters
    low, high = one.interval
    message = f"{name}, {one.metric}: {one.difference:+.3f} [{low:+.3f}, {high:+.3f}], {one.reason}"
    if one.conclusion == "regression":
        return [Reason("failed", "regression", message, "", one.worse_cases[:10])]
    return [Reason("inconclusive", "thin", message, "add cases, or widen the margin on purpose: --margin")]


def _notes(experiment: Experiment, partitions: Mapping[str, PartitionSummary], dataset: Dataset) -> list[str]:
    notes = []
    if "golden" not in partitions:
        why = "left out by --partition" if dataset.partition("golden") else "the dataset has none"
        notes.append(f"no golden case was run ({why}): this verdict says nothing about the minimum bar")
    if experiment.over_budget:
        notes.append(f"over the time budget: {len(experiment.over_budget)} cases were not run")
    unsure = [metric.name for metric in experiment.suite if metric.calibrated is False]
    if unsure:
        notes.append(f"thresholds not calibrated against human ratings: {', '.join(unsure)}")
    if len(experiment.suite) == 1 and experiment.results:
        notes.append(f"the gate rests on {experiment.suite[0].name} alone: one proxy can be gamed, add a second kind")
    return notes


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    return "failed" if "failed" in verdicts else "inconclusive" if "inconclusive" in verdicts else "passed"


def _importance(reason: Reason) -> tuple[bool, bool]:
    """Failures first, and among them golden ones: nothing else matters beside those."""
    return (reason.verdict != "failed", reason.code not in ("golden_failed", "unapproved", "golden_gone"))
