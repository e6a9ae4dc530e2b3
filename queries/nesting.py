"""Finds stored traces in which a call lies inside a call: parts that met in the store only, because they came late or at
several collectors.
"""

from __future__ import annotations

from typing import Any

from .store.client import Store

# A span lies within the time of the one around it, so its row stands in the same hour or in a neighbouring one. Rows of
# before a change of role may still be seen here: whoever asks for the spans sees each once.
_TRACES = """
WITH
    arrived AS (
        SELECT project, trace_id, toStartOfHour(start_time) AS hour FROM spans
        WHERE inserted_at >= now64(3) - toIntervalMillisecond({milliseconds:UInt64}) AND role IN ('call', 'other')
        GROUP BY project, trace_id, hour
    )
SELECT project, trace_id
FROM (
    SELECT project, trace_id,
        groupUniqArrayIf(span_id, role = 'call') AS calls,
        groupArrayIf(parent_span_id, role = 'call' AND parent_span_id != '') AS around_calls,
        groupArrayIf((span_id, parent_span_id), role = 'other' AND parent_span_id != '') AS others,
        groupUniqArray(parent_span_id) AS parents
    FROM spans
    WHERE role IN ('call', 'other') AND trace_id IN (SELECT trace_id FROM arrived)
        AND toStartOfHour(start_time) IN (
            SELECT arrayJoin([hour - INTERVAL 1 HOUR, hour, hour + INTERVAL 1 HOUR]) FROM arrived)
    GROUP BY project, trace_id
    HAVING length(calls) > 1
)
WHERE hasAny(calls, around_calls) OR arrayExists(one -> has(calls, one.2) AND has(parents, one.1), others)
LIMIT {most:UInt32}
SETTINGS final = 0
"""

_NODES = """
SELECT project, trace_id, span_id, parent_span_id, scope_name,
    if(operation = '' AND attributes['evalspan.role'] = 'other', attributes['evalspan.nested_operation'], operation) AS own_operation,
    operation = '' AND own_operation != '' AS has_lost, if(has_lost, 'call', role) AS own_role,
    attributes['gen_ai.usage.input_tokens'] != '' OR attributes['gen_ai.usage.output_tokens'] != '' AS has_usage, input != '' OR output != '' AS has_content,
    status = 'ERROR' AS failed, attributes['gen_ai.response.id'] AS response_id
FROM spans
WHERE NOT match(concat(trace_id, span_id, parent_span_id), '[^0-9a-f]')  -- rows that came another way than OTLP have other ids
"""
_RECENT = f"{_NODES} AND inserted_at >= now64(3) - toIntervalSecond({{seconds:UInt32}}) ORDER BY inserted_at DESC LIMIT {{rows:UInt32}}"
_OF_TRACES = f"{_NODES} AND trace_id IN {{trace_ids:Array(String)}} AND role IN ('call', 'other')"

# A run whose answer is fetched in several processes, at several collectors: all but the first that was stored.
_FETCHED = """
SELECT project, trace_id, span_id
FROM (
    SELECT project, trace_id, span_id, operation, inserted_at >= now64(3) - toIntervalMillisecond({milliseconds:UInt64}) AS is_new,
        row_number() OVER (PARTITION BY project, attributes['gen_ai.response.id'] ORDER BY ingested_at, span_id) AS place
    FROM spans
    WHERE role = 'call' AND start_time >= now64(9) - INTERVAL 1 DAY AND attributes['gen_ai.response.id'] IN (
        SELECT attributes['gen_ai.response.id'] FROM spans
        WHERE inserted_at >= now64(3) - toIntervalMillisecond({milliseconds:UInt64})
            AND role = 'call' AND operation = 'fetch_response' AND attributes['gen_ai.response.id'] != '')
)
WHERE place > 1 AND operation = 'fetch_response'
"""
_HAS_FETCHED = """
SELECT count() FROM spans
WHERE inserted_at >= now64(3) - toIntervalMillisecond({milliseconds:UInt64}) AND role = 'call' AND operation = 'fetch_response'
SETTINGS final = 0
"""


