"""Conditions on spans, traces and scores as people write them in an address, such as `region=eu-west-1`, and their SQL.

Keys name a column, an attribute or a score; values are always bound as parameters, never written into the statement.
"""

# ruff: noqa: S608 - only texts of this module are put into a statement; keys and values of readers are parameters

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..errors import UsageError

PROMPT = "trimLeft(concat(prompt_name, ' ', prompt_version))"
"""A version with the name of its prompt: two prompts may both have a v2."""
ENTRY = "(parent_span_id = '' OR kind IN ('SERVER', 'CONSUMER'))"
"""The span by which a trace entered."""
COLUMNS: Mapping[str, str] = {
    "service": "service",
    "environment": "environment",
    "name": "name",
    "model": "request_model",
    "response_model": "response_model",
    "provider": "provider",
    "operation": "operation",
    "role": "role",
    "status": "toString(status)",
    "error": "error_type",
    "message": "status_message",
    "agent": "agent_name",
    "tool": "tool_name",
    "prompt": "prompt_name",
    "version": PROMPT,
    "hash": "system_hash",
    "session": "conversation_id",
    "user": "user_id",
    "kind": "toString(kind)",
    "rule": "sample_rule",
    "trace": "trace_id",
    "project": "project",
}
"""What a key of an address means in the table of spans."""
NUMBERS: Mapping[str, str] = {
    "duration_ms": "duration_ns / 1e6",
    "took_ms": f"if({ENTRY}, duration_ns / 1e6, NULL)",
    "cost": "ifNull(cost_usd, 0)",
    "input_tokens": "ifNull(input_tokens, 0)",
    "output_tokens": "ifNull(output_tokens, 0)",
    "tokens": "ifNull(input_tokens, 0) + ifNull(output_tokens, 0)",
    "ttft_s": "ifNull(ttft_s, 0)",
}
SCORE, LABEL, FAILED, SEGMENT = "score.", "label.", "failed", "segment"
AT = "at"
"""The key of a stretch of time: `at=2026-01-31T10:00Z..2026-01-31T12:00Z`."""
OF_SCORES: Mapping[str, str] = {
    "version": PROMPT,
    "model": "request_model",
    "segment": "segment",
    "service": "service",
    "environment": "environment",
    "evaluator": "evaluator_version",
    "source": "toString(source)",
}
"""What a score itself carries: `score.tone@model=gpt-5` are scores of calls of that model, whatever else the trace called."""
UNITS = ("span", "trace", "conversation")
"""What a score judges, where one name has scores of several: `score.tone@trace<0.5`, `score.tone@trace@model=gpt-5`."""
_WRITTEN = re.compile(r"([^=!<>~]+?)\s*(!=|!~|>=|<=|=|~|>|<)\s*(.*)", re.DOTALL)
_RANGE = re.compile(r"(-?[\d.]+(?:e-?\d+)?)\.\.(-?[\d.]+(?:e-?\d+)?)")
_SAID = (
    "({text} ILIKE {value} AND replaceRegexpAll({text}, '\"(role|parts|type|content|name|id|finish_reason)\":', '')"
    " ILIKE {value})"
)
"""The keys of the message JSON are no text: "tent" is not in every "content"."""
_SPAN_RANGE, _SCORE_RANGE = (
    f"{time} >= {{start:DateTime64(3)}} - INTERVAL 1 HOUR AND {time} < {{end:DateTime64(3)}} + INTERVAL 1 HOUR\n"
    "        AND project = {project:String} -- if project\n"
    for time in ("start_time", "span_time")
)
"""A trace is found by a span that began a little before or after the range of its entry."""
_VALUE = "coalesce(score, if(passed = 'unknown', NULL, toFloat64(passed = 'pass')))"
MAX_CONDITIONS = 20


class Condition(msgspec.Struct, frozen=True):
    """One condition: a key, one of = != ~ !~ > >= < <=, and a value; `~` means "contains"."""

    key: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}{self.op}{self.value}"

    @property
    def negated(self) -> bool:
        """Whether no span of a trace may match, rather than one must."""
        return self.op.startswith("!")


def parse(text: str) -> Condition:
    """`key=value` as a condition; raises UsageError for a text without an operator."""
    found = _WRITTEN.fullmatch(text.strip())
    if not found:
        raise UsageError(
            f"{text!r} is not a filter.", hint="Write key=value, or one of != ~ !~ > >= < <=, such as region=eu-west-1."
        )
    condition = Condition(found[1].strip(), found[2], found[3])
    if condition.op in {">", ">=", "<", "<="}:
        _number(condition)
    return condition


