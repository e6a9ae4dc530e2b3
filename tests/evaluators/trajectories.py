"""Rows of spans as agents make them, for tests of what reads whole traces and conversations."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.evaluators.trajectory.otlp_rows import rows_of
from evalspan.evaluators.trajectory.trace import Trace, trace_of

RECORDINGS = Path(__file__).parents[1] / "collector" / "dialects" / "recordings"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
_ids = itertools.count(1)

Row = dict[str, Any]


def recorded(dialect: str) -> Trace:
    """What another instrumentor really emitted, as one trace (some put every call into a trace of its own)."""
    request = ExportTraceServiceRequest.FromString((RECORDINGS / f"{dialect}.otlp").read_bytes())
    normalise(request)
    return trace_of(rows_of(request))


def span(
    name: str, parent: Row | None = None, *, at: float = 0, seconds: float = 1, error: str = "", **columns: Any
) -> Row:
    """One row; `at` and `seconds` place it in time."""
    number = next(_ids)
    return {
        "project": "default",
        "trace_id": parent["trace_id"] if parent else f"{number:032x}",
        "span_id": f"{number:016x}",
        "parent_span_id": parent["span_id"] if parent else "",
        "start_time": NOON + timedelta(seconds=at),
        "duration_ns": int(seconds * 1e9),
        "name": name,
        "status": "ERROR" if error else "UNSET",
        "status_message": error,
        "error_type": "",
        "operation": "",
        "kind": "INTERNAL",
        "input": "",
        "output": "",
        "attributes": {},
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": None,
        "conversation_id": "",
        "user_id": "",
        "sample_weight": 1.0,
        **columns,
    }


def said(role: str, text: str = "", calls: list[tuple[str, str, Any]] | None = None) -> dict[str, Any]:
    """One message: text, and tool calls as (id, name, arguments)."""
    parts: list[dict[str, Any]] = [{"type": "text", "content": text}] if text else []
    parts += [{"type": "tool_call", "id": i, "name": n, "arguments": a} for i, n, a in calls or ()]
    return {"role": role, "parts": parts}


def returned(call_id: str, result: Any) -> dict[str, Any]:
    """A tool's result in the messages."""
    return {"role": "tool", "parts": [{"type": "tool_call_response", "id": call_id, "response": result}]}


def call(parent: Row | None, asked: list[dict[str, Any]], answered: list[dict[str, Any]], **columns: Any) -> Row:
    """A model call with its messages."""
    columns = {"cost_usd": 0.01, "input_tokens": 100, "output_tokens": 10, "request_model": "gpt-5-mini", **columns}
    return span("chat", parent, operation="chat", input=json.dumps(asked), output=json.dumps(answered), **columns)


def tool(
    parent: Row | None, name: str, arguments: Any, result: Any = "ok", *, call_id: str = "", **columns: Any
) -> Row:
    """A tool's span."""
    attributes = {"gen_ai.tool.call.id": call_id} if call_id else {}
    given = arguments if isinstance(arguments, str) else json.dumps(arguments)
    got = result if isinstance(result, str) else json.dumps(result)
    return span(f"execute_tool {name}", parent, operation="execute_tool", tool_name=name, input=given, output=got, attributes=attributes, **columns)  # fmt: skip


def support(
    *, refund: Any = None, tools_have_spans: bool = True, answer: str = "Your order A1 has shipped."
) -> list[Row]:
    """An agent that looks an order up, and with `refund` (its arguments) refunds it."""
    root = span("invoke_agent support", operation="invoke_agent", agent_name="support", seconds=9,
                input=json.dumps([said("user", "Where is my order A1?")]), output=json.dumps([said("assistant", answer)]),
                conversation_id="c1", user_id="ann")  # fmt: skip
    asked = [said("system", "Be kind."), said("user", "Where is my order A1?")]
    calls: list[tuple[str, str, Any]] = [("t1", "find_order", {"order": "A1"})]
    calls += [("t2", "refund", refund)] if refund is not None else []
    first = call(root, asked, [said("assistant", calls=calls)], at=1)
    results: list[dict[str, Any]] = [returned("t1", {"status": "shipped"})]
    results += [returned("t2", "refunded")] if refund is not None else []
    second = call(root, [*asked, said("assistant", calls=calls), *results], [said("assistant", answer)], at=5)
    rows = [root, first, second]
    if tools_have_spans:
        rows.append(tool(root, "find_order", {"order": "A1"}, {"status": "shipped"}, call_id="t1", at=2.5))
        rows += [tool(root, "refund", refund, "refunded", call_id="t2", at=3.5)] if refund is not None else []
    return rows
