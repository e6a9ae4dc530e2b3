"""Turns an outcome into a row of the evaluations table: deterministic id, the span's dimensions copied in.

Online evaluation, `evalspan score`, annotation and experiments all write through here, so a retry overwrites its own
earlier row and drift queries need no join.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from .runner import Outcome

Source = Literal["code", "llm_judge", "human", "user_feedback", "sdk"]
# Any fixed UUID serves; ids are only ever compared with each other.
_NAMESPACE = uuid.UUID("6f0d2b56-3c3e-4c55-8a9e-9a3f6e1c7b42")
_DIMENSIONS = ("service", "environment", "request_model", "prompt_name", "prompt_version", "system_hash", "segment")


def evaluation_id(
    *,
    project: str,
    name: str,
    evaluator_version: str,
    source: str,
    author: str = "",
    trace_id: str = "",
    span_id: str = "",
    experiment_id: str = "",
    repeat: int = 0,
) -> str:
    """The UUID of one judgement: the same judgement made again gets the same id."""
    parts = (project, name, evaluator_version, source, author, trace_id, span_id, experiment_id, str(repeat))
    return str(uuid.uuid5(_NAMESPACE, "\x00".join(parts)))


def evaluation_row(
    outcome: Outcome,
    *,
    project: str = "default",
    source: Source = "code",
    author: str = "",
    span: Mapping[str, Any] | None = None,
    trace_id: str = "",
    span_id: str = "",
    span_time: datetime | None = None,
    segment: str = "",
    evaluation_weight: float = 1.0,
    dataset: str = "",
    experiment_id: str = "",
    repeat: int = 0,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One row for the table `evaluations`.

    `span` is a row of the table `spans` (or a part of one): its ids and dimensions are copied, and its
    `sample_weight` is multiplied by `evaluation_weight`, the inverse of the probability with which the span was
    chosen for this evaluation. `details` of the outcome go to `metadata` as JSON texts.
    """
    span = span or {}
    identity = {
        "project": project,
        "name": outcome.name,
        "evaluator_version": outcome.version,
        "source": source,
        "author": author,
        "trace_id": trace_id or str(span.get("trace_id", "")),
        "span_id": span_id or str(span.get("span_id", "")),
        "experiment_id": experiment_id,
    }
    return {
        **_dimensions(span, span_time, segment),
        **_judgement(outcome),
        **identity,
        "evaluation_id": evaluation_id(**identity, repeat=repeat),
        "sample_weight": float(span.get("sample_weight") or 1.0) * evaluation_weight,
        "dataset": dataset,
        "metadata": _texts({**outcome.details, **(metadata or {})}),
    }


def _dimensions(span: Mapping[str, Any], span_time: datetime | None, segment: str) -> dict[str, Any]:
    copied: dict[str, Any] = {name: str(span[name]) for name in _DIMENSIONS if span.get(name) is not None}
    if segment:
        copied["segment"] = segment
    time = span_time or span.get("start_time")
    return copied if time is None else {**copied, "span_time": time}


def _judgement(outcome: Outcome) -> dict[str, Any]:
    return {
        "score": outcome.value,
        "label": outcome.label or "",
        "passed": {None: "unknown", True: "pass", False: "fail"}[outcome.passed],
        "explanation": outcome.explanation or "",
        "error": outcome.unscored or "",
        "judge_model": str(outcome.details.get("judge_model", "")),
        "judge_cost_usd": outcome.cost_usd,
        "judge_trace_id": str(outcome.details.get("judge_trace_id", "")),
    }


def _texts(details: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode() for key, value in details.items()
    }
