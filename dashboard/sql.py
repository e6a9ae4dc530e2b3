"""The SQL page: an editor with completion, the named queries with their parameters, results as table, chart, CSV, JSON."""

from __future__ import annotations

import ast
import asyncio
import csv
import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from ..errors import QueryError, UsageError
from ..queries import catalog
from ..queries.plain_json import plain_json
from ..queries.untrusted_text import csv_cell
from . import guard
from .page_context import PageContext, handle_errors, page, page_context, render

_THREADS = ThreadPoolExecutor(64, thread_name_prefix="sql-page")
SHOWN_ROWS = 500
"""Rows on the page; `.csv` and `.json` have all that the limits allow."""
MAX_ARRAY = 200_000
PARAMETER = "p_"
"""What stands before a query parameter's name in the URL, so that it cannot be a filter's."""
FUNCTIONS = (
    "count", "countIf", "sum", "sumIf", "avg", "avgIf", "avgWeighted", "uniq", "uniqExact", "quantile", "quantiles",
    "quantileTDigestWeighted", "argMax", "argMin", "groupArray", "groupUniqArray", "toStartOfHour", "toStartOfDay",
    "toStartOfInterval", "toStartOfMinute", "now", "today", "toDate", "toDateTime", "dateDiff", "if", "multiIf",
    "coalesce", "round", "length", "lower", "position", "match", "extract", "leftUTF8", "arrayJoin", "arrayMap",
    "arrayFilter", "has", "mapKeys", "mapValues", "JSONExtractString", "JSONExtractFloat", "JSONExtractInt",
    "mannWhitneyUTest", "kolmogorovSmirnovTest", "welchTTest", "corr", "stddevSamp", "varSamp", "topK",
)  # fmt: skip


async def run(context: PageContext, sql: str, parameters: dict[str, str]) -> Any:
    """A statement of the reader's, read-only and within limits. Raises QueryError and UsageError."""
    store = context.host.store
    own = guard.only_project(context.request)
    values = values_of(sql, parameters)
    loop = asyncio.get_running_loop()
    # Threads of their own: statements that wait for their place must not keep other pages from theirs.
    return await loop.run_in_executor(_THREADS, lambda: store.query_untrusted(sql, values or None, project=own))


def values_of(sql: str, parameters: dict[str, str]) -> dict[str, Any]:
    """The parameters as they are bound: text, and lists where the statement wants an array, written as ['a', 'b']."""
    found: dict[str, Any] = dict(parameters)
    for name, text in parameters.items():
        if re.search(rf"\{{{re.escape(name)}:\s*Array\b", sql):
            try:
                value = ast.literal_eval(text) if len(text) < MAX_ARRAY else None
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                value = None
            if not isinstance(value, list):
                raise UsageError(f"{name} is no array: {text[:80]!r}.", hint="Write it as ['a', 'b'].")
            found[name] = [str(item) for item in value]
    return found


def plan_of(sql: str, *, whole_store: bool = True) -> str:
    """The statement that shows how ClickHouse would run `sql`; who may see all sees indexes and parts as well."""
    options = " indexes = 1" if whole_store else ""
    return sql if re.match(r"\s*explain\b", sql, re.IGNORECASE) else f"EXPLAIN{options}\n{sql}"


def _statement_of(context: PageContext) -> tuple[str, dict[str, str], Any]:
    """The statement, its parameters and the named query it is, from the URL."""
    named = context.params.get("named", "")
    entry = catalog.get(named) if named else None
    sql = context.params.get("query", "")
    given = {key.removeprefix(PARAMETER): value for key, value in context.params.items() if key.startswith(PARAMETER)}
    if entry is not None:
        usual = {parameter.name: parameter.default or "" for parameter in entry.parameters}
        scope = context.filters.parameters()
        given = {name: given.get(name, scope.get(name, usual[name])) for name in usual}
        sql = sql or entry.statement(given)
    return sql, given, entry


