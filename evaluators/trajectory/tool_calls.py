"""The tool calls of a trace: what models asked for and what tool spans ran, joined so that each call counts once.

Frameworks tell of a tool call up to three times: in the model's answer, as a span, and in the next request's messages;
some nest one tool span in another (a framework's around a protocol's). A bare tool loop has no tool spans at all.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ...instrument import semconv
from ...queries.messages import Requested, decode, is_empty, messages_in, requested_in, responses_in
from ...queries.plain_json import plain_json
from ...queries.trace_tree import Span, TraceTree, begin_ns, end_ns, role_of

MAX_TOOL_CALLS = 200
"""Tool calls of one case that its record and its recording keep."""
_ERROR_STARTS = ("Error:", "ERROR:", "error:", "Error executing", "Traceback (most recent call last)", "Exception:")


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a tool, as it was asked for and as it went."""

    name: str
    arguments: Any
    """Data, usually an object; a text that is not JSON stays text, and `malformed` says so."""
    result: Any = None
    """Data where the tool returned JSON, else its text; None when nothing shows a result."""
    error: str | None = None
    """What went wrong; None for a call that worked, "" never."""
    span_id: str = ""
    """The tool's span; of a call without one, the span of the model call that asked for it."""
    duration_s: float | None = None
    """None where the tool has no span of its own."""
    call_id: str = ""
    asked_by: str = ""
    """Span id of the model call that asked for it, '' where no model's answer shows it."""
    agent: str = ""
    """The agent that called, '' when there is none."""
    started_s: float = 0.0
    """Seconds after the trace began."""
    executed: bool = True
    """False for a call that a model asked for and that nothing shows to have run."""
    malformed: bool = False

    def __str__(self) -> str:
        arguments = self.arguments
        if isinstance(arguments, dict):
            said = ", ".join(f"{key}={_short(value)}" for key, value in arguments.items())
        else:
            said = _short(arguments)
        ending = f" failed: {self.error}" if self.error is not None else "" if self.executed else " (not executed)"
        return f"{self.name}({said}){ending}"


def tool_calls_of(tree: TraceTree, agent_of: dict[str, str]) -> list[ToolCall]:
    """The tool calls of a trace in the order in which they began; `agent_of` names the agent of each span."""
    ran = list(_tool_spans(tree))
    asked = list(_requests(tree))
    results = _results(tree)
    matched = _match(ran, asked)
    calls: list[tuple[int, ToolCall]] = []
    asked_by = {id(one): str(span["span_id"]) for span, one in asked}
    for span, one in matched:
        call = _from_span(tree, span, one, results, agent_of)
        calls.append((begin_ns(span), msgspec.structs.replace(call, asked_by=asked_by.get(id(one), ""))))
    taken = {id(one) for _, one in matched if one is not None}
    for span, one in asked:
        if id(one) not in taken:
            calls.append((end_ns(span), _from_request(tree, span, one, results, agent_of)))
    calls.sort(key=lambda pair: pair[0])
    return [call for _, call in calls]


def _tool_spans(tree: TraceTree) -> Iterator[Span]:
    """The spans of tools, without those that only repeat the tool span around them, or beside them."""
    names: dict[str, set[str]] = {}
    ours = (span for span in tree.spans.values() if role_of(span) == "tool" and not _is_protocol(span))
    beside = {_without_server(tool_name(span)) for span in ours}
    for span_id in tree.order:
        span = tree.spans[span_id]
        above = names.get(tree.parent(span_id), set())
        if role_of(span) != "tool":
            # A model or an agent inside a tool starts anew: the same tool called in there is another call.
            names[span_id] = set() if role_of(span) in ("call", "agent") else above
            continue
        name = _without_server(tool_name(span))
        names[span_id] = {*above, name}
        if name not in above and not (_is_protocol(span) and name in beside):
            yield span


def _is_protocol(span: Span) -> bool:
    """Whether it is the Model Context Protocol's span of a call, as `queries/sql/parts/repeated_tools.sql` tells it."""
    return str(span.get("name") or "").startswith("tools/call")


def _without_server(name: str) -> str:
    """A tool's name without the server's in front of it: mcp__shop__find is find."""
    return name.rpartition("__")[2]


