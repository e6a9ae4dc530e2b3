"""Failures in production traffic as cases: selected by SQL, one per trace, clustered, ready to become examples.

The way back of the loop: spans and evaluations in, regression cases in the shape of a dataset's lines out. What a right
answer would have been is only proposed (from a human's correction); a case gates after a person reviewed it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import QueryError
from .cases import case_of, one_per_cluster, split

if TYPE_CHECKING:
    from ..store.protocol import StoreClient

TRACES_AT_ONCE = 1000
HEX = re.compile("[0-9a-f]{1,64}")
CORRECTION_KEYS = ("expected_output", "correction", "corrected_output", "expected")

# A condition on one of these says itself what a failure is; on other columns it narrows the usual failures.
JUDGEMENT = re.compile(
    r"\b(score|passed|label|source|status|status_message|error_type|evaluation_error)\b", re.IGNORECASE
)

USUAL_FAILURES = """(
    passed = 'fail' OR status = 'ERROR'
    OR (source = 'user_feedback' AND passed != 'pass'
        AND (score <= 0 OR lower(label) IN ('thumbs_down', 'thumbs-down', 'down', 'bad', 'negative', 'dislike')))
    OR lower(label) IN ('hallucination', 'hallucinated', 'unsupported', 'contradicted')
)"""

# An evaluation of a whole trace (span_id '') belongs to the trace's answer: its last span with an output, the root first.
# A LEFT JOIN, because an error needs no evaluation to be a failure.
JUDGED_SPANS = """
WITH
    chosen AS (
        SELECT * EXCEPT (name, status, kind), name AS span_name, toString(status) AS status
        FROM spans
        WHERE start_time >= {since:DateTime64(3, 'UTC')} AND start_time < {until:DateTime64(3, 'UTC')} AND project = {project:String}
            AND ({service:String} = '' OR service = {service:String})
            AND ({environment:String} = '' OR environment = {environment:String})
    ),
    answers AS (
        SELECT project, trace_id,
            argMin(span_id, (output_preview = '' OR input_preview = '', output_preview = '', parent_span_id != '', -toUnixTimestamp64Nano(start_time))) AS span_id
        FROM chosen GROUP BY project, trace_id
    ),
    judged AS (
        SELECT e.project AS project, e.trace_id AS trace_id,
            if(e.span_id = '', answers.span_id, e.span_id) AS span_id, e.name AS name,
            e.evaluator_version AS evaluator_version, toString(e.unit) AS unit, toString(e.source) AS source, e.author AS author, e.score AS score,
            e.label AS label, toString(e.passed) AS passed, e.explanation AS explanation,
            e.error AS evaluation_error, e.metadata AS evaluation_metadata
        FROM evaluations AS e
        LEFT JOIN answers ON answers.project = e.project AND answers.trace_id = e.trace_id
        WHERE e.project = {project:String} AND e.experiment_id = '' AND e.unit != 'conversation'
    )
SELECT trace_id, span_id, start_time, name, evaluator_version, unit, source, score, label, passed, explanation
FROM (
    SELECT s.*, j.name AS name, j.evaluator_version AS evaluator_version, j.unit AS unit, j.source AS source, j.author AS author,
        j.score AS score, j.label AS label, j.passed AS passed, j.explanation AS explanation,
        j.evaluation_error AS evaluation_error, j.evaluation_metadata AS evaluation_metadata
    FROM chosen AS s
    LEFT JOIN judged AS j ON j.project = s.project AND j.trace_id = s.trace_id AND j.span_id = s.span_id
)
WHERE {condition}
ORDER BY start_time DESC, trace_id, span_id, name
LIMIT {limit:UInt32}
"""

# The wide columns, read for the failing spans only. {traces} and {spans} are ids that were checked to be hexadecimal: as a
# parameter thousands of them would not fit into a URL.
CONTENT = """
SELECT trace_id, span_id, parent_span_id, start_time, toString(status) AS status, status_message, error_type, service,
    operation, request_model, prompt_name, prompt_version, system_hash, input, output, sample_weight
FROM spans
WHERE project = {project:String} AND start_time >= {first:DateTime64(3, 'UTC')} AND start_time < {last:DateTime64(3, 'UTC')}
    AND trace_id IN ({traces}) AND span_id IN ({spans})
"""

# Few people write few of them: all at once is quicker than those of the failing traces, a batch at a time.
CORRECTIONS = """
SELECT trace_id, metadata
FROM evaluations
WHERE project = {project:String} AND source = 'human' AND hasAny(mapKeys(metadata), {keys:Array(String)})
ORDER BY created_at
"""

PASSAGES = """
SELECT trace_id, groupArray(output) AS passages
FROM (SELECT * FROM spans ORDER BY start_time)
WHERE project = {project:String} AND start_time >= {since:DateTime64(3, 'UTC')} AND role IN ('retrieval', 'tool') AND output != ''
    AND trace_id IN ({traces})
