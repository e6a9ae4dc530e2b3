"""Traces and conversations as what online evaluation waits for: which are ready in a window, and the spans they are made of.

A trace is ready when its root came into the table, or `late_ms` after its first span when no root ever came. A conversation
is ready when the last span that names it came; when it goes on it is ready again, later. What a statement sees depends on
the window alone, so a worker that is killed finds the same units again.
"""

# ruff: noqa: S608 - what is put into the text is the operator's own condition from evalspan.toml; values are parameters
from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..instrument.semconv import CONVERSATION_WEIGHT
from .span_scoring_store import SPAN_COLUMNS, Counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .store.protocol import StoreClient

WholeUnit = Literal["trace", "conversation"]
MAX_SPANS = 5_000
"""Spans of one trace that are read, in order of time."""
MAX_CONVERSATION_SPANS = 20_000
_IN_WINDOW = (
    "inserted_at > fromUnixTimestamp64Milli({after:Int64}) AND inserted_at <= fromUnixTimestamp64Milli({until:Int64})"
)
_PROJECT = "({project:String} = '*' OR project = {project:String})"
_READY = "ready > fromUnixTimestamp64Milli({after:Int64}) AND ready <= fromUnixTimestamp64Milli({until:Int64})"

_TRACES = """
SELECT project, trace_id, '' AS conversation, count() AS span_count, 1 AS trace_count, countIf(parent_span_id = '') AS root_count,
    if(root_count > 0, minIf(inserted_at, parent_span_id = ''), min(inserted_at) + toIntervalMillisecond({late_ms:Int64})) AS ready,
    max(toUInt8(ifNull((WHERE_), 0))) AND NOT max(toUInt8(ifNull((TAKEN_), 0))) AS is_matched,
    sipHash64(trace_id) / 18446744073709551616. AS lot, toNullable(1.) AS known_weight
FROM spans
WHERE (project, trace_id) IN
(
    SELECT project, trace_id FROM spans
    WHERE PROJECT_ AND cityHash64(trace_id) % {shards:UInt32} = {shard:UInt32}
        AND (parent_span_id = '' AND IN_WINDOW_
            OR inserted_at > fromUnixTimestamp64Milli({after:Int64} - {late_ms:Int64})
                AND inserted_at <= fromUnixTimestamp64Milli({until:Int64} - {late_ms:Int64}))
)
GROUP BY project, trace_id
HAVING READY_
"""

_CONVERSATIONS = """
SELECT project, '' AS trace_id, members.conversation AS conversation, count() AS span_count, uniqExact(spans.trace_id) AS trace_count,
    countIf(parent_span_id = '') AS root_count, max(members.last_at) AS ready,
    max(toUInt8(ifNull((WHERE_), 0))) AND NOT max(toUInt8(ifNull((TAKEN_), 0))) AS is_matched,
    sipHash64(conversation) / 18446744073709551616. AS lot,
    -- Known where the sampler kept all of its traces together, or where nothing was sampled.
    multiIf(countIf(attributes['MARK_'] = '') = 0 AND uniqExact(attributes['MARK_']) = 1, toFloat64OrNull(any(attributes['MARK_'])),
        countIf(sample_weight != 1 OR sample_rule != '') = 0, toNullable(1.), NULL) AS known_weight
FROM spans
INNER JOIN
(
    SELECT project, trace_id, conversation_id AS conversation, max(max(inserted_at)) OVER (PARTITION BY project, conversation_id) AS last_at
    FROM spans
    WHERE (project, conversation_id) IN
    (
        SELECT project, conversation_id FROM spans
        WHERE PROJECT_ AND conversation_id != '' AND cityHash64(conversation_id) % {shards:UInt32} = {shard:UInt32} AND IN_WINDOW_
    )
    GROUP BY project, trace_id, conversation_id
) AS members ON members.project = spans.project AND members.trace_id = spans.trace_id
GROUP BY project, conversation
HAVING READY_
"""

_SPANS_OF_TRACES = f"""
SELECT {SPAN_COLUMNS}, kind FROM spans
WHERE project IN {{projects:Array(String)}} AND trace_id IN {{ids:Array(String)}}
ORDER BY project, trace_id, start_time, span_id
LIMIT {{limit:UInt32}} BY project, trace_id
"""
_TRACES_OF_CONVERSATION = """
SELECT trace_id FROM spans WHERE project = {project:String} AND conversation_id = {conversation:String}
GROUP BY trace_id ORDER BY min(start_time), trace_id
"""
_OLDER_ROWS = """
SELECT project, name, toString(evaluation_id) AS evaluation_id, trace_id, span_id, conversation_id, span_time
FROM evaluations
WHERE unit = {unit:String} AND COLUMN_ IN {keys:Array(String)} AND name IN {names:Array(String)}
"""