def tool_name(span: Span) -> str:
    """The tool's name: the attribute, else what follows `execute_tool` in the span's own name."""
    named = str(span.get("tool_name") or (span.get("attributes") or {}).get(semconv.TOOL_NAME) or "")
    return named or str(span.get("name") or "").removeprefix("execute_tool ").strip()


def _requests(tree: TraceTree) -> Iterator[tuple[Span, Requested]]:
    """What model calls asked for, once per call id; a model call inside another one tells the same again."""
    seen: set[str] = set()
    inside: dict[str, bool] = {}
    told: dict[str, frozenset[str]] = {}  # by the model calls around a span
    told_here: dict[str, set[str]] = {}
    for span_id in tree.order:
        span, parent = tree.spans[span_id], tree.parent(span_id)
        is_call = role_of(span) == "call"
        inside[span_id] = is_call or (inside.get(parent, False) and role_of(span) == "other")
        told[span_id] = told[parent] | told_here.get(parent, set()) if inside.get(parent, False) else frozenset()
        if not is_call:
            continue
        for one in requested_in(messages_in(span.get("output"))):
            alike = f"{one.name} {_canonical(one.arguments)}"
            if (one.id and one.id in seen) or alike in told[span_id]:
                continue
            seen |= {one.id} if one.id else set()
            told_here.setdefault(span_id, set()).add(alike)
            yield span, one


def _results(tree: TraceTree) -> dict[str, tuple[Any, bool]]:
    """What came back to the model, by call id: (result, whether it is marked as an error); the first message that says it."""
    found: dict[str, tuple[Any, bool]] = {}
    for span_id in tree.order:
        span = tree.spans[span_id]
        if role_of(span) == "call":
            for call_id, result, failed in responses_in(messages_in(span.get("input"))):
                found.setdefault(call_id, (result, failed))
    return found


def _match(ran: Sequence[Span], asked: Sequence[tuple[Span, Requested]]) -> list[tuple[Span, Requested | None]]:
    """Each tool span with the request that it answers: by call id, else by name and arguments, else by name and order."""
    by_id = {one.id: one for _, one in asked if one.id}
    found: dict[str, Requested] = {}
    taken: set[int] = set()
    for span in ran:
        named = by_id.get(_call_id(span))
        if named is not None and id(named) not in taken:
            found[str(span["span_id"])] = named
            taken.add(id(named))
    for exactly in (True, False):
        waiting: dict[tuple[str, str], deque[Requested]] = defaultdict(deque)
        for _, one in asked:
            if id(one) not in taken:
                waiting[one.name, _canonical(one.arguments) if exactly else ""].append(one)
        for span in ran:
            span_id = str(span["span_id"])
            if span_id in found or _call_id(span) in by_id:
                continue
            alike = waiting.get((tool_name(span), _canonical(_arguments(span)) if exactly else ""))
            if alike:
                found[span_id] = alike.popleft()
                taken.add(id(found[span_id]))
    return [(span, found.get(str(span["span_id"]))) for span in ran]


def _canonical(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str, order="sorted").decode()


def _from_span(
    tree: TraceTree, span: Span, one: Requested | None, results: dict[str, tuple[Any, bool]], agent_of: dict[str, str]
) -> ToolCall:
    call_id = _call_id(span) or (one.id if one else "")
    returned, failed = results.get(call_id, (None, False))
    result = decode(span.get("output"))
    result, has_failed = _plain_result(returned if is_empty(result) else result)
    failed |= has_failed
    # What the model wrote, where it is known: a tool's span may show the Python call, or state that a framework injects.
    arguments = one.arguments if one is not None and not is_empty(one.arguments) else _arguments(span)
    error = error_of(span)
    if error is None and failed:
        error = _short(result if returned is None else returned) or "the tool's result is marked as an error"
    return ToolCall(
        name=tool_name(span) or (one.name if one else ""),
        arguments={} if is_empty(arguments) else arguments,
        result=result if not is_empty(result) else None,
        error=error,
        span_id=str(span["span_id"]),
        duration_s=int(span["duration_ns"]) / 1e9,
        call_id=call_id,
        agent=agent_of.get(str(span["span_id"]), ""),
        started_s=(begin_ns(span) - tree.start_ns) / 1e9,
        malformed=bool(one and one.malformed) or isinstance(arguments, str),
    )


