"""The span store as the queue of online evaluation: what waits for a rule, what was spent, how far a worker has come.

Every statement is bounded by `inserted_at`, the time a row came into the table, so spans that arrive late are seen.
A span's lot is the hash of its id in [0, 1): all rules and workers draw the same one, today and after a restart.
"""

# ruff: noqa: S608 - what is put into the text is the operator's own condition from evalspan.toml; values are parameters
from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..errors import QueryError
from .literals import literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from .store.protocol import StoreClient

MAX_INSERT_MS = 10_000
SAMPLING_HASH = "(sipHash64(span_id) / 18446744073709551616.)"
SPAN_COLUMNS = """project, trace_id, span_id, parent_span_id, start_time, duration_ns, name, status, status_message, error_type,
    service, environment, operation, role, provider, request_model, response_model, agent_name, tool_name, prompt_name,
    prompt_version, system_hash, conversation_id, user_id, input_tokens, output_tokens, cost_usd, ttft_s, input, output,
    attributes, sample_weight"""


class Scope(NamedTuple):
    """Which spans a rule asks about: a project ('*' for all), a condition, and this worker's share."""

    project: str
    where: str
    shard: int = 0
    shards: int = 1
    inclusion: str = "1"
    """The relative probability of a span as SQL, in (0, 1]."""
    stratum: str = "''"

    @property
    def lot(self) -> str:
        """The sampling hash over the span's probability: what is below the cutoff is scored."""
        return SAMPLING_HASH if self.inclusion == "1" else f"({SAMPLING_HASH} / ({self.inclusion}))"

    @property
    def columns(self) -> str:
        """Columns of a span, with its stratum and its probability but for the cutoff where spans differ in it."""
        more = "" if self.inclusion == "1" else f", ({self.inclusion}) AS inclusion, {self.stratum} AS stratum"
        return f"{SPAN_COLUMNS}{more}"

    @property
    def sql(self) -> str:
        """The scope as a condition; the parameters are in `parameters`."""
        return (
            "({project:String} = '*' OR project = {project:String}) AND inserted_at > fromUnixTimestamp64Milli({after:Int64})"
            " AND inserted_at <= fromUnixTimestamp64Milli({until:Int64})"
            " AND cityHash64(trace_id, span_id) % {shards:UInt32} = {shard:UInt32}"
        )

    def parameters(self, after: int, until: int) -> dict[str, Any]:
        """What `sql` needs: a window of milliseconds since 1970, open on the left."""
        return {"project": self.project, "after": after, "until": until, "shard": self.shard, "shards": self.shards}


def excluding(where: str, project: str, taken: Sequence[tuple[str, str]]) -> str:
    """
    The condition without the spans of others: (project, condition) pairs, '*' for all projects.

    A condition that is NULL for a span, such as one on its price when that is unknown, does not take it.
    """
    parts = [f"({where})"]
    for theirs, condition in taken:
        if "*" in (theirs, project) or theirs == project:
            only = f"project = {literal(theirs)} AND " if project == "*" != theirs else ""
            parts.append(f"NOT ({only}ifNull(({condition}), 0))")
    return " AND ".join(parts)


class Counts(NamedTuple):
    """Spans of a window: all, those that the rule's condition matches, those whose lot is below the probability."""

    seen: int
    matched: int
    sampled: int


class Passage(NamedTuple):
    """A text that an answer can be checked against, and where it comes from."""

    source: str
    """Kind and name, for example "retrieval search_docs" or "tool get_order"."""
    text: str
    span_id: str = ""
    ended_ns: int = 0
    """When it was there, in nanoseconds since 1970."""


Passages = tuple[Passage, ...]
NO_PASSAGES: Passages = ()

TEXT_ANSWER = (
    "NOT (startsWith(output, '[') AND position(output, '\"parts\"') > 0 AND isValidJSON(output)"
    " AND NOT arrayExists(m -> arrayExists(p -> JSONExtractString(p, 'type') = 'text'"
    " AND trimBoth(JSONExtractString(p, 'content')) != '', JSONExtractArrayRaw(m, 'parts')), JSONExtractArrayRaw(output)))"
)
"""The span says something to the user: a turn that only calls tools is no answer."""


