"""Experiments in the store: written when one is named, read back as baselines and for comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from .record import CaseResult, Experiment, load_experiment

if TYPE_CHECKING:
    from ...queries.store.config import Location
    from ...queries.store.protocol import StoreClient

PASSED = {True: "pass", False: "fail", None: "unknown"}


def save_to_store(store: StoreClient, run: Experiment, *, project: str = "default", verdict: str = "") -> None:
    """Writes the run into `experiments` and `experiment_results`."""
    from ...queries.experiments import store_experiment

    record: dict[str, Any] = msgspec.to_builtins(run)
    del record["results"]
    row = {
        "project": project,
        "experiment_id": run.experiment_id,
        "name": run.name,
        "dataset": run.dataset,
        "dataset_hash": run.dataset_hash,
        "target": run.target.target,
        "suite": ", ".join(f"{metric.name} {metric.version}" for metric in run.suite),
        "model": run.target.model,
        "prompt_version": run.target.prompt_version,
        "git_sha": run.git_sha,
        "config": msgspec.json.encode(record).decode(),
        "summary": msgspec.json.encode(_summary(run)).decode(),
        "status": verdict,
    }
    if run.started_at:
        row["started_at"] = row["finished_at"] = run.started_at
    store_experiment(store, row, [_row(run, result, project) for result in run.results])


def find_experiment(key: str, *, dsn: str | Location | None = None, project: str = "default") -> Experiment:
    """The experiment that a file holds, or the newest of the store with this id or name. Raises UsageError."""
    if Path(key).is_file():
        return load_experiment(key)
    if not dsn:
        raise UsageError(f"there is no file {key}", hint="record one with --out FILE, or name the store with --store")
    from ...queries.experiments import stored_experiment
    from ...queries.store.client import connect

    with connect(dsn) as store:
        found = stored_experiment(store, key, project)
    if found is None:
        raise UsageError(
            f"{key} is neither a file nor an experiment of {store.described}, project {project!r}.",
            hint="`evalspan experiment list`",
        )
    config, results = found
    try:
        record = msgspec.json.decode(config)
        record["results"] = [msgspec.json.decode(result) for result in results]
        return msgspec.convert(record, Experiment)
    except (msgspec.DecodeError, TypeError) as error:
        raise UsageError(
            f"the experiment {key} in the store is not a whole record: {error}",
            hint="record it again with `evalspan experiment run`; rows that something else wrote cannot be compared",
        ) from error


def _row(run: Experiment, result: CaseResult, project: str) -> dict[str, Any]:
    scores = {one.name: one.value for one in result.metrics if one.value is not None}
    costs = [one.cost_usd for one in result.metrics if one.cost_usd is not None]
    row = {
        "project": project,
        "experiment_id": run.experiment_id,
        "example_id": result.example_id,
        "repeat": result.repeat,
        "partition": result.partition,
        "model": result.model_name,
        "prompt_version": result.prompt_version,
        "output": result.model_output or "",
        "error": "" if result.model_output is not None else result.failure_reason or "",
        "passed": PASSED[result.passed],
        "failure_reason": result.failure_reason or "",
        "scores": scores,
        "metrics": msgspec.json.encode(result).decode(),
        "latency_ms": result.latency_ms,
        "cost_usd": sum(costs) if costs else None,
        "trace_id": result.trace_id,
    }
    return {**row, "created_at": result.timestamp} if result.timestamp else row


def _summary(run: Experiment) -> dict[str, Any]:
    partitions = dict.fromkeys(result.partition for result in run.results)
    return {
        name: {
            "total": len(run.of(name)),
            "passed": sum(result.passed is True for result in run.of(name)),
            "unmeasured": sum(result.passed is None for result in run.of(name)),
        }
        for name in partitions
    }