class Filter(msgspec.Struct, frozen=True):
    """The SQL of some conditions, which begins with AND for each, and the parameters that it names."""

    text: str
    parameters: dict[str, Any]


def expression(key: str, parameter: str) -> tuple[str, dict[str, str]]:
    """The text that a span holds under `key`: a column, or an attribute of the span or its resource."""
    if key in COLUMNS:
        return COLUMNS[key], {}
    if key in NUMBERS:
        return f"toString({NUMBERS[key]})", {}
    place = f"{{{parameter}:String}}"
    return f"if(mapContains(attributes, {place}), attributes[{place}], resource[{place}])", {parameter: key}


def span_filter(conditions: Iterable[Condition]) -> Filter:
    """The conditions as they hold for one span. Raises UsageError for more than 20."""
    text, parameters = list[str](), dict[str, Any]()
    for number, condition in enumerate(_limited(conditions)):
        if _is_of_trace(condition):
            made, given = _trace_condition(condition, number)
        else:
            made, given = _span_condition(condition, number)
        text.append(f"    AND {made}")
        parameters |= given
    return Filter("\n".join(text), parameters)


def trace_filter(conditions: Iterable[Condition]) -> Filter:
    """The conditions as they hold for a trace: one of its spans matches, or none where the operator is negated."""
    text, parameters = list[str](), dict[str, Any]()
    for number, condition in enumerate(_limited(conditions)):
        made, given = _trace_condition(condition, number)
        text.append(f"    AND {made}")
        parameters |= given
    return Filter("\n".join(text), parameters)


def conversation_filter(conditions: Iterable[Condition]) -> Filter:
    """The conditions as they hold for a conversation: by its own scores, else by one of its traces; none where negated."""
    text, parameters = list[str](), dict[str, Any]()
    for number, condition in enumerate(_limited(conditions)):
        no = "NOT " if condition.negated else ""
        positive = Condition(condition.key, {"!=": "=", "!~": "~"}.get(condition.op, condition.op), condition.value)
        if condition.key.startswith((SCORE, LABEL)) and "conversation" in condition.key.split("@")[1:]:
            made, given = _of_scores(positive, number, judged="conversation_id")
            text.append(f"    AND {made.replace(' IN', f' {no}IN', 1)}")
        else:
            made, given = _trace_condition(positive, number)
            where = f"{_SPAN_RANGE}        AND conversation_id != '' AND {made}"
            text.append(f"    AND conversation_id {no}IN (\n        SELECT conversation_id FROM spans WHERE {where})")
        parameters |= given
    return Filter("\n".join(text), parameters)


def _limited(conditions: Iterable[Condition]) -> Sequence[Condition]:
    found = list(conditions)
    if len(found) > MAX_CONDITIONS:
        raise UsageError(f"{len(found)} filters are too many.", hint=f"{MAX_CONDITIONS} at most: remove some.")
    return found


def _is_of_trace(condition: Condition) -> bool:
    return condition.key in {FAILED, SEGMENT, "q"} or condition.key.startswith((SCORE, LABEL))


def _trace_condition(condition: Condition, number: int) -> tuple[str, dict[str, Any]]:
    key = condition.key
    if key in {FAILED, SEGMENT} or key.startswith((SCORE, LABEL)):
        return _of_scores(condition, number)
    if key == "q":
        inner, given = _search(condition.value, number)
    else:
        inner, given = _span_condition(Condition(key, condition.op.removeprefix("!"), condition.value), number)
        if condition.op == "!=":
            inner, given = _span_condition(Condition(key, "=", condition.value), number)
    no = "NOT " if condition.negated else ""
    return (
        f"trace_id {no}IN (\n        SELECT trace_id FROM spans\n        WHERE {_SPAN_RANGE}        AND {inner})",
        given,
    )


def _span_condition(condition: Condition, number: int) -> tuple[str, dict[str, Any]]:
    key, op, value = condition.key, condition.op, condition.value
    place = f"w{number}"
    if key == AT:
        first, _, last = value.partition("..")
        ends = [f"parseDateTime64BestEffort({{{name}:String}}, 3, 'UTC')" for name in (place, f"{place}_end")]
        text = f"{ENTRY} AND start_time >= {ends[0]} AND start_time < {ends[1]}"
        return text, {place: _moment(first), f"{place}_end": _moment(last)}
    if key in NUMBERS:
        column = NUMBERS[key]
        if span := _RANGE.fullmatch(value):
            return f"{column} >= {{{place}:Float64}} AND {column} < {{{place}_end:Float64}}", {
                place: float(span[1]),
                f"{place}_end": float(span[2]),
            }
        return f"{column} {op.replace('~', '=')} {{{place}:Float64}}", {place: _number(condition)}
    column, given = expression(key, f"k{number}")
    if op in {"~", "!~"}:
        return f"{column} {'NOT ' if op == '!~' else ''}ILIKE {{{place}:String}}", {**given, place: f"%{_like(value)}%"}
    if op in {">", ">=", "<", "<="}:
        return f"toFloat64OrNull(toString({column})) {op} {{{place}:Float64}}", {**given, place: _number(condition)}
    return f"{column} {op} {{{place}:String}}", {**given, place: value}


