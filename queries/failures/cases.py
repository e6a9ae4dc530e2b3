"""A failing trace as a case in the shape of a dataset's line, and many of them as one per cluster; `failures` selects them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..messages import input_of, output_text, question_of
from ..near_duplicates import THRESHOLD, NearDuplicates, clusters

MAX_TRACE_IDS = 50


def case_of(judged: Sequence[Mapping[str, Any]], corrected: str | None) -> dict[str, Any] | None:
    """One trace as a case: asked as its model call was asked, else as its first span that has an input."""
    readable = [row for row in judged if row["input"]]
    if not readable:
        return None
    span = min(readable, key=lambda row: (row["operation"] not in ("chat", "text_completion"), row["parent_span_id"]))
    verdicts = [_verdict(row) for row in judged if row["name"]]
    reason = _reason(judged)
    metadata: dict[str, Any] = {
        "review": "pending",
        "reason": reason,
        "failure": {"output": output_text(span["output"]), "evaluations": verdicts},
        "source_trace_id": span["trace_id"],
        "source_span_id": span["span_id"],
        "trace_ids": [span["trace_id"]],
        "count": 1,
        "estimated_count": span["sample_weight"],
        "first_seen": _iso(span["start_time"]),
        "last_seen": _iso(span["start_time"]),
        **{
            key: span[key]
            for key in ("service", "request_model", "prompt_name", "prompt_version", "system_hash")
            if span[key]
        },
    }
    if span["status"] == "ERROR":
        metadata["failure"]["error"] = span["status_message"] or span["error_type"]
    return {
        "id": f"failure-{span['trace_id']}",
        "partition": "regression",
        "input": input_of(span["input"]),
        "expected_output": corrected,
        "metadata": metadata,
        "tags": sorted({"production-failure", *(row["name"] for row in judged if row["name"])}),
        "created_at": _iso(span["start_time"]),
    }


def _verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "evaluator_version", "unit", "source", "score", "label", "passed", "explanation")
    # A span is what is judged unless something else is said.
    said = {key: row[key] for key in keys if row[key] not in ("", None)}
    return {key: value for key, value in said.items() if (key, value) != ("unit", "span")}


def _reason(judged: Sequence[Mapping[str, Any]]) -> str:
    error = next((row for row in judged if row["status"] == "ERROR"), None)
    if error:
        return f"error: {error['status_message'] or error['error_type'] or 'without a message'}"
    said = []
    for row in judged:
        value = f" {row['score']:.3g}" if row["score"] is not None else ""
        said.append(f"{row['name']}{value} {row['label'] or row['passed']}".strip())
    return "; ".join(dict.fromkeys(said))


def one_per_cluster(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first case of each cluster, corrected ones before others, with the counts of all of them."""
    # The oldest leads, so that the same case stands for its cluster when more of it comes in.
    ordered = sorted(cases, key=lambda case: (case["expected_output"] is None, case["created_at"], case["id"]))
    kept = []
    for numbers in clusters([question_of(case["input"]) for case in ordered]):
        alike = [ordered[number] for number in numbers]
        head = alike[0]
        about = [case["metadata"] for case in alike]
        ids = [trace_id for one in about for trace_id in one["trace_ids"]]
        head["metadata"] |= {
            "count": len(alike),
            "estimated_count": round(sum(one["estimated_count"] for one in about), 3),
            "trace_ids": ids[:MAX_TRACE_IDS],
            "first_seen": min(one["first_seen"] for one in about),
            "last_seen": max(one["last_seen"] for one in about),
        }
        head["tags"] = sorted({tag for case in alike for tag in case["tags"]})
        kept.append(head)
    return sorted(kept, key=lambda case: -case["metadata"]["count"])


def split(
    cases: list[dict[str, Any]], known: Iterable[tuple[str, str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The cases that no known text is near to, and the others, each with the name of what it overlaps."""
    index = NearDuplicates(THRESHOLD)
    for name, text in known:
        index.add(name, text)
    fresh, overlapping = [], []
    for case in cases:
        match = index.find(question_of(case["input"]))
        if match is None:
            fresh.append(case)
        else:
            case["metadata"]["overlaps"] = match[0]
            overlapping.append(case)
    return fresh, overlapping


def _iso(time: datetime) -> str:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.isoformat(timespec="milliseconds")
