"""What came in lately, and from whom: the SQL of `evalspan status`, `evalspan tail` and `evalspan doctor`."""

from __future__ import annotations

from datetime import datetime

from .store.protocol import StoreClient
from .store.result import Result

_SENDERS = """
SELECT project, service, environment, scope_name AS instrumentation, count() AS spans, sum(sample_weight) AS stands_for,
       countIf(role != 'other') AS genai_spans, countIf(status = 'ERROR') AS errors, max(ingested_at) AS last_received
FROM spans
WHERE ingested_at > now() - {seconds:UInt32}
GROUP BY project, service, environment, scope_name
ORDER BY last_received DESC
"""

_UNPRICED = """
SELECT unpriced_reason AS reason, provider, if(response_model != '', response_model, request_model) AS model, count() AS calls
FROM spans
WHERE ingested_at > now() - {seconds:UInt32} AND role = 'call' AND unpriced_reason != ''
GROUP BY reason, provider, model
ORDER BY calls DESC, reason, provider, model
LIMIT 20
"""

_NEW = """
SELECT inserted_at, start_time, project, service, name, operation, role, request_model, input_tokens, output_tokens,
       duration_ns / 1e9 AS duration_s, status, error_type, trace_id, span_id, output_preview
FROM spans
WHERE inserted_at >= {since:DateTime64(3, 'UTC')} AND NOT has({seen:Array(String)}, span_id)
  AND ({service:String} = '' OR service = {service:String}) AND ({errors:Bool} = 0 OR status = 'ERROR')
ORDER BY inserted_at, start_time
LIMIT {most:UInt32}
"""

_ARRIVED = "SELECT count() FROM spans WHERE trace_id = {trace_id:String}"


def senders(store: StoreClient, seconds: int) -> Result:
    """Who sent spans in the last `seconds`: one row for each project, service, environment and instrumentation."""
    return store.query(_SENDERS, {"seconds": seconds})


def unpriced_calls(store: StoreClient, seconds: int) -> Result:
    """Calls of the last `seconds` whose cost is not known: the reasons, by provider and model, the most frequent first."""
    return store.query(_UNPRICED, {"seconds": seconds})


def new_spans(
    store: StoreClient, since: datetime, seen: list[str], *, service: str = "", errors: bool = False, most: int = 1000
) -> Result:
    """Spans stored at `since` or later whose ids are not in `seen`, oldest first."""
    parameters = {"since": since, "seen": seen, "service": service, "errors": errors, "most": most}
    return store.query(_NEW, parameters)


def has_arrived(store: StoreClient, trace_id: str) -> bool:
    """Whether a span of the trace can be queried."""
    return bool(store.query(_ARRIVED, {"trace_id": trace_id}).rows[0][0])
