"""What an experiment leaves behind: one result per case and repeat, with the identity of what ran; a JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError
from ...queries.atomic_write import write_atomically
from ..runner import EvaluationResult
from .case_verdict import CaseCause, Status
from .target import Identity

SCHEMA = "evalspan.experiment/1"


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """One case asked once."""

    example_id: str
    partition: str
    content_hash: str
    repeat: int = 0
    input: dict[str, Any]
    model_name: str
    prompt_version: str
    model_output: str | None
    context: Any = None
    metrics: list[EvaluationResult]
    latency_ms: float
    timestamp: str
    """When the answer was given: of a cached one, when it was given first."""
    status: Status
    passed: bool | None
    """None: inconclusive, which is not a pass."""
    failure_reason: str | None
    cause: CaseCause | None = None
    """What kind of reason that is; None for a passed case."""
    root_cause: str = ""
    tags: list[str] = []
    trace_id: str = ""
    tool_calls: list[dict[str, Any]] = []
    """The tools that the target called, as far as its spans or its answer show: name, arguments, result or error."""
    weight: float = 1.0
    """1 / the probability with which the case was drawn from traffic; 1 for cases made by hand."""
    cluster: str = ""
    """Cases of one cluster (a conversation, a document) are not independent; '' stands alone."""

    def metric(self, name: str) -> EvaluationResult | None:
        """The outcome of one evaluator."""
        return next((outcome for outcome in self.metrics if outcome.name == name), None)


class Metric(msgspec.Struct, frozen=True):
    """An evaluator of the suite: what passing means under it."""

    name: str
    version: str
    kind: str
    direction: str
    threshold: float | None
    passes: str
    """In words, e.g. "at least 0.85"."""
    calibrated: bool | None = None


class Experiment(msgspec.Struct, kw_only=True):
    """A dataset through a target under a suite."""

    schema: str = SCHEMA
    experiment_id: str
    name: str
    dataset: str
    dataset_version: int
    dataset_hash: str
    target: Identity
    suite: list[Metric]
    git_sha: str
    started_at: str
    """The time of the newest answer, so that a run from the cache repeats it."""
    repeats: int = 1
    over_budget: list[str] = []
    """Ids of the cases that the time budget did not reach."""
    profile: dict[str, float] = {}
    """Seconds spent in the target and in each evaluator, summed over the cases."""
    results: list[CaseResult]

    def save(self, path: str | Path) -> None:
        """Writes the record atomically."""
        write_atomically(Path(path), msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    def of(self, partition: str) -> list[CaseResult]:
        """The results of one partition."""
        return [result for result in self.results if result.partition == partition]


def load_experiment(path: str | Path) -> Experiment:
    """The experiment in a file: a record, or a gate report, which holds one. Raises UsageError saying what is wrong."""
    try:
        document = msgspec.json.decode(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read the experiment {path}: {error.strerror}", hint="check the path") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is not JSON: {error}", hint="write one with `evalspan experiment run --out`"
        ) from error
    if isinstance(document, dict) and isinstance(document.get("experiment"), dict):
        document = {**document["experiment"], "results": document.get("results", [])}
    try:
        return msgspec.convert(document, Experiment)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{path} is not a record of an experiment: {error}",
            hint="write one with `evalspan experiment run --out FILE` or `evalspan gate --report FILE`",
        ) from error