GROUP BY trace_id
"""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What an export found: the cases, one per cluster, and what was left out and why."""

    cases: list[dict[str, Any]]
    overlapping: list[dict[str, Any]]
    """Cases that a set holds already; `metadata.overlaps` names which."""
    failures: int
    """Failing traces before clustering."""
    unreadable: int
    """Failing traces without any input to ask again."""
    cut: bool
    """Whether there were more judgements than `limit`: the newest were taken."""


def find_failures(
    store: StoreClient,
    *,
    since: timedelta,
    where: str = "",
    project: str = "default",
    service: str = "",
    environment: str = "",
    until: datetime | None = None,
    limit: int = 10_000,
    known: Iterable[tuple[str, str]] = (),
    redact: Callable[[Any], Any] | None = None,
    now: datetime | None = None,
) -> Found:
    """Failing traces as cases, of one service or environment when named. `known` are (name, text) of inputs that existing sets hold.

    Raises QueryError when ClickHouse refuses `where`, which may use the columns of spans (their name as span_name) and of
    evaluations.
    """
    begin = (now or datetime.now(UTC)) - since
    parameters = {"since": _stamp(begin), "project": project}
    narrowed = {
        "service": service,
        "environment": environment,
        "until": _stamp(until) if until else "2100-01-01 00:00:00",
    }
    judged = _judged(store, where, {**parameters, **narrowed, "limit": limit})
    by_trace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in judged:
        by_trace[row["trace_id"]].append(row)
    asked = partial(_of_traces, store, parameters)
    written = store.query(CORRECTIONS, {**parameters, "keys": list(CORRECTION_KEYS)}).dicts() if by_trace else []
    corrected = _corrections(written)
    content = {(row["trace_id"], row["span_id"]): row for row in asked(CONTENT, by_trace)}
    cases = []
    for trace_id, rows in by_trace.items():
        full = [{**content[key], **row} for row in rows if (key := (row["trace_id"], row["span_id"])) in content]
        case = case_of(full, corrected.get(trace_id))
        if case is not None:
            cases.append(case)
    kept = one_per_cluster(cases)
    heads = {case["metadata"]["source_trace_id"] for case in kept}
    _add_passages(kept, asked(PASSAGES, {trace_id: by_trace[trace_id] for trace_id in heads}))
    fresh, overlapping = split([redact(case) for case in kept] if redact else kept, known)
    return Found(
        cases=fresh,
        overlapping=overlapping,
        failures=len(by_trace),
        unreadable=len(by_trace) - len(cases),
        cut=len(judged) >= limit,
    )


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _condition(where: str) -> str:
    if not where.strip():
        return USUAL_FAILURES
    own = f"(\n{where}\n)"
    return own if JUDGEMENT.search(re.sub(r"'[^']*'", "''", where)) else f"{USUAL_FAILURES} AND {own}"


def _judged(store: StoreClient, where: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return store.query(JUDGED_SPANS.replace("{condition}", _condition(where)), parameters).dicts()
    except QueryError as error:
        if not where:
            raise
        said = str(error).split(" In scope ", maxsplit=1)[0]
        hint = (
            "columns: those of spans (a span's name is span_name), and name, score, passed, label, source, explanation"
        )
        raise QueryError(f"--where {where!r}: {said}", hint=hint, code=error.code) from error


def _of_traces(
    store: StoreClient,
    parameters: Mapping[str, Any],
    sql: str,
    by_trace: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """The rows of a query over failing traces and their failing spans, asked for a batch of traces at a time."""
    rows: list[dict[str, Any]] = []
    traces = [trace_id for trace_id in by_trace if HEX.fullmatch(trace_id)]
    for start in range(0, len(traces), TRACES_AT_ONCE):
        batch = traces[start : start + TRACES_AT_ONCE]
        judged = [row for trace_id in batch for row in by_trace[trace_id]]
        spans = {row["span_id"] for row in judged if HEX.fullmatch(row["span_id"])}
        times = [row["start_time"] for row in judged]
        # Judgements come in the order of time, so a batch is a short stretch of it.
        stretch = {"first": _stamp(min(times)), "last": _stamp(max(times) + timedelta(seconds=1))}
        text = sql.replace("{traces}", _quoted(batch)).replace("{spans}", _quoted(spans or {""}))
        rows += store.query(text, {**parameters, **stretch}).dicts()
    return rows


def _quoted(ids: Iterable[str]) -> str:
    return ", ".join(f"'{one}'" for one in ids)


def _add_passages(cases: Iterable[dict[str, Any]], found: Iterable[Mapping[str, Any]]) -> None:
    """Puts what was retrieved in a case's trace beside it."""
    passages = {row["trace_id"]: row["passages"] for row in found}
    for case in cases:
        if retrieved := passages.get(case["metadata"]["source_trace_id"]):
            case["metadata"]["context"] = retrieved


def _corrections(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The last right answer that a human wrote down for a trace."""
    found = {}
    for row in rows:
        text = next((row["metadata"][key] for key in CORRECTION_KEYS if row["metadata"].get(key)), None)
        if text:
            found[row["trace_id"]] = text
    return found
