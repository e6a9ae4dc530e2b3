"""What must be true of a recorded run once it is stored: each request of the model once, with its tokens, in its place."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from genai_prices import Usage, calc_price
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.collector.dialects.nested_calls import NestedCalls
from evalspan.collector.insert.prices import Pricing
from evalspan.collector.insert.role_changes import RoleChanges
from evalspan.collector.log import framing
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store

from .catalog import CASES, JAVASCRIPT, Case
from .recording import Recording

# Steps that are one run of something that makes several calls: these are one trace each.
_RUNS = re.compile(r"agent|rag|crew|team|react|handoff|graph|tool_that_calls|session|retries")
_RECEIVED_MS = 1_790_000_000_000
_SQL = """
SELECT trace_id, span_id, parent_span_id, name, scope_name, role, operation, status, error_type, input_tokens, output_tokens, cached_tokens,
    conversation_id, agent_name, tool_name, input, output, toUnixTimestamp64Nano(start_time) AS start_ns, cost_usd, provider, request_model
FROM spans WHERE project = {project:String} ORDER BY start_time
"""


_SOLD_BY = {"gpt": "openai", "text": "openai", "claude": "anthropic", "gemini": "google", "mistral": "mistral"}


class Stored:
    """A recording as the store has it."""

    def __init__(self, recording: Recording, store: Store) -> None:
        self.recording = recording
        project = f"framework-{recording.framework}-{recording.mode}"
        pricing, nested = Pricing(store), NestedCalls()
        inserting = RoleChanges(store, pricing.insert, Telemetry(), pricing.reprice)  # as the service wires it
        for index, body in enumerate(recording.bodies):
            request = ExportTraceServiceRequest.FromString(body)
            normalise(request, nested, project)
            record = b"".join(framing.frame(request.SerializeToString(), project, _RECEIVED_MS))
            inserting.insert(record, f"{project}-{index}")
        self.rows: list[dict[str, Any]] = store.query(_SQL, {"project": project}).dicts()

    def of(self, role: str) -> list[dict[str, Any]]:
        """The spans of one role."""
        return [row for row in self.rows if row["role"] == role]

    def traces_of(self, step: dict[str, Any]) -> set[str]:
        """The traces that begin in a step."""
        return {row["trace_id"] for row in self.rows if step["began"] <= row["start_ns"] <= step["ended"]}


def case_of(recording: Recording) -> Case:
    return {**CASES, **JAVASCRIPT}[recording.framework]


def faults(stored: Stored) -> list[str]:
    """Everything that is not as it must be, in words."""
    recording, case = stored.recording, case_of(stored.recording)
    found = _calls(stored, case)
    for role, least in (("agent", case.agents), ("tool", case.tools), ("retrieval", case.retrieval)):
        spans = stored.of(role)
        if len(spans) < least:
            found.append(f"{len(spans)} spans of role {role}, at least {least} expected")
    found += [
        f"tool {row['tool_name'] or row['name']} has no input"
        for row in stored.of("tool")
        if not row["input"] and not row["output"] and row["scope_name"] != "mcp-python-sdk"
    ]
    found += [
        f"tool {row['tool_name']} has the input {row['input'][:80]}, not its argument `city`"
        for row in stored.of("tool")
        if row["tool_name"] in ("get_weather", "broken")
        and row["scope_name"] != "mcp-python-sdk"
        and not _names_city(row["input"])
    ]
    ids = {row["conversation_id"] for row in stored.rows}
    found += [f"conversation {one} is missing" for one in case.conversations if one not in ids]
    for step in recording.steps:
        if _RUNS.search(step["step"]) and step["step"] not in case.apart and len(stored.traces_of(step)) != 1:
            found.append(f"step {step['step']} is {len(stored.traces_of(step))} traces")
    if recording.framework in CASES and any(request["traceparent"] for request in recording.requests):
        found.append("traceparent was sent to the model's API")
    plain = {step["step"]: (step["how"], step["result"]) for step in recording.plain_steps}
    found += [
        f"step {step['step']} gives {step['result']!r}, without tracing {plain[step['step']][1]!r}"
        for step in recording.steps
        if plain and plain.get(step["step"]) != (step["how"], step["result"])
    ]
    return found


def _names_city(text: str) -> bool:
    try:
        given = json.loads(text)
    except ValueError:
        return False
    return isinstance(given, dict) and "city" in given


def _calls(stored: Stored, case: Case) -> list[str]:
    counted = [one for one in stored.recording.requests if one["counted"] and one["status"] == 200]
    calls = [row for row in stored.of("call") if row["status"] != "ERROR"]
    found = []
    if len(calls) != len(counted) - case.lost:
        found.append(f"{len(calls)} calls for {len(counted) - case.lost} requests of the model")
    told = Counter((one["input"], one["output"]) for one in counted if one["reported"])
    kept = Counter((row["input_tokens"], row["output_tokens"] or 0) for row in calls if row["input_tokens"] is not None)
    missing, surplus = told - kept, kept - told
    if sum(missing.values()) > case.lost + case.inexact + case.untold or sum(surplus.values()) > case.inexact:
        found.append(f"tokens missing {dict(missing)}, not of any request {dict(surplus)}")
    total = sum(one["input"] + one["output"] for one in counted if one["reported"])
    stored_total = sum(
        row["input_tokens"] + (row["output_tokens"] or 0) for row in calls if row["input_tokens"] is not None
    )
    if not (case.lost or case.untold) and stored_total != total:
        found.append(f"{stored_total} tokens stored, {total} counted by the server")
    found += _dollars(calls)
    failed = [one for one in stored.recording.requests if one["status"] != 200]
    if failed and not case.silent_errors and not [row for row in stored.of("call") if row["status"] == "ERROR"]:
        found.append("no call of the failed requests is an error")
    return found


def _dollars(calls: list[dict[str, Any]]) -> list[str]:
    """Each call costs what its tokens cost at the list price of the model that the server was asked for."""
    found = []
    for row in calls:
        if row["input_tokens"] is None:
            continue
        reference = row["request_model"].rpartition("/")[2]
        seller = _SOLD_BY.get(reference.partition("-")[0], "aws")
        tokens = {"input": row["input_tokens"], "cache_read": row["cached_tokens"], "output": row["output_tokens"] or 0}
        usage = Usage(**{f"{name}_tokens": count for name, count in tokens.items()})
        wanted = float(calc_price(usage, model_ref=reference, provider_id=seller).total_price)
        if row["cost_usd"] is None or abs(row["cost_usd"] - wanted) > 1e-9:
            found.append(f"{row['name']} of {row['request_model']} costs {row['cost_usd']}, {wanted} at the list price")
    return found