# An SDK that traces itself makes a trace of its own of each call where the tracer around it makes no span current, as
# OpenInference's for LangChain. The pair: the same model and answer, at a time within the other's.
_SAID_TWICE = """
SELECT own.project, own.trace_id, own.span_id, around.trace_id, around.span_id,
    ifNull(around.input_tokens, 0) = 0 AND own.input_tokens > 0 AS knows_more
FROM (
    SELECT project, service, trace_id, span_id, request_model, start_time, duration_ns, input_tokens, output_tokens FROM spans
    WHERE inserted_at >= now64(3) - toIntervalMillisecond({milliseconds:UInt64}) AND role = 'call' AND parent_span_id = ''
        AND scope_name IN {native:Array(String)} AND output_tokens IS NOT NULL
) AS own
INNER JOIN (
    SELECT project, service, trace_id, span_id, request_model, start_time, duration_ns, input_tokens, output_tokens FROM spans
    WHERE inserted_at >= now64(3) - toIntervalMillisecond({milliseconds:UInt64}) AND role = 'call' AND provider = 'anthropic'
        AND scope_name NOT IN {native:Array(String)} AND NOT startsWith(scope_name, 'evalspan')
) AS around ON around.project = own.project AND around.service = own.service AND around.request_model = own.request_model
    AND around.output_tokens = own.output_tokens
WHERE around.trace_id != own.trace_id AND around.start_time <= own.start_time
    AND around.start_time + toIntervalNanosecond(around.duration_ns) >= own.start_time + toIntervalNanosecond(own.duration_ns)
    AND (ifNull(around.input_tokens, 0) = 0 OR around.input_tokens = own.input_tokens)
ORDER BY own.start_time, around.start_time DESC
"""
_HAS_NATIVE = """
SELECT count() FROM spans
WHERE inserted_at >= now64(3) - toIntervalMillisecond({milliseconds:UInt64}) AND role = 'call' AND parent_span_id = ''
    AND scope_name IN {native:Array(String)}
SETTINGS final = 0
"""


def recent_spans(store: Store, seconds: int, rows: int) -> list[dict[str, Any]]:
    """What nesting is decided by of the spans stored in the last `seconds`, at most `rows`, newest first."""
    return store.query(_RECENT, {"seconds": seconds, "rows": rows}).dicts()


def nested_traces(store: Store, milliseconds: int, most: int) -> list[tuple[str, str]]:
    """Project and id of at most `most` traces with spans stored in the last `milliseconds` in which a call lies inside a call."""
    return [tuple(row) for row in store.query(_TRACES, {"milliseconds": milliseconds, "most": most}).rows]


def spans_of(store: Store, trace_ids: list[str]) -> list[dict[str, Any]]:
    """What nesting is decided by, of the spans of these traces that can be calls or lie between two."""
    return store.query(_OF_TRACES, {"trace_ids": trace_ids}).dicts()


def runs_fetched_again(store: Store, milliseconds: int) -> list[tuple[str, str, str]]:
    """Project, trace and span of calls stored in the last `milliseconds` that fetch an answer which another call has."""
    if not store.query(_HAS_FETCHED, {"milliseconds": milliseconds}).rows[0][0]:
        return []
    return [tuple(row) for row in store.query(_FETCHED, {"milliseconds": milliseconds}).rows]


def calls_said_twice(store: Store, milliseconds: int, native: list[str]) -> list[tuple[str, str, str]]:
    """
    Project, trace and span of what is no call, where an SDK's own tracing (scopes `native`) has a trace of its own beside
    another tracer's span of the same call, both stored in the last `milliseconds`: the SDK's, unless it alone knows the
    tokens of the input. Each span stands for one at most.
    """
    parameters = {"milliseconds": milliseconds, "native": native}
    if not store.query(_HAS_NATIVE, parameters).rows[0][0]:
        return []
    taken: set[str] = set()
    found = []
    for project, trace_id, span_id, around_trace, around, knows_more in store.query(_SAID_TWICE, parameters).rows:
        if taken.isdisjoint((span_id, around)):
            taken |= {span_id, around}
            found.append((project, around_trace, around) if knows_more else (project, trace_id, span_id))
    return found
