"""CPU time of five rule-based evaluators of traces over stored rows of 20 spans, from the row to the five outcomes.

To reach: 200 traces a second and core. Exits 1 when missed: `python -m benchmarks.evaluators.traces`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from evalspan.evaluators import ArgumentsValid, ErrorsHandled, NoRepeatedCalls, StepBudget, ToolCalls
from evalspan.evaluators.online.units import trace_arguments
from evalspan.evaluators.runner import run_suite
from evalspan.evaluators.trajectory.trace import trace_of

TRACES, GOAL = 400, 200.0
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOOLS = json.dumps(
    [{"type": "function", "name": name, "parameters": {"type": "object", "properties": {"order": {"type": "string"}, "page": {"type": "integer"}}, "required": ["order"]}} for name in ("find_order", "refund", "search")]
)  # fmt: skip


def trace_rows(number: int) -> list[dict[str, Any]]:
    """An agent with nine model calls that hold the history so far, and ten tool calls: 20 spans, 3 KB a call at the end."""
    trace_id = f"{number:032x}"
    history: list[dict[str, Any]] = [
        {"role": "user", "parts": [{"type": "text", "content": f"Where is order A{number}?"}]}
    ]
    rows: list[dict[str, Any]] = []

    def add(name: str, **columns: Any) -> None:
        rows.append({
            "project": "p", "trace_id": trace_id, "span_id": f"{len(rows) + 1:016x}", "parent_span_id": f"{1:016x}" if rows else "",
            "start_time": NOON + timedelta(seconds=len(rows)), "duration_ns": 10**8, "name": name, "status": "OK", "input": "", "output": "",
            "attributes": {}, "cost_usd": 0.001, "input_tokens": 100, "output_tokens": 20, **columns,
        })  # fmt: skip

    add("invoke_agent support", role="agent", agent_name="support", duration_ns=10**11, input=json.dumps(history), output=json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "It has shipped."}]}]))  # fmt: skip
    for step in range(9):
        call_id, arguments = f"c{step}", {"order": f"A{number}", "page": step}
        said = {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": call_id, "name": "search", "arguments": arguments}],
        }
        add("chat", role="call", operation="chat", request_model="m", input=json.dumps(history), output=json.dumps([said]), attributes={"gen_ai.tool.definitions": TOOLS})  # fmt: skip
        add("execute_tool search", role="tool", tool_name="search", input=json.dumps(arguments), output='{"rows": [1, 2, 3], "note": "%s"}' % ("x" * 200), attributes={"gen_ai.tool.call.id": call_id})  # fmt: skip
        history = [
            *history,
            said,
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": call_id, "response": "x" * 200}]},
        ]
    add(
        "execute_tool refund", role="tool", tool_name="refund", input=json.dumps({"order": f"A{number}"}), output='"ok"'
    )
    return rows


async def traces_per_second() -> float:
    """Traces a second and core, as online evaluation does them."""
    suite = [
        ToolCalls(["search"] * 9 + ["refund"]),
        ArgumentsValid(),
        NoRepeatedCalls(),
        ErrorsHandled(),
        StepBudget(30),
    ]
    stored = [trace_rows(number) for number in range(TRACES)]
    assert all(len(rows) == 20 for rows in stored)
    began = time.process_time()
    for rows in stored:
        outcomes = await run_suite(suite, **trace_arguments(trace_of(rows)))
        assert all(one.passed for one in outcomes), outcomes
    return TRACES / (time.process_time() - began)


def main() -> int:
    """Prints the number and the goal."""
    found = asyncio.run(traces_per_second())
    print(f"{found:,.0f} traces of 20 spans a second and core (goal {GOAL:,.0f})")
    return 0 if found >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
