"""Draws a sample of stored traffic whose weights are known: the distribution set of a dataset.

Stratified: each stratum gets its share of the size by its estimated traffic, at least one draw, and within it every
stored span has the same chance. A case's weight is the span's own weight times stratum size over draws; near-duplicates
are merged and their weights added, so that weights keep representing the frequency of inputs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..errors import QueryError, UsageError
from .messages import input_of, output_text, question_of
from .near_duplicates import clusters
from .span_scoring_store import TEXT_ANSWER

if TYPE_CHECKING:
    from .store.protocol import StoreClient

STRATA = {
    "": "''",
    "hour": "toString(toHour(start_time))",
    "segment": "attributes['evalspan.tag.segment']",
    **{
        name: f"toString({name})"
        for name in (
            "service",
            "environment",
            "request_model",
            "prompt_name",
            "prompt_version",
            "system_hash",
            "operation",
            "agent_name",
            "user_id",
        )
    },
}

CANDIDATES = """
FROM spans
WHERE project = {project:String} AND start_time >= {since:DateTime64(3, 'UTC')} AND input != ''
    AND role = 'call' AND operation != 'embeddings' AND status != 'ERROR' AND (WHERE_CLAUSE)
    AND (TEXT_ANSWER)
"""

SIZES = "SELECT STRATUM AS stratum, count() AS spans, sum(sample_weight) AS traffic" + CANDIDATES + "GROUP BY stratum"

DRAWS = (
    """
SELECT * FROM (
    SELECT trace_id, span_id, input, output, start_time, sample_weight, STRATUM AS stratum,
        row_number() OVER (PARTITION BY stratum ORDER BY sipHash64(trace_id, span_id, {seed:UInt64})) AS place
"""
    + CANDIDATES
    + ") WHERE place <= {most:UInt32} ORDER BY stratum, place"
)


def sample_traffic(
    store: StoreClient,
    *,
    size: int,
    since: timedelta,
    where: str = "",
    by: str = "",
    seed: int = 1,
    project: str = "default",
) -> list[dict[str, Any]]:
    """At most `size` cases of the partition distribution. Raises UsageError for an unknown stratum, QueryError."""
    if by not in STRATA:
        raise UsageError(f"cannot stratify by {by!r}", hint=f"one of {', '.join(name for name in STRATA if name)}")
    begin = datetime.now(UTC) - since
    parameters: dict[str, Any] = {
        "project": project,
        "since": begin.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "seed": seed,
    }

    def ask(sql: str, **more: Any) -> list[dict[str, Any]]:
        text = (
            sql.replace("STRATUM", STRATA[by])
            .replace("WHERE_CLAUSE", where or "true")
            .replace("TEXT_ANSWER", TEXT_ANSWER)
        )
        try:
            return store.query(text, parameters | more).dicts()
        except QueryError as error:
            raise QueryError(f"the sample's SQL: {error}", hint=error.hint, code=error.code) from error

    strata = ask(SIZES)
    draws = allocate({row["stratum"]: (row["spans"], row["traffic"]) for row in strata}, size)
    if not draws:
        return []
    rows = [row for row in ask(DRAWS, most=max(draws.values())) if row["place"] <= draws[row["stratum"]]]
    stored = {row["stratum"]: row["spans"] for row in strata}
    return _merged([_case(row, stored[row["stratum"]] / draws[row["stratum"]]) for row in rows])


def allocate(strata: dict[str, tuple[int, float]], size: int) -> dict[str, int]:
    """Draws per stratum, in proportion to its traffic (largest remainders), at least one, at most what it holds."""
    total = sum(traffic for _, traffic in strata.values())
    if not total:
        return {}
    wanted = {name: size * traffic / total for name, (_, traffic) in strata.items()}
    draws = {name: min(strata[name][0], max(1, int(share))) for name, share in wanted.items()}
    for name in sorted(wanted, key=lambda one: int(wanted[one]) - wanted[one]):
        if sum(draws.values()) < size and draws[name] < strata[name][0]:
            draws[name] += 1
    while sum(draws.values()) > max(size, len(draws)):
        draws[max(draws, key=lambda one: draws[one])] -= 1  # small strata took their one draw from the largest
    return draws


def _case(row: dict[str, Any], factor: float) -> dict[str, Any]:
    return {
        "id": f"traffic-{row['trace_id'][:16]}-{row['span_id'][:8]}",
        "partition": "distribution",
        "input": input_of(row["input"]),
        "expected_output": None,
        "metadata": {
            "sample_weight": row["sample_weight"] * factor,
            "stratum": row["stratum"],
            "recorded_output": output_text(row["output"]),
            "source_trace_id": row["trace_id"],
            "source_span_id": row["span_id"],
        },
        "tags": ["sampled-traffic"],
        "created_at": row["start_time"].isoformat(timespec="milliseconds"),
    }


def _merged(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = []
    for numbers in clusters([question_of(case["input"]) for case in cases], threshold=0.9):
        head = cases[numbers[0]]
        head["metadata"]["sample_weight"] = sum(cases[number]["metadata"]["sample_weight"] for number in numbers)
        head["metadata"]["merged"] = len(numbers)
        kept.append(head)
    return kept
