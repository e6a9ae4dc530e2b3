"""The dimensions of spans by their ids: what a score copies from the span that it judges."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from .store.client import Store

# A server takes no parameter of more than 128 KiB.
_AT_ONCE = 1_000

_SPANS = """
SELECT trace_id, span_id, parent_span_id, start_time, service, environment, request_model, prompt_name, prompt_version,
       system_hash, conversation_id, sample_weight
FROM spans
WHERE project = {project:String} AND trace_id IN {trace_ids:Array(String)}
  AND (span_id IN {span_ids:Array(String)} OR parent_span_id = '')
"""


def span_dimensions(
    store: Store, project: str, ids: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Rows of `spans` (a few columns) by (trace_id, span_id); with "" as span_id the trace's root. Missing ones are left out.

    Raises what `Store.query` raises.
    """
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    left = iter(ids)
    while some := list(islice(left, _AT_ONCE)):
        parameters = {
            "project": project,
            "trace_ids": sorted({trace_id for trace_id, _ in some}),
            "span_ids": sorted({span_id for _, span_id in some}),
        }
        for row in store.query(_SPANS, parameters).dicts():
            found[row["trace_id"], row["span_id"]] = row
            if not row["parent_span_id"]:
                found[row["trace_id"], ""] = row
    return {key: found[key] for key in ids if key in found}
