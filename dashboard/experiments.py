"""The experiments: all runs, and two of them case by case: paired differences with intervals, flips, outputs side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from .page_context import PageContext, Rows, page
from .text_diff import difference

OVERALL = "pass rate"
SHOWN_FLIPS = 30


async def _show(context: PageContext) -> dict[str, Any]:
    from ..evaluators.statistics import proportion_interval  # here: numpy and scipy are 25 MB that few services need

    runs = await context.query("pages/experiments")
    for run in runs:
        decided = run["n"] - run["unknown"]
        run["interval"] = proportion_interval(run["passed"], decided) if decided else None
    asked = context.params.get("compare") or f"{context.params.get('a', '')},{context.params.get('b', '')}"
    pair = [name for name in asked.split(",") if name][:2]
    if len(pair) < 2:
        return {"runs": runs, "comparison": None, "compare": pair}
    results = await context.query("pages/experiment_results", ids=pair)
    return {"runs": runs, "compare": pair, "comparison": compare(results, pair[0], pair[1])}


def compare(results: Rows, baseline: str, candidate: str) -> dict[str, Any]:
    """Two runs over the examples both hold; repeats of an example are averaged first, the example is the unit."""
    from ..evaluators.statistics import mcnemar_test

    old, new = _by_example(results, baseline), _by_example(results, candidate)
    shared = sorted(old.keys() & new.keys())
    metrics = sorted({name for row in results for name in row["scores"]})
    rows = [_paired(OVERALL, [_pass(old[one]) for one in shared], [_pass(new[one]) for one in shared])]
    rows += [
        _paired(name, [_score(old[one], name) for one in shared], [_score(new[one], name) for one in shared])
        for name in metrics
    ]
    flips = [flip for one in shared if (flip := _flip(one, old[one], new[one]))]
    flips.sort(key=lambda flip: flip["now"] == "pass")
    worse = sum(flip["now"] == "fail" for flip in flips)
    better = len(flips) - worse
    return {
        "shared": len(shared),
        "only_baseline": len(old) - len(shared),
        "only_candidate": len(new) - len(shared),
        "rows": [row for row in rows if row],
        "flips": flips[:SHOWN_FLIPS],
        "worse": worse,
        "better": better,
        "mcnemar_p": mcnemar_test(worse, better).p if flips else None,
    }


def _by_example(results: Rows, run: str) -> dict[str, Rows]:
    found: dict[str, Rows] = defaultdict(list)
    for row in results:
        if row["experiment_id"] == run:
            found[row["example_id"]].append(row)
    return found


def _pass(rows: Rows) -> float | None:
    decided = [row["passed"] == "pass" for row in rows if row["passed"] != "unknown"]
    return sum(decided) / len(decided) if decided else None


def _score(rows: Rows, metric: str) -> float | None:
    values = [row["scores"][metric] for row in rows if metric in row["scores"]]
    return sum(values) / len(values) if values else None


def _paired(metric: str, before: Sequence[float | None], after: Sequence[float | None]) -> dict[str, Any] | None:
    """Difference candidate minus baseline with its 95 % interval; None when fewer than two pairs have both values."""
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old is not None and new is not None]
    if len(pairs) < 2:
        return None
    from ..evaluators.statistics import paired_difference

    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = paired_difference(new, old)
    return {
        "metric": metric,
        "n": len(pairs),
        "baseline": sum(old) / len(old),
        "candidate": sum(new) / len(new),
        "difference": found.mean,
        "low": found.interval.low,
        "high": found.interval.high,
        "p": found.p,
    }


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
