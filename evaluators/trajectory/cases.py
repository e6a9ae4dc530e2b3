"""Failing traces and conversations as regression cases that keep what the agent did: its steps and its tools' results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ...queries.failures.conversations import failing_conversations
from ...queries.unit_scoring_store import UnitScoringStore
from .conversation import Conversation
from .render import render_conversation, render_trace
from .replay import TOOL_RESULTS
from .stored import read_conversation, read_traces
from .tool_calls import MAX_TOOL_CALLS, ToolCall, call_record
from .trace import Trace

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

TRAJECTORY = "trajectory"
KEPT_CHARACTERS = 12_000
"""Of a rendered trajectory in a case."""
AT_ONCE = 50
Redact = Callable[[Any], Any]


def with_trajectories(
    store: StoreClient, cases: Sequence[dict[str, Any]], *, project: str = "default", redact: Redact | None = None
) -> list[dict[str, Any]]:
    """The cases of `find_failures` with `trajectory` and `tool_results` in the metadata where tools were called.

    A case whose whole trace failed is asked the trace's question, not what its last model call was sent.
    """
    units = UnitScoringStore(store)
    made: list[dict[str, Any]] = []
    for start in range(0, len(cases), AT_ONCE):
        some = cases[start : start + AT_ONCE]
        traces = read_traces(units, project, [str(one["metadata"]["source_trace_id"]) for one in some])
        for case in some:
            trace = traces.get(str(case["metadata"]["source_trace_id"]))
            made.append(case if trace is None else _with_trajectory(case, trace, redact))
    return made


def conversation_cases(
    store: StoreClient,
    *,
    since: timedelta,
    project: str = "default",
    where: str = "",
    limit: int = 1000,
    redact: Redact | None = None,
    now: datetime | None = None,
) -> list[dict[str, Any]]:
    """Failing conversations as cases with the user's turns as their input (`turns`), pending review."""
    begin = (now or datetime.now(UTC)) - since
    units = UnitScoringStore(store)
    found = []
    for row in failing_conversations(store, since=begin, project=project, where=where, limit=limit):
        conversation = read_conversation(units, project, str(row["conversation_id"]))
        turns = [turn.question for turn in conversation.turns if turn.question]
        if turns:
            case = _conversation_case(row, conversation, turns)
            found.append(redact(case) if redact else case)
    return found


def recorded_results(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """The calls as a recording that `--replay-tools` plays; calls that nothing shows to have run are left out."""
    return [call_record(call) for call in calls if call.executed][:MAX_TOOL_CALLS]


def _with_trajectory(case: dict[str, Any], trace: Trace, redact: Redact | None) -> dict[str, Any]:
    if not trace.tool_calls and len(trace.steps) < 2:
        return case
    about = {**case["metadata"], TRAJECTORY: render_trace(trace, KEPT_CHARACTERS).text}
    if trace.tool_calls:
        about[TOOL_RESULTS] = recorded_results(trace.tool_calls)
    conversation = next((str(span["conversation_id"]) for span in trace.spans if span.get("conversation_id")), "")
    if conversation:
        about["conversation_id"] = conversation
    made = {**case, "metadata": about, "tags": sorted({*case["tags"], "agent"})}
    if _whole_trace_failed(case) and trace.question and "question" in case["input"]:
        made["input"] = {"question": trace.question, "messages": _asked(trace)}
    return redact(made) if redact else made


def _whole_trace_failed(case: Mapping[str, Any]) -> bool:
    verdicts = case["metadata"].get("failure", {}).get("evaluations") or []
    return any(verdict.get("unit") == "trace" for verdict in verdicts if isinstance(verdict, Mapping))


def _asked(trace: Trace) -> list[dict[str, str]]:
    """The messages that the first model call was sent, without the system's: what the agent was asked with."""
    found: list[dict[str, str]] = []
    for message in trace.messages:
        if message["role"] == "assistant" and not found:
            continue
        if message["role"] in ("user", "assistant") and message["content"]:
            found.append({"role": message["role"], "content": message["content"]})
        if message["role"] == "user" and message["content"] == trace.question:
            break
    return found or [{"role": "user", "content": trace.question}]


def _conversation_case(row: Mapping[str, Any], conversation: Conversation, turns: list[str]) -> dict[str, Any]:
    name, when = str(row["conversation_id"]), row["last_time"]
    last = when if when.tzinfo else when.replace(tzinfo=UTC)
    calls = [call for turn in conversation.turns for call in turn.trace.tool_calls]
    metadata: dict[str, Any] = {
        "review": "pending",
        "reason": "; ".join(_reason(verdict) for verdict in row["verdicts"]),
        "failure": {
            "output": conversation.answer,
            "evaluations": [{**verdict, "unit": "conversation"} for verdict in row["verdicts"]],
        },
        "source_trace_id": conversation.turns[-1].trace.trace_id,
        "source_span_id": "",
        "trace_ids": [turn.trace.trace_id for turn in conversation.turns][:50],
        "conversation_id": name,
        "count": 1,
        "estimated_count": float(row["weight"]),
        "first_seen": last.isoformat(timespec="milliseconds"),
        "last_seen": last.isoformat(timespec="milliseconds"),
        TRAJECTORY: render_conversation(conversation, KEPT_CHARACTERS).text,
        **({"service": row["service"]} if row["service"] else {}),
        **({TOOL_RESULTS: recorded_results(calls)} if calls else {}),
    }
    return {
        "id": f"failure-conversation-{sha256(name.encode('utf-8', 'replace')).hexdigest()[:24]}",
        "partition": "regression",
        "input": {"turns": turns},
        "expected_output": None,
        "metadata": metadata,
        "tags": sorted({"production-failure", "conversation", *(str(one["name"]) for one in row["verdicts"])}),
        "created_at": last.isoformat(timespec="milliseconds"),
    }


def _reason(verdict: Mapping[str, Any]) -> str:
    value = f" {verdict['score']:.3g}" if verdict["score"] is not None else ""
    return f"{verdict['name']}{value} {verdict['label'] or verdict['passed']}".strip()