async def _show(context: PageContext) -> dict[str, Any]:
    sql, parameters, entry = _statement_of(context)
    answer: dict[str, Any] = {"columns": [], "types": [], "rows": []}
    error = hint = ""
    began = time.perf_counter()
    explained = bool(context.params.get("explain"))
    if sql and (context.params.get("query") or context.params.get("run") or not parameters or entry):
        try:
            whole_store = guard.only_project(context.request) is None
            statement = plan_of(sql, whole_store=whole_store) if explained else sql
            result = await run(context, statement, parameters)
            answer = {"columns": result.columns, "types": result.types, "rows": [list(row) for row in result.rows]}
        except (QueryError, UsageError) as refused:
            error, hint = str(refused), refused.hint
    return {
        "sql": sql,
        "parameters": parameters,
        "entry": entry,
        "answer": answer,
        "error": error,
        "hint": hint,
        "took_ms": round((time.perf_counter() - began) * 1000, 1),
        "explained": explained,
        "chart": _chart(answer),
        "shown_rows": SHOWN_ROWS,
        **await _outside(context),
    }


async def _outside(context: PageContext) -> dict[str, Any]:
    """Named queries and words for completion."""
    columns = await context.query("pages/columns")
    words = [[row["table"], "table", ""] for row in {row["table"]: row for row in columns}.values()]
    seen: dict[str, list[str]] = {}
    for row in columns:
        seen.setdefault(row["name"], [row["name"], "column", f"{row['table']} · {row['type'][:28]}"])
    words += [*seen.values(), *([name, "function", ""] for name in FUNCTIONS)]
    queries = [catalog.get(name) for name in catalog.names()]
    library = [{"name": query.name, "title": query.title, "answers": query.answers} for query in queries]
    tables: dict[str, list[dict[str, str]]] = {}
    for row in columns:
        tables.setdefault(row["table"], []).append(row)
    return {"words": words, "library": library, "tables": tables}


def _chart(answer: dict[str, Any]) -> dict[str, Any] | None:
    """Which columns a chart can draw: the first a time, the others numbers; None when that is not so."""
    types = answer["types"]
    if len(answer["rows"]) < 2 or len(types) < 2 or not _bare(types[0]).startswith("Date"):
        return None
    numbers = [
        at for at, kind in enumerate(types) if at and _bare(kind).startswith(("Int", "UInt", "Float", "Decimal"))
    ]
    return {"numbers": numbers[:6]} if numbers else None


def _bare(kind: str) -> str:
    return kind.removeprefix("Nullable(").removeprefix("LowCardinality(")


sql = page("/sql", "sql.html", "SQL", early=False)(_show)


MAX_ADDRESS = 3500
"""Characters of an address; a longer statement is shown without one."""


async def _posted(request: web.Request) -> web.StreamResponse:
    """A page's statement with its parameters, as "Open in SQL" sends it: at its address, if that is short enough."""
    context = page_context(request)
    form = {name: str(value) for name, value in (await request.post()).items() if name != "csrf"}
    address = context.filters.url("/sql", **form, run="1")
    if len(address) <= MAX_ADDRESS:
        return web.Response(status=303, headers={"Location": address})
    context.posted = {**form, "run": "1"}
    return render(context, "sql.html", title="SQL", **await _show(context))


async def _csv(request: web.Request) -> web.StreamResponse:
    context = page_context(request)
    statement, parameters, _ = _statement_of(context)
    if not statement:
        raise UsageError("There is no query to run.", hint="Give one: /sql.csv?query=SELECT...")
    result = await run(context, statement, parameters)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([csv_cell(name) for name in result.columns])
    writer.writerows([csv_cell(value) for value in plain_json(row)] for row in result.rows)
    headers = {"Content-Disposition": 'attachment; filename="evalspan.csv"'}
    return web.Response(text=text.getvalue(), content_type="text/csv", headers=headers)


routes = [
    *sql.routes(),
    web.post("/sql", guard.protect(handle_errors(_posted))),
    web.get("/sql.csv", guard.protect(handle_errors(_csv))),
]
