"""Statements that try to make the engine evaluate something on another project's row, made from parts: expression x place x table."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

# Each fails, or answers otherwise, as soon as it is evaluated on one row of the other project. {p} is the project
# that asks, {c} a text column, {k} one that the table is sorted or indexed by.
EXPRESSIONS = (
    "if(project != '{p}', toUInt64(concat('x', {c})), 1) = 1",
    "throwIf(project != '{p}', 'another project') = 0",
    "toUInt64OrZero({c}) = 0 AND throwIf(project != '{p}') = 0",
    "throwIf(project NOT IN ('{p}')) = 0",
    "intDiv(1, toUInt8(project = '{p}')) = 1",
    "toUInt64(if(project = '{p}', '1', {c})) = 1",
    "toDate(if(project = '{p}', '2026-01-01', concat({c}, project))) > '2000-01-01'",
    "length(arrayMap(x -> throwIf(x != '{p}'), [project])) = 1",
    "arrayExists(x -> toUInt64(if(x = '{p}', '1', {c})) = 1, [project])",
    "CAST(if(project = '{p}', '1', {c}) AS UInt8) = 1",
    "JSONExtractInt(if(project = '{p}', '1', {c})) >= 0 AND throwIf(project <> '{p}') = 0",
    "accurateCast(if(project = '{p}', '1', project), 'UInt8') = 1",
    "multiIf(project = '{p}', 1, throwIf(length({c}) >= 0)) = 1",
    "throwIf({k} NOT LIKE '{p}%') = 0",
    "toUInt64(if({k} LIKE '{p}%', '1', {k})) = 1",
    "arrayElement([1], toUInt8(project = '{p}')) + intDiv(1, toUInt8(project = '{p}')) = 2",
    "throwIf(startsWith({c}, 'secret-of-other')) = 0",
    "has(arrayFilter(x -> throwIf(x = 'other') = 0, [project]), '{p}')",
    "ifNull(nullIf(throwIf(project != '{p}'), 1), 0) = 0",
    "isNotNull(transform(project, ['{p}'], [1], throwIf(project != '{p}')))",
)
PLACES = (
    "SELECT count() FROM {t} WHERE {e}",
    "SELECT count() FROM {t} WHERE {k} IN ('{p}-1', '{p}-2') AND {e}",
    "SELECT {e} FROM {t} WHERE {k} >= '{p}' AND {e}",
    "SELECT count() FROM {t} PREWHERE {e}",
    "SELECT count() FROM {t} PREWHERE {e} WHERE {e}",
    "SELECT count() FROM {t} FINAL WHERE {e}",
    "SELECT {e} FROM {t}",
    "SELECT countIf({e}) FROM {t}",
    "SELECT sum({e}) OVER () FROM {t}",
    "SELECT {e} AS a FROM {t} WHERE a",
    "SELECT count() FROM {t} GROUP BY {e}",
    "SELECT count() FROM {t} GROUP BY project HAVING any({e})",
    "SELECT 1 FROM {t} ORDER BY {e}",
    "SELECT 1 FROM {t} ORDER BY {e} LIMIT 1",
    "SELECT 1 FROM {t} LIMIT 1 BY {e}",
    "SELECT 1 FROM {t} ARRAY JOIN [{e}] AS a WHERE a",
    "WITH {e} AS a SELECT count() FROM {t} WHERE a",
    "WITH x AS (SELECT * FROM {t}) SELECT count() FROM x WHERE {e}",
    "WITH x AS (SELECT * FROM {t} WHERE {e}) SELECT count() FROM x AS l CROSS JOIN x AS r",
    "SELECT count() FROM (SELECT * FROM {t}) WHERE {e}",
    "SELECT count() FROM (SELECT * FROM (SELECT * FROM {t} WHERE {e}) WHERE {e})",
    "SELECT (SELECT count() FROM {t} WHERE {e})",
    "SELECT 1 WHERE 1 IN (SELECT {e} FROM {t})",
    "SELECT count() FROM {t} WHERE project IN (SELECT project FROM {t} WHERE {e})",
    "SELECT count() FROM {t} AS l JOIN (SELECT * FROM {t} WHERE {e}) AS r ON l.project = r.project",
    "SELECT count() FROM (SELECT project, {e} AS e FROM {t}) AS l JOIN (SELECT project FROM {t}) AS r USING project WHERE e",
    "SELECT count() FROM numbers(2) AS n LEFT JOIN (SELECT {e} AS e FROM {t}) AS r ON n.number = r.e",
    "SELECT count() FROM {t} WHERE {e} UNION ALL SELECT count() FROM {t} WHERE {e}",
    "SELECT count() FROM {t} WHERE {e} SETTINGS final = 0",
    "SELECT count() FROM {t} WHERE {e} SETTINGS final = 0, max_threads = 1",
    "SELECT DISTINCT {e} FROM {t}",
    "SELECT groupArray({e}) FROM {t}",
    "SELECT count() FROM {t} QUALIFY row_number() OVER (ORDER BY {e}) > 0",
    "SELECT project FROM {t} WHERE {e} INTERSECT SELECT project FROM {t}",
    "SELECT argMax(project, {e}) FROM {t}",
    "SELECT lagInFrame(project) OVER (PARTITION BY {e}) FROM {t}",
)  # fmt: skip
TABLES = {
    "spans": ("input", "trace_id"),
    "evaluations": ("explanation", "experiment_id"),
    "examples": ("input", "dataset"),
    "experiments": ("target", "experiment_id"),
    "alerts": ("message", "rule_id"),
    "usage": ("explanation", "service"),
}
SPELLINGS = ("{t}", "evalspan.{t}", "`evalspan`.`{t}`", '"evalspan" . /* a */ "{t}"')


def statements(project: str, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """`count` statements and their tables, the same for the same seed; without a bound on it, each combination once."""
    combinations = list(itertools.product(EXPRESSIONS, PLACES, TABLES))
    order = random.Random(seed)
    order.shuffle(combinations)
    for expression, place, table in combinations[:count]:
        text, key = TABLES[table]
        filled = expression.format(p=project, c=text, k=key)
        yield place.format(k=key, p=project, t=order.choice(SPELLINGS).format(t=table), e=f"({filled})"), table
