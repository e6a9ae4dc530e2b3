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

from ..queries.languages import language_of
from ..queries.messages import question_in
from .contract import Unit
from .runner import EvaluationResult

Source = Literal["code", "llm_judge", "human", "user_feedback", "sdk"]
# Any fixed UUID serves; ids are only ever compared with each other.
_NAMESPACE = uuid.UUID("6f0d2b56-3c3e-4c55-8a9e-9a3f6e1c7b42")
_DIMENSIONS = (
    "service",
    "environment",
    "request_model",
    "prompt_name",
    "prompt_version",
    "system_hash",
    "segment",
    "conversation_id",  # scores of one conversation are one cluster, whatever their unit
)


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
    conversation_id: str = "",
) -> str:
    """The UUID of one judgement: the same judgement made again gets the same id.

    `conversation_id` is for judgements of a whole conversation only, which has neither trace nor span.
    """
    parts = [project, name, evaluator_version, source, author, trace_id, span_id, experiment_id, str(repeat)]
    if conversation_id:
        parts.append(conversation_id)
    return str(uuid.uuid5(_NAMESPACE, "\x00".join(parts)))


def evaluation_row(
    outcome: EvaluationResult,
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
    unit: Unit | None = None,
) -> dict[str, Any]:
    """One row for the table `evaluations`.

    `span` is a row of the table `spans` (or a part of one): its ids and dimensions are copied, and its
    `sample_weight` is multiplied by `evaluation_weight`, the inverse of the probability with which the span was
    chosen for this evaluation. `details` of the outcome go to `metadata` as JSON texts.

    `unit` says what was judged. Of a trace `span` is its root, and the row has no span_id; of a conversation `span` is
    the root of its last turn, whose trace is in the metadata as `last_trace_id`, and the row has neither trace nor span.
    None takes a span when there is a span_id, else a trace.
    """
    span = span or {}
    ids = {"trace_id": trace_id or str(span.get("trace_id", "")), "span_id": span_id or str(span.get("span_id", ""))}
    unit = unit or ("trace" if ids["trace_id"] and not ids["span_id"] else "span")
    about = {**outcome.details, **(metadata or {})}
    judged: dict[str, str] = {}
    if unit == "conversation":
        about["last_trace_id"] = ids["trace_id"]
        judged = {"conversation_id": str(span.get("conversation_id") or "")}
        ids = {"trace_id": "", "span_id": ""}
    elif unit == "trace":
        ids["span_id"] = ""
    identity = {
        "project": project,
        "name": outcome.name,
        "evaluator_version": outcome.version,
        "source": source,
        "author": author,
        **ids,
        "experiment_id": experiment_id,
    }
    return {
        **_dimensions(span, span_time, segment),
        **_judgement(outcome),
        **identity,
        "unit": unit,
        "evaluation_id": evaluation_id(**identity, repeat=repeat, **judged),
        "sample_weight": float(span.get("sample_weight") or 1.0) * evaluation_weight,
        "dataset": dataset,
        "metadata": _texts(about),
    }


def _dimensions(span: Mapping[str, Any], span_time: datetime | None, segment: str) -> dict[str, Any]:
    copied: dict[str, Any] = {name: str(span[name]) for name in _DIMENSIONS if span.get(name) is not None}
    if segment:
        copied["segment"] = segment
    if span.get("input"):
        copied["input_size"] = min(255, len(str(span["input"])).bit_length())
        copied["input_language"] = language_of(question_in(span["input"]))
    time = span_time or span.get("start_time")
    return copied if time is None else {**copied, "span_time": time}


def _judgement(outcome: EvaluationResult) -> dict[str, Any]:
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
