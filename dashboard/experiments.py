"""The experiments: all runs, and two of them case by case: paired differences with intervals, flips, outputs side by side."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from .page_context import PageContext, Rows, page
from .text_diff import difference

if TYPE_CHECKING:
    from ..evaluators.experiments.compare import Comparison
    from ..evaluators.experiments.record import CaseResult, Metric

OVERALL = "pass rate"
SHOWN_FLIPS = 30


async def _show(context: PageContext) -> dict[str, Any]:
    from ..evaluators.statistics import proportion_interval  # here: numpy is 10 MB that few services need

    runs = await context.query("pages/experiments")
    for run in runs:
        decided = run["n"] - run["unknown"]
        run["interval"] = proportion_interval(run["passed"], decided) if decided else None
    asked = context.params.get("compare") or f"{context.params.get('a', '')},{context.params.get('b', '')}"
    pair = [name for name in asked.split(",") if name][:2]
    if len(pair) < 2:
        return {"runs": runs, "comparison": None, "compare": pair}
    results = await context.query("pages/experiment_results", ids=pair)
    suite = next((run["metrics"] for run in runs if run["experiment_id"] == pair[1]), "")
    return {"runs": runs, "compare": pair, "comparison": compare(results, pair[0], pair[1], suite)}


def compare(results: Rows, baseline: str, candidate: str, suite: str = "") -> dict[str, Any]:
    """Two runs over the examples both hold, by the statistics of `evalspan experiment compare`.

    `suite` is the JSON of the candidate's metrics; without it higher is taken as better.
    """
    from ..evaluators.experiments.compare import compare_runs  # here: numpy is 10 MB that few services need

    old, new = _by_example(results, baseline), _by_example(results, candidate)
    shared = sorted(old.keys() & new.keys())
    before = [_case_result(row) for rows in old.values() for row in rows]
    after = [_case_result(row) for rows in new.values() for row in rows]
    found = compare_runs(before, after, _metrics(suite, results))
    flips = [flip for one in shared if (flip := _flip(one, old[one], new[one]))]
    flips.sort(key=lambda flip: flip["now"] == "pass")
    worse = sum(flip["now"] == "fail" for flip in flips)
    return {
        "shared": len(shared),
        "only_baseline": len(old) - len(shared),
        "only_candidate": len(new) - len(shared),
        "rows": [_row(one) for one in found],
        "flips": flips[:SHOWN_FLIPS],
        "worse": worse,
        "better": len(flips) - worse,
        "mcnemar_p": next((one.mcnemar_p for one in found if one.metric == OVERALL), None),
    }


def _row(one: Comparison) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "n": one.n,
        "baseline": one.baseline_mean,
        "candidate": one.candidate_mean,
        "difference": one.difference,
        "low": one.interval[0],
        "high": one.interval[1],
        "p": one.p_worse,
        "conclusion": one.conclusion,
        "reason": one.reason,
    }


def _metrics(suite: str, results: Rows) -> list[Metric]:
    from ..evaluators.experiments.record import Metric

    try:
        return msgspec.json.decode(suite, type=list[Metric])
    except msgspec.DecodeError:  # written by something else: all that is known are the names
        names = sorted({name for row in results for name in row["scores"]})
        return [Metric(name, "", "", "higher", None, "") for name in names]


def _case_result(row: dict[str, Any]) -> CaseResult:
    from ..evaluators.experiments.record import CaseResult
    from ..evaluators.runner import EvaluationResult

    passed = {"pass": True, "fail": False}.get(row["passed"])
    return CaseResult(
        example_id=row["example_id"],
        partition=row["partition"],
        content_hash="",
        repeat=row["repeat"],
        input={},
        model_name="",
        prompt_version="",
        model_output=row["output"],
        metrics=[EvaluationResult(name, "", value) for name, value in row["scores"].items()],
        latency_ms=0.0,
        timestamp="",
        status="inconclusive" if passed is None else "passed" if passed else "failed",
        passed=passed,
        failure_reason=row["failure_reason"],
        weight=row.get("weight", 1.0),
        cluster=row.get("cluster", ""),
    )


def _by_example(results: Rows, run: str) -> dict[str, Rows]:
    found: dict[str, Rows] = defaultdict(list)
    for row in results:
        if row["experiment_id"] == run:
            found[row["example_id"]].append(row)
    return found


def _flip(example: str, old: Rows, new: Rows) -> dict[str, Any] | None:
    before, after = old[0], new[0]
    if before["passed"] == after["passed"] or "unknown" in {before["passed"], after["passed"]}:
        return None
    return {
        "example_id": example,
        "partition": after["partition"],
        "was": before["passed"],
        "now": after["passed"],
        "reason": after["failure_reason"] or before["failure_reason"],
        "before": before["output"],
        "after": after["output"],
        "pieces": difference(before["output"], after["output"]),
        "trace_id": after["trace_id"],
    }


experiments = page("/experiments", "experiments.html", "Experiments")(_show)
routes = experiments.routes()
