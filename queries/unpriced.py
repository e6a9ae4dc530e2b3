"""Stored calls whose cost is not known although their tokens are: by what they are priced by, and as whole rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .prices import NAMES
from .store.protocol import StoreClient

_NAMES = sorted(NAMES)
_NAMED = "[" + ", ".join(f"attributes['{name}']" for name in _NAMES) + "]"
_UNPRICED = """
role = 'call' AND cost_usd IS NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
    AND inserted_at >= now64(3) - toIntervalSecond({seconds:UInt32})
    AND NOT match(concat(trace_id, span_id, parent_span_id), '[^0-9a-f]')  -- OTLP has no other ids
"""

_MODELS = f"SELECT DISTINCT {_NAMED} AS names FROM {{spans}} WHERE {_UNPRICED}"  # noqa: S608 - of constants

# A span as it came: what the decoder promoted stands in `attributes`, but for the bodies. What lost its role in the
# collector and has it again says its operation in the column only.
_ROWS = f"""
SELECT project, toUnixTimestamp64Milli(ingested_at) AS received_ms, resource, scope_name,
    scope_version, trace_id, span_id, parent_span_id, trace_state, name, toInt8(kind) AS kind_number,
    toUnixTimestamp64Nano(start_time) AS started, started + duration_ns AS ended, toInt8(status) AS status_code,
    status_message, operation, input, output, attributes,
    arrayMap(e -> (toUnixTimestamp64Nano(e.time), e.name, e.attributes), events) AS events,
    arrayMap(l -> [l.1, l.2], links) AS links
FROM {{spans}}
WHERE {_UNPRICED} AND {_NAMED} = {{names:Array(String)}} AND (trace_id, span_id) > ({{trace_id:String}}, {{span_id:String}})
ORDER BY trace_id, span_id
LIMIT {{most:UInt32}}
"""  # noqa: S608 - of constants

_OWN = "SELECT provider, model FROM model_prices FINAL WHERE source = 'own' AND input_usd IS NOT NULL"


def unpriced_models(store: StoreClient, seconds: int) -> list[dict[str, str]]:
    """What calls stored in the last `seconds` without a cost are priced by: attributes in `prices.NAMES`, once each."""
    rows = store.query(_MODELS.replace("{spans}", store.spans_here), {"seconds": seconds}).rows
    return [dict(zip(_NAMES, names, strict=True)) for (names,) in rows]


def unpriced_spans(
    store: StoreClient, names: dict[str, str], seconds: int, *, after: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """Such calls of one model behind the ids `after` (trace and span), at most `most`, as rows to be sent again."""
    return store.query(
        _ROWS.replace("{spans}", store.spans_here),
        {
            "names": [names[name] for name in _NAMES],
            "seconds": seconds,
            "trace_id": after[0],
            "span_id": after[1],
            "most": most,
        },
    ).dicts()


def own_models(store: StoreClient) -> set[tuple[str, str]]:
    """(provider or "", model) of the prices in model_prices that were written by hand."""
    return {(provider, model) for provider, model in store.query(_OWN).rows}
