"""`ArgumentsValid`: do the arguments of every tool call fit the tool's definition, as the model was given it?"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ...queries.plain_json import plain_json
from ...queries.trace_tree import Span
from ..contract import Score, Unscored, fingerprint
from .checks import TraceCheck
from .evidence import definitions_in
from .tool_calls import ToolCall
from .trace import Trace

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

TOOL_DEFINITIONS = "gen_ai.tool.definitions"


class ArgumentsValid(TraceCheck):
    """Checks each tool call against the JSON Schema of the tool's definition that the asking model call carried.

    A call fails when its arguments are not JSON, break the schema, or name a tool that was not offered. `strict` also
    refuses arguments that the schema does not name. The value is the share of valid calls; Unscored where no model call
    carries tool definitions, or no tool was called.
    """

    kind = "tools"

    def __init__(self, *, strict: bool = False, name: str = "arguments_valid") -> None:
        self.name, self.strict = name, strict
        self.version = fingerprint("arguments-valid-1", str(strict))

    def check(self, trace: Trace) -> Score | Unscored:
        """The share of tool calls whose arguments are valid."""
        if not trace.tool_calls:
            return Unscored("no tool was called")
        checked = 0
        wrong: list[tuple[ToolCall, str]] = []
        for call in trace.tool_calls:
            offered = _offered(trace, call)
            if not offered:
                continue
            problem = self._problem(call, offered)
            if problem is None:
                continue
            checked += 1
            if problem:
                wrong.append((call, problem))
        if not checked:
            return Unscored("no model call carries a definition of the tools that were called")
        return Score(
            1 - len(wrong) / checked,
            label="invalid" if wrong else "valid",
            passed=not wrong,
            explanation="; ".join(f"{call.name}: {problem}" for call, problem in wrong[:5])
            or "all arguments are valid",
            details={
                "checked": checked,
                "not_checked": len(trace.tool_calls) - checked,
                "wrong": [
                    {"name": call.name, "problem": problem, "span_id": call.span_id} for call, problem in wrong[:20]
                ],
                "span_ids": [call.span_id for call, _ in wrong[:50]],
            },
        )

    def _problem(self, call: ToolCall, offered: dict[str, dict[str, Any]]) -> str | None:
        """What is wrong, "" for nothing; None when the tool's definition says nothing that can be checked."""
        if call.name not in offered:
            return f"no such tool was offered; there were {', '.join(sorted(offered)[:8])}"
        schema = offered[call.name]["parameters"]
        if call.malformed and not isinstance(schema, dict):
            return "the arguments are not JSON"
        if not isinstance(schema, dict):
            return None
        if call.malformed:
            return "the arguments are not JSON"
        arguments = plain_json(call.arguments)
        validator = _validator(msgspec.json.encode(schema, order="sorted"))
        if validator is None:
            return None
        try:
            first = next(iter(validator.iter_errors(arguments)), None)
        except Exception as error:  # noqa: BLE001 - a schema that points elsewhere: nothing is fetched for it
            return None if type(error).__name__ == "_WrappedReferencingError" else f"cannot be checked: {error}"
        if first is not None:
            place = ".".join(str(step) for step in first.absolute_path)
            return f"{place}: {first.message[:200]}" if place else first.message[:200]
        unknown = [key for key in arguments if key not in schema.get("properties", {})] if self.strict else []
        return f"the schema does not name {', '.join(unknown[:5])}" if unknown else ""


def _offered(trace: Trace, call: ToolCall) -> dict[str, dict[str, Any]]:
    """The tools that the asking model call was offered; where that is unknown, all that the trace shows."""
    asking: Span | None = trace.tree.spans.get(call.asked_by)
    raw = (asking.get("attributes") or {}).get(TOOL_DEFINITIONS) if asking is not None else None
    own = {one["name"]: one for one in definitions_in(raw)} if raw else {}
    return own or trace.tool_definitions


@lru_cache(maxsize=512)
def _validator(schema: bytes) -> Validator | None:
    """A validator that fetches nothing, None for a schema that is none."""
    from jsonschema import Draft202012Validator, SchemaError
    from referencing import Registry

    value = msgspec.json.decode(schema)
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError:
        return None
    validator: Validator = Draft202012Validator(value, registry=Registry())
    return validator
