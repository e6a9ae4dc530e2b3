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
"""
_RECENT = f"{_NODES} WHERE inserted_at >= now64(3) - toIntervalSecond({{seconds:UInt32}}) ORDER BY inserted_at DESC LIMIT {{rows:UInt32}}"
_OF_TRACES = f"{_NODES} WHERE trace_id IN {{trace_ids:Array(String)}} AND role IN ('call', 'other')"

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