class SpanScoringStore:
    """Reads and writes of the online workers, over an open store or through the service."""

    def __init__(self, store: StoreClient) -> None:
        self.store = store
        self._versions: dict[str, int] = {}

    def check_condition(self, where: str) -> None:
        """Raises QueryError with ClickHouse's reason when the text is not one condition over the columns of spans."""
        answer = self.store.query(f"SELECT toTypeName(any(({where}))) FROM spans WHERE 0")
        kind = str(answer.rows[0][0]) if answer.rows else "UInt8"
        if kind.removeprefix("Nullable(").removesuffix(")") not in ("Bool", "UInt8"):
            raise QueryError(f"{where!r} is a {kind}, not a condition", hint="compare it with something, e.g. = 'chat'")

    def now(self) -> int:
        """The store's clock in milliseconds: workers and rows must not disagree about time."""
        return int(self.store.query("SELECT toUnixTimestamp64Milli(now64(3))").rows[0][0])

    def visible_until(self, now: int) -> int:
        """Up to when rows are all visible, in milliseconds: rows are stamped before their insert is complete.

        The store in this process knows the insert that is under way; of inserts elsewhere only their longest is assumed.
        """
        if not self.store.embedded:
            return now - MAX_INSERT_MS
        began = getattr(self.store, "insert_began_ms", None)
        return now if began is None else min(now, began - 1)

    def counts(self, scope: Scope, after: int, until: int, probability: float) -> Counts:
        """How many spans the window holds for a rule."""
        row = self.store.query(
            f"SELECT count(), countIf({scope.where}), countIf(({scope.where}) AND {scope.lot} < {{probability:Float64}})"
            f" FROM spans WHERE {scope.sql}",
            {**scope.parameters(after, until), "probability": probability},
        ).rows[0]
        return Counts(*(int(value) for value in row))

    def cutoff(self, scope: Scope, after: int, until: int, budget: int) -> float | None:
        """The lot of the first span beyond the budget when spans are taken in the order of their lots."""
        rows = self.store.query(
            f"SELECT {scope.lot} AS lot FROM spans WHERE {scope.sql} AND ({scope.where})"
            " ORDER BY lot LIMIT 1 OFFSET {budget:UInt64}",
            {**scope.parameters(after, until), "budget": budget},
        ).rows
        return float(rows[0][0]) if rows else None

    def waiting(
        self, scope: Scope, window: tuple[int, int], cutoff: float, done: Mapping[str, Any], limit: int
    ) -> list[dict[str, Any]]:
        """The next spans of a plan without all their evaluations, oldest first."""
        sql, parameters = self._waiting(scope, window, cutoff, done)
        order = " ORDER BY inserted_at, trace_id, span_id LIMIT {limit:UInt32}"
        return self.store.query(f"SELECT {scope.columns} {sql}{order}", {**parameters, "limit": limit}).dicts()

    def waiting_count(self, scope: Scope, window: tuple[int, int], cutoff: float, done: Mapping[str, Any]) -> int:
        """How many spans of a plan still wait."""
        sql, parameters = self._waiting(scope, window, cutoff, done)
        return int(self.store.query(f"SELECT count() {sql}", parameters).rows[0][0])

    def _waiting(
        self, scope: Scope, window: tuple[int, int], cutoff: float, done: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        sql = (
            f"FROM spans WHERE {scope.sql} AND ({scope.where}) AND {scope.lot} < {{cutoff:Float64}} AND (project, trace_id, span_id)"
            " NOT IN (SELECT project, trace_id, span_id FROM evaluations WHERE name IN {names:Array(String)}"
            " AND evaluator_version IN {versions:Array(String)} AND author = {author:String}"
            " AND created_at >= fromUnixTimestamp64Milli({since:Int64})"
            " GROUP BY project, trace_id, span_id HAVING uniqExact(name) >= length({names:Array(String)}))"
        )
        return sql, {**scope.parameters(*window), "cutoff": cutoff, **done}

    def passages(self, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Passages]:
        """What was retrieved and what tools returned in the traces of these spans, in order, by project and trace id."""
        ids = sorted({str(row["trace_id"]) for row in rows})
        start: list[datetime] = [row["start_time"] for row in rows]
        if not ids:
            return {}
        found = self.store.query(
            "SELECT project, trace_id, role, if(tool_name != '', tool_name, name), span_id,"
            " toUnixTimestamp64Nano(start_time) + toInt64(duration_ns), output"
            " FROM spans WHERE trace_id IN {ids:Array(String)} AND role IN ('retrieval', 'tool') AND output != ''"
            " AND start_time BETWEEN {low:DateTime64(3, 'UTC')} - INTERVAL 1 DAY"
            " AND {high:DateTime64(3, 'UTC')} + INTERVAL 1 DAY ORDER BY start_time, span_id",
            {"ids": ids, "low": min(start), "high": max(start)},
        ).rows
        made: dict[tuple[str, str], list[Passage]] = {}
        for project, trace_id, role, name, span_id, ended_ns, output in found:
            passage = Passage(f"{role} {name}".strip(), str(output), str(span_id), int(ended_ns))
            made.setdefault((str(project), str(trace_id)), []).append(passage)
        return {key: tuple(passages) for key, passages in made.items()}

    def spent(self, rule: str, shard: int, shards: int, since: int) -> tuple[int, float]:
        """Evaluations that this share of a rule wrote since a time in milliseconds, and what they cost in dollars."""
        row = self.store.query(
            "SELECT count(), sum(ifNull(judge_cost_usd, 0)) FROM evaluations WHERE metadata['rule'] = {rule:String}"
            " AND created_at >= fromUnixTimestamp64Milli({since:Int64})"
            " AND multiIf(unit = 'span', cityHash64(trace_id, span_id), unit = 'trace', cityHash64(trace_id),"
            " cityHash64(conversation_id)) % {shards:UInt32} = {shard:UInt32}",
            {"rule": rule, "since": since, "shard": shard, "shards": shards},
        ).rows[0]
        return int(row[0]), float(row[1])

    def load(self, consumer: str) -> tuple[int, dict[str, Any]] | None:
        """A worker's position in milliseconds and its state; None before it ever saved one."""
        rows = self.store.query(
            "SELECT toUnixTimestamp64Milli(position), position_key, version FROM cursors"
            " WHERE consumer = {consumer:String} ORDER BY version DESC LIMIT 1",
            {"consumer": consumer},
        ).rows
        self._versions[consumer] = int(rows[0][2]) if rows else 0
        return (int(rows[0][0]), msgspec.json.decode(rows[0][1] or "{}")) if rows else None

    def starting_point(self, rule: str, shards: int) -> int | None:
        """Where a new worker of a rule begins, in milliseconds; None when it is the first.

        Beside workers that share in the same way it begins where they began; after ones that shared differently, where
        the slowest of them has come to.
        """
        rows = self.store.query(
            "SELECT countIf(same), minIf(started, same), count(), min(position) FROM (SELECT"
            " toUnixTimestamp64Milli(argMax(position, version)) AS position, endsWith(consumer, {suffix:String}) AS same,"
            " JSONExtractInt(argMax(position_key, version), 'started_ms') AS started"
            " FROM cursors WHERE startsWith(consumer, {prefix:String}) GROUP BY consumer)",
            {"prefix": f"online/{rule}/", "suffix": f"-{shards}"},
        ).rows
        same, started, others, position = (int(value) for value in rows[0])
        return started if same else position if others else None

    def consumers(self) -> list[str]:
        """All workers of online rules that ever saved a state."""
        rows = self.store.query("SELECT DISTINCT consumer FROM cursors WHERE startsWith(consumer, 'online/')").rows
        return sorted(str(row[0]) for row in rows)

    def save(self, consumer: str, project: str, position: int, state: Mapping[str, Any]) -> None:
        """Keep a worker's position and state: one row, so both change together or not at all."""
        stamp = f"{position // 1000}.{position % 1000:03d}"
        # Of a clock that went back the newest state would be the oldest.
        version = max(time.time_ns() // 1000, self._versions.get(consumer, 0) + 1)
        row = {
            "project": project,
            "consumer": consumer,
            "position": stamp,
            "position_key": dict(state),
            "version": version,
        }
        self.store.insert("cursors", [row])
        self._versions[consumer] = version