class UnitScope(NamedTuple):
    """Which units a rule asks about: a trace or conversation matches when one of its spans does, and none is `taken`."""

    unit: WholeUnit
    project: str
    where: str
    taken: str = "0"
    """A condition on spans: whose units an earlier rule scores."""
    shard: int = 0
    shards: int = 1
    late_ms: int = 0

    @property
    def sql(self) -> str:
        """One row per unit that is ready in a window; the parameters are in `parameters`."""
        text = _TRACES if self.unit == "trace" else _CONVERSATIONS
        for name, meaning in (
            ("WHERE_", self.where),
            ("TAKEN_", self.taken),
            ("PROJECT_", _PROJECT),
            ("IN_WINDOW_", _IN_WINDOW),
            ("READY_", _READY),
            ("MARK_", CONVERSATION_WEIGHT),
        ):
            text = text.replace(name, meaning)
        return text

    @property
    def key(self) -> str:
        """The column that names the unit, in `sql` and in `evaluations`."""
        return "trace_id" if self.unit == "trace" else "conversation_id"

    def parameters(self, after: int, until: int) -> dict[str, Any]:
        """What `sql` needs: a window of milliseconds since 1970, open on the left."""
        own = {"project": self.project, "shard": self.shard, "shards": self.shards}
        return {**own, "after": after, "until": until, **({"late_ms": self.late_ms} if self.unit == "trace" else {})}


class UnitScoringStore:
    """Reads of the online workers that score traces or conversations."""

    def __init__(self, store: StoreClient) -> None:
        self.store = store

    def counts(self, scope: UnitScope, after: int, until: int, probability: float) -> Counts:
        """How many units the window holds for a rule."""
        row = self.store.query(
            f"SELECT count(), countIf(is_matched), countIf(is_matched AND lot < {{probability:Float64}}) FROM ({scope.sql})",
            {**scope.parameters(after, until), "probability": probability},
        ).rows[0]
        return Counts(*(int(value) for value in row))

    def cutoff(self, scope: UnitScope, after: int, until: int, budget: int) -> float | None:
        """The lot of the first unit beyond the budget when they are taken in the order of their lots."""
        rows = self.store.query(
            f"SELECT lot FROM ({scope.sql}) WHERE is_matched ORDER BY lot LIMIT 1 OFFSET {{budget:UInt64}}",
            {**scope.parameters(after, until), "budget": budget},
        ).rows
        return float(rows[0][0]) if rows else None

    def waiting(
        self, scope: UnitScope, window: tuple[int, int], cutoff: float, done: Mapping[str, Any], limit: int
    ) -> list[dict[str, Any]]:
        """The next units of a plan without all their evaluations, those that were ready first first."""
        own = "trace_id" if scope.unit == "trace" else "conversation"
        sql = (
            f"SELECT project, trace_id, conversation, span_count, trace_count, root_count, known_weight FROM ({scope.sql})"
            f" WHERE is_matched AND lot < {{cutoff:Float64}} AND (project, {own}) NOT IN (SELECT project, {scope.key}"
            " FROM evaluations WHERE unit = {unit:String} AND name IN {names:Array(String)}"
            " AND evaluator_version IN {versions:Array(String)} AND author = {author:String}"
            " AND created_at >= fromUnixTimestamp64Milli({since:Int64})"
            f" GROUP BY project, {scope.key} HAVING uniqExact(name) >= length({{names:Array(String)}}))"
            f" ORDER BY ready, {own} LIMIT {{limit:UInt32}}"
        )
        given = {**scope.parameters(*window), "cutoff": cutoff, "unit": scope.unit, "limit": limit, **done}
        return self.store.query(sql, given, timeout_s=120).dicts()

    def spans_of(
        self, keys: Sequence[tuple[str, str]], limit: int = MAX_SPANS
    ) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """The spans of traces, by (project, trace id), in order of time, at most `limit` of each."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        if not keys:
            return found
        given = {"projects": sorted({one[0] for one in keys}), "ids": sorted({one[1] for one in keys}), "limit": limit}
        for row in self.store.query(_SPANS_OF_TRACES, given, timeout_s=120).dicts():
            found[str(row["project"]), str(row["trace_id"])].append(row)
        return found

    def traces_of(self, project: str, conversation: str) -> list[str]:
        """The ids of a conversation's traces in order of time."""
        rows = self.store.query(_TRACES_OF_CONVERSATION, {"project": project, "conversation": conversation}).rows
        return [str(row[0]) for row in rows]

    def superseded(self, unit: WholeUnit, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows that delete what these evaluations replace: the hour of their spans is part of the table's sorting key,
        so a unit that goes on in another hour would otherwise have two numbers.
        """
        if not rows:
            return []
        key = "trace_id" if unit == "trace" else "conversation_id"
        now = {str(row["evaluation_id"]): row for row in rows}
        given = {
            "unit": unit,
            "keys": sorted({str(row[key]) for row in rows}),
            "names": sorted({str(row["name"]) for row in rows}),
        }
        older = self.store.query(_OLDER_ROWS.replace("COLUMN_", key), given).dicts()
        return [
            {**row, "unit": unit, "is_deleted": 1}
            for row in older
            if row["evaluation_id"] in now
            and _hour(row["span_time"]) != _hour(now[row["evaluation_id"]].get("span_time"))
        ]


def _hour(moment: Any) -> str:
    """The hour of a time as the table's sorting key has it."""
    return str(moment.strftime("%Y-%m-%d %H")) if hasattr(moment, "strftime") else ""
