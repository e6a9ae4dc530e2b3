"""What a page gets for one request: reads the URL, asks the store by named query, renders HTML or its `.json` twin with the SQL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from aiohttp import web

from ..errors import EvalspanError, UsageError
from ..queries import catalog
from ..queries.plain_json import plain_json
from . import guard
from .early_head import is_slow, streamed
from .filters import RANGES, Filters
from .result_cache import ResultCache
from .statement_cache import StatementCache
from .template_filters import environment

if TYPE_CHECKING:
    from ..queries.host import Host
    from ..queries.span_conditions import Filter
    from .config import DashboardConfig

Rows = list[dict[str, Any]]
HOST: web.AppKey[Host] = web.AppKey("dashboard_host")
CONFIG: web.AppKey[DashboardConfig] = web.AppKey("dashboard_config")
SCOPES: web.AppKey[dict[tuple[str, str], tuple[float, dict[str, list[str]]]]] = web.AppKey("dashboard_scopes")
STATEMENTS: web.AppKey[StatementCache] = web.AppKey("dashboard_statements")
VIEWS: web.AppKey[ResultCache[Rows]] = web.AppKey("dashboard_views")
SCOPES_SECONDS = 30.0
MAX_PAGE_ROWS = 10_000
"""Rows of one query that a page takes."""
MANY_ROWS = 1_000
PARAMETER_IN_SQL = re.compile(r"\{(\w+):")


@dataclass
class ExecutedQuery:
    """A query that a page ran, as "as SQL" shows it."""

    name: str
    sql: str
    parameters: dict[str, Any]


@dataclass
class PageContext:
    """What a page function gets: the request, the filters and the store's answers."""

    request: web.Request
    filters: Filters
    host: Host
    config: DashboardConfig
    executed: list[ExecutedQuery] = field(default_factory=list)
    rows: int = 0
    """What all queries gave so far."""
    cut: list[str] = field(default_factory=list)
    """The queries that had more rows than a page takes: senders make up names, and a page is drawn beside all others."""
    posted: dict[str, str] = field(default_factory=dict)
    """Parameters that a form sent in the place of an address."""

    @property
    def params(self) -> dict[str, str]:
        """The URL's parameters, one value per name."""
        return {**self.request.query, **self.posted}

    @property
    def is_json(self) -> bool:
        """Whether the `.json` twin is asked for, which waits for everything."""
        return self.request.path.endswith(".json")

    @property
    def author(self) -> str:
        """The name under which this browser last labelled something."""
        return unquote(self.request.cookies.get("author", ""))[:80]

    async def query(
        self, name: str, filtered: Filter | None = None, slots: Mapping[str, str] | None = None, /, **parameters: Any
    ) -> Rows:
        """Runs the page query `name` with the global filters and `parameters`, off the event loop.

        `filtered` fills the slot `conditions` and brings its own parameters; `slots` fills others.
        """
        query = catalog.get(name)
        wanted = {parameter.name for parameter in query.parameters}
        given = {key: value for key, value in {**self.filters.parameters(), **parameters}.items() if key in wanted}
        bound = {**query.bound(given), **(filtered.parameters if filtered else {})}
        sql = query.statement(bound, {**(slots or {}), "conditions": filtered.text if filtered else ""})
        used = {key: bound[key] for key in dict.fromkeys(PARAMETER_IN_SQL.findall(sql)) if key in bound}
        self.executed.append(ExecutedQuery(name, sql, used))
        result = await self.request.app[STATEMENTS].answer(self.host.store, sql, used, max_rows=MAX_PAGE_ROWS + 1)
        rows = result.dicts()
        if len(rows) > MAX_PAGE_ROWS:
            self.cut.append(name)
        self.rows += len(rows)
        return rows[:MAX_PAGE_ROWS]

    async def first_row(
        self, name: str, filtered: Filter | None = None, slots: Mapping[str, str] | None = None, /, **parameters: Any
    ) -> dict[str, Any]:
        """The first row of an answer, empty when there is none."""
        rows = await self.query(name, filtered, slots, **parameters)
        return rows[0] if rows else {}

    def host_now(self) -> datetime:
        """The present moment, UTC."""
        return datetime.now(UTC)

    async def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Writes rows through the store's writer."""
        await asyncio.to_thread(self.host.store.insert, table, rows)


