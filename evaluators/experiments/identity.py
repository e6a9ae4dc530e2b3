"""Says what ran: the experiment record around the results, with the dataset's hash, the suite's versions and git."""

from __future__ import annotations

import hashlib
import subprocess
from collections import defaultdict
from collections.abc import Sequence

from ..contract import Evaluator
from ..datasets import Dataset
from .case_verdict import CaseCause, golden_bar, in_order, kind_of
from .record import CaseResult, Experiment, Metric
from .target import Target


def record_of(
    dataset: Dataset, target: Target, suite: Sequence[Evaluator], results: list[CaseResult], *, name: str = ""
) -> Experiment:
    """The record of a run. Its id is a hash of what ran and what came out: the same run from the cache has the same."""
    sha = git_sha()
    digest = hashlib.sha256(f"{name}|{target.identity}|{dataset.content_hash}|{sha}".encode())
    for result in results:
        digest.update(f"{result.example_id}|{result.repeat}|{result.timestamp}|{result.model_output}\n".encode())
    return Experiment(
        experiment_id=digest.hexdigest()[:16],
        name=name or target.identity.target,
        dataset=dataset.name,
        dataset_version=dataset.version,
        dataset_hash=dataset.content_hash,
        target=target.identity,
        suite=[metric_of(evaluator) for evaluator in in_order(suite)],
        git_sha=sha,
        started_at=max((result.timestamp for result in results), default=""),
        repeats=len({result.repeat for result in results}) or 1,
        over_budget=[one.example_id for one in results if one.cause is CaseCause.OVER_BUDGET],
        profile=profile_of(results),
        results=results,
    )


def metric_of(evaluator: Evaluator) -> Metric:
    """The evaluator, and in words what passing means under it."""
    kind = kind_of(evaluator)
    sign = "at least" if evaluator.direction == "higher" else "at most"
    passes = f"{sign} {evaluator.threshold:g}" if evaluator.threshold is not None else "as the evaluator itself says"
    bar = golden_bar(evaluator)
    if bar is not None:
        passes += f", on golden cases at least {bar:g}"
    calibrated = bool(evaluator.calibrated) if hasattr(evaluator, "calibrated") else None
    return Metric(evaluator.name, evaluator.version, kind, evaluator.direction, evaluator.threshold, passes, calibrated)


def profile_of(results: Sequence[CaseResult]) -> dict[str, float]:
    """Where the time went: seconds in the target and in each evaluator, the longest first."""
    seconds: dict[str, float] = defaultdict(float)
    for result in results:
        seconds["target"] += result.latency_ms / 1000
        for outcome in result.metrics:
            seconds[outcome.name] += outcome.latency_s
    return {name: round(spent, 4) for name, spent in sorted(seconds.items(), key=lambda item: -item[1])}


def git_sha() -> str:
    """The commit of the working directory, with "+" when something is not committed; '' outside git."""
    try:
        sha, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return sha + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=5, check=True)  # noqa: S603
    return done.stdout.strip()
