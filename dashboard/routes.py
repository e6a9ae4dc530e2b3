"""Puts the dashboard together: every page's routes, the static files, sign-in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from . import (
    accepted_levels,
    alerts,
    annotate,
    bulk_actions,
    cost,
    datasets,
    difference,
    drift,
    experiments,
    explore,
    findings,
    guard,
    labels,
    live,
    overview,
    prompts,
    replay,
    review,
    scores,
    sessions,
    sql,
    status,
    trace,
    trace_diff,
    traces,
    views,
    why,
)
from .page_context import CONFIG, HOST, SCOPES, STATEMENTS, VIEWS, handle_errors, not_found, page_context, render
from .result_cache import ResultCache
from .statement_cache import StatementCache

if TYPE_CHECKING:
    from ..queries.host import Host
    from .config import DashboardConfig

STATIC = Path(__file__).parent / "static"
PAGES = (
    overview,
    traces,
    live,
    labels,
    bulk_actions,
    trace,
    trace_diff,
    explore,
    difference,
    cost,
    prompts,
    replay,
    views,
    sessions,
    scores,
    drift,
    accepted_levels,
    alerts,
    why,
    review,
    annotate,
    datasets,
    experiments,
    sql,
    status,
)
A_DAY = 86400
TEXT_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def build(app: web.Application, host: Host, config: DashboardConfig) -> None:
    """Adds all routes of the dashboard to the service's application."""
    app[HOST] = host
    app[CONFIG] = config
    app[SCOPES] = {}
    app[drift.REPORTS] = ResultCache()
    app[drift.INPUTS] = ResultCache()
    app[review.FOUND] = ResultCache()
    app[findings.FINDINGS] = ResultCache()
    app[why.EXPLANATIONS] = ResultCache()
    app[VIEWS] = ResultCache()
    app[STATEMENTS] = StatementCache()
    app[live.LISTENERS] = set()
    app[guard.GUARD] = guard.Guard(
        lambda key: host.keys.access(f"Bearer {key}"),
        keys_set=not host.keys.open,
        sign_in=_login,
        shares=host.shares,
        proxies=host.proxies,
        prefix=config.prefix,
        form_timeout_s=host.deadlines.body_s,
    )
    app.middlewares.append(_not_found)
    app.on_shutdown.append(live.stop_listening)
    for module in PAGES:
        app.add_routes(module.routes)
    app.add_routes(
        [
            web.get("/", guard.protect(handle_errors(overview.overview.html))),
            web.get("/index.json", guard.protect(handle_errors(overview.overview.json))),
            web.get("/login", guard.protect(_login, public=True)),
            web.post("/login", guard.protect(_sign_in, public=True)),
            web.post("/logout", guard.protect(_sign_out)),
            web.get(r"/static/{name:[a-z_]+(\.min)?\.(css|js|svg|woff2)}", guard.protect(_static, public=True)),
            web.get("/favicon.ico", guard.protect(_favicon, public=True)),
        ]
    )


async def _static(request: web.Request) -> web.StreamResponse:
    path = STATIC / request.match_info["name"]
    if not path.is_file():
        raise web.HTTPNotFound
    headers = {"Cache-Control": f"public, max-age={A_DAY}", **guard.HEADERS}
    if path.suffix not in TEXT_TYPES:
        return web.FileResponse(path, headers=headers)
    response = web.Response(
        body=_text_file(path), content_type=TEXT_TYPES[path.suffix], charset="utf-8", headers=headers
    )
    response.enable_compression()
    return response


@cache
def _text_file(path: Path) -> bytes:
    return path.read_bytes()


@web.middleware
async def _not_found(request: web.Request, handler: guard.Handler) -> web.StreamResponse:
    """An address that no route knows, opened in a browser, gets a page to go on from."""
    try:
        return await handler(request)
    except web.HTTPNotFound as error:
        asked_by_browser = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
        known = not request.app[guard.GUARD].keys_set or guard.signed_in(request)
        if not asked_by_browser or not known or request.match_info.http_exception is not error:
            raise
        response = not_found(request, "")
        response.headers.update(guard.HEADERS)
        return response


async def _favicon(_: web.Request) -> web.StreamResponse:
    return web.FileResponse(STATIC / "icon.svg", headers={"Content-Type": "image/svg+xml", **guard.HEADERS})


async def _login(request: web.Request) -> web.StreamResponse:
    where = request.query.get("next", "/") if request.path == "/login" else str(request.rel_url)
    return render(page_context(request), "login.html", title="Sign in", wrong=False, next=where)


async def _sign_in(request: web.Request) -> web.StreamResponse:
    form = await request.post()
    where = str(form.get("next", "/"))
    answer = guard.start_session(request, str(form.get("key", "")).strip(), where)
    return answer or render(page_context(request), "login.html", status=401, title="Sign in", wrong=True, next=where)


async def _sign_out(request: web.Request) -> web.StreamResponse:
    return guard.end_session(request)