def _search(text: str, number: int) -> tuple[str, dict[str, Any]]:
    """Words in inputs and outputs, or an id as the pages print it: of a trace (also shortened), session, user, tenant."""
    place, exact, prefix = f"{{w{number}:String}}", f"{{w{number}_is:String}}", f"{{w{number}_begins:String}}"
    parts = [_SAID.format(text=body, value=place) for body in ("input", "output")]
    parts += [f"name ILIKE {place}", f"status_message ILIKE {place}"]
    parts += [f"{column} = {exact}" for column in ("conversation_id", "user_id")]
    parts += [f"has(mapValues(attributes), {exact})"]
    given: dict[str, Any] = {f"w{number}": f"%{_like(text)}%", f"w{number}_is": text}
    if re.fullmatch(r"[0-9a-fA-F]{4,32}", text):
        parts += [f"startsWith(trace_id, {prefix})", f"startsWith(span_id, {prefix})"]
        given[f"w{number}_begins"] = text.lower()
    return f"({' OR '.join(parts)})", given


def _of_scores(condition: Condition, number: int, judged: str = "trace_id") -> tuple[str, dict[str, Any]]:
    """A condition on the scores of a trace: failed by an evaluator, a score in a range, a label, a segment."""
    key, value, place = condition.key, condition.value, f"w{number}"
    given: dict[str, Any] = {}
    if key == FAILED:
        inner, given = f"name = {{{place}:String}} AND passed = 'fail'", {place: value}
    elif key == SEGMENT:
        inner, given = f"segment = {{{place}:String}}", {place: value}
    else:
        people = key.startswith(LABEL)
        inner = f"name = {{{place}_name:String}} AND source {'=' if people else '!='} 'human'"
        name, *about = key.removeprefix(LABEL if people else SCORE).split("@")
        given = {f"{place}_name": name}
        units = [one for one in about if one in UNITS]
        column = next((one for one in about if one not in UNITS), "")
        if units:
            inner, given = f"{inner} AND unit = {{{place}_unit:String}}", {**given, f"{place}_unit": units[0]}
        if column:
            if column not in OF_SCORES:
                raise UsageError(f"A score has no {column!r}.", hint=f"One of {', '.join((*OF_SCORES, *UNITS))}.")
            more, values = f"{OF_SCORES[column]} = {{{place}:String}} AND {_VALUE} IS NOT NULL", {place: value}
        else:
            more, values = _score_value(condition, place)
        inner, given = f"{inner} AND {more}", {**given, **values}
    no = "NOT " if condition.negated else ""
    where = f"WHERE {_SCORE_RANGE}        AND experiment_id = '' AND sample_weight > 0 AND {inner})"
    return f"{judged} {no}IN (\n        SELECT {judged} FROM evaluations FINAL\n        {where}", given


def _score_value(condition: Condition, place: str) -> tuple[str, dict[str, Any]]:
    value = condition.value
    number = _VALUE
    if value in {"pass", "fail", "unknown"}:
        return f"passed = {{{place}:String}}", {place: value}
    if value == "unscored":
        return f"{number} IS NULL", {}
    if value == "any":
        return f"{number} IS NOT NULL", {}
    if span := _RANGE.fullmatch(value):
        return f"{number} >= {{{place}:Float64}} AND {number} < {{{place}_end:Float64}}", {
            place: float(span[1]),
            f"{place}_end": float(span[2]),
        }
    try:
        return f"{number} {condition.op.lstrip('!')} {{{place}:Float64}}", {place: float(value)}
    except ValueError:
        return f"label = {{{place}:String}}", {place: value}


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no moment.", hint="Write at=2026-01-31T10:00Z..2026-01-31T12:00Z.") from error
    return (
        (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    )


def _number(condition: Condition) -> float:
    try:
        return float(condition.value)
    except ValueError as error:
        raise UsageError(
            f"{condition.key} {condition.op} needs a number, and {condition.value!r} is none.",
            hint="Write duration_ms>3000, or compare texts with = and ~.",
        ) from error


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