Show = Callable[[PageContext], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Page:
    """A page: where it is, which template draws it, which function fills it."""

    path: str
    template: str
    title: str
    show: Show
    since: str = ""
    """The time range without one in the URL; empty for the setting's."""
    early: bool = True
    """Whether its head may go first: not where what is read says how the page is called."""

    def routes(self) -> list[web.RouteDef]:
        """The page and its `.json` twin."""
        return [
            web.get(self.path, guard.protect(handle_errors(self.html))),
            web.get(f"{self.path}.json", guard.protect(handle_errors(self.json))),
        ]

    async def html(self, request: web.Request) -> web.StreamResponse:
        """The page as HTML, its head first when the rest takes a while."""
        context = page_context(request, since=self.since)
        around: dict[str, Any] = {"views": await _views(context), "json_url": json_url(request)}
        work = asyncio.ensure_future(self._filled(context))
        work.add_done_callback(_retrieved)
        if self.early and await is_slow(request, work):
            values = page_values(context, title=self.title, **around)
            return await streamed(request, self.template, values, work, context.config.prefix)
        draw = partial(render, context, self.template, **{"title": self.title, **around, **await work})
        # A page of many rows is drawn beside the event loop: everybody else's request waits for what is on it.
        return await asyncio.to_thread(draw) if context.rows > MANY_ROWS else draw()

    async def _filled(self, context: PageContext) -> dict[str, Any]:
        data, scopes = await asyncio.gather(self.show(context), _scopes(context))
        return {"scopes": scopes, **data}

    async def json(self, request: web.Request) -> web.Response:
        """The same data as JSON, with the SQL that gave it."""
        context = page_context(request, since=self.since)
        data = await self.show(context)
        data.pop("title", None)
        document = {
            "page": self.path,
            "range": {"from": context.filters.start, "to": context.filters.end},
            "data": data,
            "queries": [vars(executed) for executed in context.executed],
        }
        response = web.json_response(plain_json(document))
        response.enable_compression()
        return response


def _retrieved(work: asyncio.Task[dict[str, Any]]) -> None:
    if not work.cancelled():
        work.exception()  # whoever asked may be gone: nobody else waits for it


def page(path: str, template: str, title: str, *, since: str = "", early: bool = True) -> Callable[[Show], Page]:
    """Turns a function that fills a page into the page."""
    return lambda show: Page(path, template, title, show, since, early)


def page_context(request: web.Request, *, since: str = "") -> PageContext:
    """The request with its filters read."""
    host, config = request.app[HOST], request.app[CONFIG]
    usual = since or config.since
    filters = Filters.read(request.query, since=usual, project=guard.only_project(request))
    return PageContext(request, filters, host, config)


def render(context: PageContext, template: str, *, status: int = 200, **data: Any) -> web.Response:
    """Draws a template with what every page needs around it."""
    text = environment().get_template(template).render(page_values(context, **data))
    response = web.Response(text=text, status=status, content_type="text/html")
    response.enable_compression()
    return response


def page_values(context: PageContext, **data: Any) -> dict[str, Any]:
    """What templates find: what every page needs, and what this one says."""
    request = context.request
    return {
        "context": context,
        "filters": context.filters,
        "path": request.path,
        "ranges": RANGES,
        "theme": _theme(request),
        "csrf": guard.csrf_token(request),
        "signed_in": guard.signed_in(request),
        "now": datetime.now(UTC),
        "tz": context.filters.zone,
        "replay": bool(context.config.replay),
        "without_range": _address(request, {}),
        "outside_range": _outside_range(request),
        "scopes": {},
        "views": [],
        "json_url": "",
        **data,
    }


def _outside_range(request: web.Request) -> dict[str, list[str]]:
    """The parameters of the address but its time range and its page of a list."""
    left_out = {"since", "from", "to", "tz", "skip", "csrf"}
    return {name: request.query.getall(name) for name in request.query if name not in left_out}


def _address(request: web.Request, changes: dict[str, str]) -> str:
    query = urlencode({**_outside_range(request), **changes}, doseq=True)
    return f"{request.path}?{query}" if query else request.path


def error_response(request: web.Request, error: Exception) -> web.Response:
    """An error as a page, or as JSON under a `.json` address: what is wrong and how to mend it."""
    usage = isinstance(error, UsageError)
    status = HTTPStatus.BAD_REQUEST if usage else HTTPStatus.SERVICE_UNAVAILABLE
    hint = error.hint if isinstance(error, EvalspanError) else ""
    if request.path.endswith(".json"):
        return web.json_response({"error": str(error), "hint": hint}, status=status)
    host, config = request.app[HOST], request.app[CONFIG]
    context = PageContext(request, Filters.read({}, since=config.since), host, config)
    return render(context, "error.html", status=status, title="Cannot show this", message=str(error), hint=hint)


def not_found(request: web.Request, text: str) -> web.Response:
    """A page that says what is not there and where to go on; its `.json` twin as JSON."""
    message, _, hint = text.strip().partition(": ")
    if request.path.endswith(".json"):
        return web.json_response({"error": message, "hint": hint}, status=HTTPStatus.NOT_FOUND)
    host, config = request.app[HOST], request.app[CONFIG]
    context = PageContext(request, Filters.read({}, since=config.since), host, config)
    title = message if message and not message.startswith("404") else f"There is no page at {request.path}"
    return render(context, "error.html", status=404, title="Not found", message=title, hint=hint)


def json_url(request: web.Request) -> str:
    """The address of a page's `.json` twin, with the page's parameters."""
    path = "/overview" if request.path == "/" else request.path
    return f"{path}.json{'?' + request.query_string if request.query_string else ''}"


def handle_errors(handler: guard.Handler) -> guard.Handler:
    """A handler whose expected errors become a page that says how to mend them."""

    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except EvalspanError as error:
            return error_response(request, error)
        except web.HTTPNotFound as error:
            return not_found(request, error.text or "")

    return answered


async def _views(context: PageContext) -> Rows:
    """The saved views of the project, for the rail."""
    query, project = catalog.get("pages/saved_views"), context.filters.project
    bound = query.bound({"project": project})

    async def read() -> Rows:
        statement = query.statement(bound)
        result = await asyncio.to_thread(lambda: context.host.store.query(statement, bound))
        return result.dicts()

    return await context.request.app[VIEWS].get(project, read)


async def _scopes(context: PageContext) -> dict[str, list[str]]:
    """What the global selects offer, remembered for half a minute: names change rarely."""
    filters, remembered = context.filters, context.request.app[SCOPES]
    key = (filters.since, filters.project)
    found = remembered.get(key)
    if found is None:
        return await _query_scopes(context, key)
    if found[0] < monotonic() - SCOPES_SECONDS:
        # What is known is shown at once; the names are looked up again beside the page.
        remembered[key] = (monotonic(), found[1])
        task = asyncio.create_task(_query_scopes(context, key))
        _SCOPE_TASKS.add(task)
        task.add_done_callback(_scopes_done)
    return found[1]


_SCOPE_TASKS: set[asyncio.Task[dict[str, list[str]]]] = set()
"""Keeps the tasks alive until they are done."""


def _scopes_done(task: asyncio.Task[dict[str, list[str]]]) -> None:
    _SCOPE_TASKS.discard(task)
    if not task.cancelled():
        task.exception()  # a store that closes meanwhile is no news here: the page that asks next says so


async def _query_scopes(context: PageContext, key: tuple[str, str]) -> dict[str, list[str]]:
    query = catalog.get("pages/scopes")
    own = guard.only_project(context.request) or ""
    bound: dict[str, Any] = {**{name: context.filters.parameters()[name] for name in ("start", "end")}, "project": own}
    result = await asyncio.to_thread(lambda: query.run(context.host.store, **bound))
    row = result.dicts()[0]
    names = {"project": row["projects"], "environment": row["environments"], "service": row["services"]}
    if own or len(names["project"]) < 2:
        names.pop("project")
    context.request.app[SCOPES][key] = (monotonic(), names)
    return names


def _theme(request: web.Request) -> str:
    theme = request.cookies.get("theme", "")
    return theme if theme in {"light", "dark"} else ""
