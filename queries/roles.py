"""Roles of stored spans: what changes when a span says that another one is no call, and what a new process has to know."""

from __future__ import annotations

import msgspec

from .literals import literal
from .store.client import Store


class RoleChange(msgspec.Struct, frozen=True):
    """A stored span gets this role instead of its own."""

    project: str
    trace_id: str
    span_id: str
    role: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The span."""
        return self.project, self.trace_id, self.span_id


_STORED = """
SELECT project, trace_id, span_id FROM spans
WHERE trace_id IN {trace_ids:Array(String)} AND span_id IN {span_ids:Array(String)}
"""

# Rows with the same key replace each other, the last one inserted wins. What the span itself says stays in `attributes`,
# so that it can become a call again; its cost waits there, too.
_CHANGE = """
INSERT INTO {spans}
SELECT s.* EXCEPT (own_operation, sent_input, apart) REPLACE (
    c.role AS role,
    if(counts, own_operation, '') AS operation,
    -- More cached than there is: the total leaves out what was cached.
    if(counts, if(apart > sent_input, sent_input + apart, sent_input), NULL) AS input_tokens,
    if(counts, toUInt32OrNull(s.attributes['gen_ai.usage.output_tokens']), NULL) AS output_tokens,
    if(counts AND input_tokens IS NOT NULL, ifNull(toUInt32OrNull(s.attributes['gen_ai.usage.cache_read.input_tokens']), 0), NULL) AS cached_tokens,
    if(counts AND output_tokens IS NOT NULL, ifNull(toUInt32OrNull(s.attributes['gen_ai.usage.reasoning.output_tokens']), 0), NULL) AS reasoning_tokens,
    if(counts, toFloat64OrNull(s.attributes['evalspan.withheld_cost_usd']), NULL) AS cost_usd,
    if(counts, s.reported_cost_usd, NULL) AS reported_cost_usd,
    if(counts, s.computed_cost_usd, NULL) AS computed_cost_usd,
    multiIf(NOT counts OR cost_usd IS NOT NULL, '', input_tokens IS NULL AND output_tokens IS NULL, 'no token counts were sent', 'the model has no known price') AS unpriced_reason,
    mapUpdate(s.attributes, CAST(
        map('evalspan.role', c.role, 'evalspan.nested_operation', if(counts, '', own_operation), 'evalspan.withheld_cost_usd', ifNull(toString(s.cost_usd), '')),
        'Map(LowCardinality(String), String)')) AS attributes,
    now64(3) AS inserted_at)
FROM (
    SELECT *, if(operation != '', operation, attributes['evalspan.nested_operation']) AS own_operation,
        toUInt32OrNull(attributes['gen_ai.usage.input_tokens']) AS sent_input,
        ifNull(toUInt32OrNull(attributes['gen_ai.usage.cache_read.input_tokens']), 0) + greatest(
            ifNull(toUInt32OrNull(attributes['gen_ai.usage.cache_write.input_tokens']), 0),
            ifNull(toUInt32OrNull(attributes['gen_ai.usage.cache_creation.input_tokens']), 0)) AS apart
    FROM {spans} FINAL
    WHERE trace_id IN ({trace_ids}) AND span_id IN ({span_ids})
) AS s
INNER JOIN (SELECT *, role = 'call' AS counts FROM {rows}) AS c ON c.project = s.project AND c.trace_id = s.trace_id AND c.span_id = s.span_id
WHERE s.role != c.role
"""


def change_roles(store: Store, changes: list[RoleChange]) -> set[RoleChange]:
    """
    Gives stored spans another role, and takes tokens and cost from those that stop being calls; doing it twice changes
    nothing. Returns the changes whose span is not stored.

    Raises what `Store.insert_from` raises.
    """
    trace_ids, span_ids = sorted({one.trace_id for one in changes}), sorted({one.span_id for one in changes})
    rows = store.query(_STORED, {"trace_ids": trace_ids, "span_ids": span_ids}).rows
    stored = {tuple(row) for row in rows}
    there = [one for one in changes if one.key in stored]
    if there:
        statement = _CHANGE.format(
            trace_ids=", ".join(map(literal, trace_ids)),
            span_ids=", ".join(map(literal, span_ids)),
            rows="{rows}",
            spans="{spans}",
        )
        structure = ", ".join(f"{name} String" for name in RoleChange.__struct_fields__)
        store.insert_from([msgspec.structs.asdict(one) for one in there], structure, statement)
    return set(changes) - set(there)