def _from_request(
    tree: TraceTree, span: Span, one: Requested, results: dict[str, tuple[Any, bool]], agent_of: dict[str, str]
) -> ToolCall:
    returned = results.get(one.id) if one.id else None
    given, failed = returned or (None, False)
    result, has_failed = _plain_result(given)
    failed |= has_failed
    return ToolCall(
        name=one.name,
        arguments=one.arguments,
        result=result,
        error=(_short(result) or "the tool's result is marked as an error") if failed else None,
        span_id=str(span["span_id"]),
        call_id=one.id,
        asked_by=str(span["span_id"]),
        agent=agent_of.get(str(span["span_id"]), ""),
        started_s=(end_ns(span) - tree.start_ns) / 1e9,
        executed=returned is not None,
        malformed=one.malformed,
    )


def call_record(call: ToolCall) -> dict[str, Any]:
    """A tool call as records and recordings hold it: name, arguments, and result or error."""
    record: dict[str, Any] = {"name": call.name, "arguments": plain_json(call.arguments)}
    if call.error is not None:
        return {**record, "error": call.error}
    return {**record, "result": plain_json(call.result)}


def failure_of(call: ToolCall) -> str | None:
    """Why a tool call failed: its own error, else what its result says; None when it worked.

    A tool that catches its error returns it: `{"error": "..."}`, `{"status": "error"}`, "Error: ...".
    """
    if call.error is not None:
        return call.error
    result = call.result
    if isinstance(result, Mapping):
        said = result.get("error") or result.get("errors")
        if said and said is not True:
            return _short(said)
        failed = said is True or result.get("is_error") is True or result.get("isError") is True
        failed = failed or result.get("success") is False or result.get("ok") is False
        if failed or str(result.get("status", "")).lower() in ("error", "failed", "failure"):
            return _short(result.get("message") or result.get("detail") or result)
    text = result.lstrip() if isinstance(result, str) else ""
    return _short(text) if text.startswith(_ERROR_STARTS) else None


def error_of(span: Span) -> str | None:
    """What went wrong in a span, None when nothing did."""
    if str(span.get("status") or "") != "ERROR":
        return None
    said = [str(span.get(key) or "").strip() for key in ("error_type", "status_message")]
    return ": ".join(dict.fromkeys(filter(None, said))) or "failed without a message"


def _call_id(span: Span) -> str:
    return str((span.get("attributes") or {}).get(semconv.TOOL_CALL_ID) or "")


def _arguments(span: Span) -> Any:
    value = decode(span.get("input"))
    # Frameworks hand a tool its arguments as one JSON text inside the JSON, or show how Python called it.
    value = decode(value) if isinstance(value, str) else value
    if isinstance(value, Mapping) and value.keys() == {"args", "kwargs"} and not value["args"]:
        return value["kwargs"]
    return value


def _plain_result(value: Any) -> tuple[Any, bool]:
    """A tool's result as data, out of the blocks or the protocol's answer around it; and whether that is marked as an error."""
    value, failed = decode(value), False
    if isinstance(value, Mapping) and isinstance(value.get("content"), list) and "isError" in value:
        failed = value["isError"] is True
        value = value.get("structuredContent") or value["content"]
    if isinstance(value, list) and value and all(_is_text_block(one) for one in value):
        value = decode("\n".join(one["text"] for one in value))
    return value, failed


def _is_text_block(one: Any) -> bool:
    return (
        isinstance(one, Mapping)
        and isinstance(one.get("text"), str)
        and one.get("type", "text") == "text"
        and one.keys() <= {"type", "text", "annotations", "meta", "_meta", "id", "extras", "cache_control"}
    )


def _short(value: Any, max_length: int = 120) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    text = " ".join(text.split())
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def names_of(calls: Iterable[ToolCall]) -> list[str]:
    """The tools' names, in order."""
    return [call.name for call in calls]
