"""Statements that would be long to plan or to run, by kind: refused before anything runs, or ended soon after their limit."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from evalspan.errors import QueryError
from evalspan.queries.store.client import Store
from evalspan.queries.untrusted.sql_gate import Limits
from evalspan.queries.untrusted.statement_settings import MAX_BLOCK_ROWS, assignments

LIMITS = Limits(time_s=0.5, memory_bytes=200 << 20, result_bytes=20 << 20)
TOO_LARGE, TIMEOUT, MEMORY, DENIED = 131, 159, 241, 497


def chained(first: str, link: str, count: int) -> str:
    """`first AS a0, link(a0) AS a1, ...`: each names the one before twice."""
    return ", ".join([f"{first} AS a0", *(link.format(p=f"a{n - 1}", n=f"a{n}") for n in range(1, count))])


# Refused for their form alone, whatever is stored.
REFUSED = {
    "common table expressions that double": "WITH a0 AS (SELECT 1 AS x), "
    + ", ".join(f"a{n} AS (SELECT x FROM a{n - 1} UNION ALL SELECT x FROM a{n - 1})" for n in range(1, 40))
    + " SELECT count() FROM a39",
    "9,000 UNION ALL": "SELECT 1" + " UNION ALL SELECT 1" * 9_000,
    "subqueries in subqueries": "SELECT * FROM (" * 100 + "SELECT 1" + ")" * 100,
    "scalar subqueries in each other": "SELECT " + "(SELECT " * 80 + "1" + ")" * 80,
    "conditions in conditions": "SELECT " + "if(number = 1, 1, " * 240 + "0" + ")" * 240 + " FROM numbers(10)",
    "parentheses": "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
    "brackets": "SELECT " + "[" * 1_200 + "1" + "]" * 1_200,
    "a chain of sums": "SELECT " + "+".join(["1"] * 8_000),
    "6,000 expressions in IN": "SELECT 1 IN (" + ",".join(f"{n} + 1" for n in range(6_000)) + ")",
    "NOT of NOT": "SELECT " + "NOT " * 20_000 + "1",
    "aliases that double texts": "WITH " + chained("'x'", "concat({p}, {p}) AS {n}", 40) + " SELECT length(a39)",
    "aliases that double arrays": "WITH " + chained("[1]", "arrayConcat({p}, {p}) AS {n}", 40) + " SELECT length(a39)",
    "aliases that double tuples": "WITH " + chained("(1, 1)", "({p}, {p}) AS {n}", 30) + " SELECT a29",
    "aliases that double columns": "WITH " + chained("toString(number)", "concat({p}, {p}) AS {n}", 30) + " SELECT a29 FROM numbers(1)",
    "a wide number": "SELECT length(printf('%999999999d', 1))",
    "a precise number": "SELECT length(printf('%.999999999f', 1.0))",
    "a width that is written late": "SELECT printf(concat('%9', '99999999d'), 1)",
    "a width that is a value": "SELECT printf('%*d', 999999999, 1)",
    "long text": "SELECT '" + "x" * 300_000 + "'",
    "repeat": "SELECT length(repeat('x', 4000000000))",
    "repeat of repeat": "SELECT length(repeat(repeat(repeat('x', 100000), 1000), 1000))",
    "spaces": "SELECT length(space(4000000000))",
    "padding": "SELECT length(leftPad('x', 2000000000, 'y'))",
    "an array of one value": "SELECT length(arrayWithConstant(2000000000, 'xxxxxxxx'))",
    "a resized array": "SELECT length(arrayResize([1], 2000000000))",
    "a range": "SELECT length(range(2000000000))",
    "many ranges": "SELECT arraySum(arrayMap(x -> arraySum(range(x)), range(200000)))",
    "a distance of long texts": "SELECT editDistance(repeat('a', 60000), repeat('b', 60000))",
    "a distance of long arrays": "SELECT arrayLevenshteinDistance(range(100000), range(1, 100001))",
}  # fmt: skip
# These run: until their time, their memory or the length of their answer ends.
ENDED = {
    "a recursion": "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count() FROM t",
    "rows without end": "SELECT count() FROM numbers(100000000000000) WHERE sin(number) > 2",
    "a cross join": "SELECT count() FROM numbers(1000000) AS a CROSS JOIN numbers(1000000) AS b",
    "sorting": "SELECT number FROM numbers(10000000000) ORDER BY cityHash64(number) LIMIT 5",
    "a window": "SELECT sum(number) OVER (ORDER BY cityHash64(number)) FROM numbers(1000000000) LIMIT 1",
    "groups": "SELECT count() FROM (SELECT number FROM numbers(10000000000) GROUP BY number)",
    "filling": "SELECT number FROM numbers(1) ORDER BY number WITH FILL TO 100000000000",
    "interpolation": "SELECT number, number AS b FROM numbers(1) ORDER BY number WITH FILL TO 90000000000 INTERPOLATE (b AS b + 1)",
    "different values": "SELECT uniqExact(number) FROM numbers(1000000000)",
    "a growing array": "SELECT length(groupArray(repeat('x', 10000))) FROM numbers(10000000)",
    "arrays of arrays joined": "SELECT arrayJoin(range(10000)), arrayJoin(arrayMap(x -> repeat('y', 10000), range(10000)))",
    "texts that fold": "SELECT arrayFold((acc, x) -> concat(acc, acc), range(64), 'x')",
    "replacing": "SELECT length(replaceAll(repeat('a', 1000000), 'a', repeat('b', 100000)))",
    "formatting": "SELECT length(format(repeat('{0}', 100000), repeat('x', 100000)))",
    "a pretty table": "SELECT repeat('x', 1000000) FROM numbers(1000) FORMAT PrettyCompact",
    "one scalar subquery": "SELECT (SELECT count() FROM numbers(100000000000000) WHERE sin(number) > 2)",
    "a set for IN": "SELECT 1 IN (SELECT number FROM numbers(100000000000000) WHERE sin(number) > 2)",
    "an explained plan": "EXPLAIN SELECT (SELECT count() FROM numbers(100000000000000) WHERE sin(number) > 2)",
    "a described query": "DESCRIBE (SELECT (SELECT count() FROM numbers(100000000000000) WHERE sin(number) > 2) AS a)",
    "a joined table of oneself": "SELECT count() FROM numbers(30000000) AS a JOIN numbers(30000000) AS b ON a.number % 3 = b.number % 3",
    "an array that is searched for every row": "SELECT count() FROM numbers(1000000000) WHERE has(range(100000), number + 2000000)",
    "a function of its own over an array for every row": "SELECT count() FROM numbers(1000000000) WHERE arrayExists(x -> x = number, range(300000, 400000))",
    "large blocks": "SELECT count() FROM numbers(10000000000) WHERE sin(number) > 2 SETTINGS max_block_size = 10000000000",
}  # fmt: skip


def resident_mib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20


def refusal_of(store: Store, sql: str) -> tuple[QueryError, float, int]:
    """The error, the processor seconds until it, and by how many MiB the process grew meanwhile."""
    before, most, done = resident_mib(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.01):
            most = max(most, resident_mib())

    watching = threading.Thread(target=watch)
    watching.start()
    began = time.process_time()
    try:
        with pytest.raises(QueryError) as refusal:
            store.query_untrusted(sql, limits=LIMITS)
    finally:
        done.set()
        watching.join()
    return refusal.value, time.process_time() - began, max(0, most - before)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_be_long_to_plan_or_huge_is_refused_before_it_runs(kind: str, store: Store) -> None:
    error, seconds, grown = refusal_of(store, REFUSED[kind])
    assert error.code not in (0, TIMEOUT)
    assert seconds < 2
    assert grown < 300


@pytest.mark.parametrize("kind", ENDED)
def test_what_runs_ends_soon_after_its_limit(kind: str, store: Store) -> None:
    error, seconds, grown = refusal_of(store, ENDED[kind])
    assert error.code
    assert seconds < LIMITS.time_s * LIMITS.threads + 2
    assert grown < 2 * (LIMITS.memory_bytes >> 20)


@pytest.mark.slow
def test_what_people_and_tools_write_is_far_below_the_limits(store: Store) -> None:
    names = ", ".join(f"'{number}'" for number in range(5_000))
    for sql in (
        f"SELECT count() FROM spans WHERE trace_id IN ({names})",
        "SELECT " + ", ".join(f"countIf(name = '{n}') AS c{n}" for n in range(200)) + " FROM spans",
        "SELECT 1" + " UNION ALL SELECT count() FROM spans" * 100,
        "WITH " + ", ".join(f"a{n} AS (SELECT {n} AS x)" for n in range(60)) + " SELECT * FROM a59",
        "SELECT CASE " + " ".join(f"WHEN number = {n} THEN {n}" for n in range(300)) + " END FROM numbers(10)",
        "SELECT * FROM (" * 15 + "SELECT 1" + ")" * 15,
    ):
        store.query_untrusted(sql)


def test_blocks_of_rows_are_no_larger_than_what_is_run_between_two_looks_at_the_clock() -> None:
    for asked, given in (("10", "10"), ("10000000000", MAX_BLOCK_ROWS), ("0", MAX_BLOCK_ROWS), ("x", MAX_BLOCK_ROWS)):
        found = assignments({"max_block_size": asked}, Limits(), confined=False)
        assert f"max_block_size = '{given}'" in found
