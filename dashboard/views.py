"""Saved views: addresses that the team named; they stand in the rail, and `g` with a number opens them."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ..errors import UsageError
from . import guard
from .labels import redirect, remember_author
from .page_context import VIEWS, PageContext, handle_errors, page, page_context

MAX_VIEWS = 40


async def _list(context: PageContext) -> dict[str, Any]:
    return {"saved": await context.query("pages/saved_views")}


async def _save(request: web.Request) -> web.StreamResponse:
    """Names an address of this dashboard."""
    context, form = page_context(request), await request.post()
    name, author = str(form.get("view_name", "")).strip()[:60], str(form.get("saved_by", "")).strip()[:80]
    address = guard.local_path(str(form.get("view_address", "")))
    if not name:
        raise UsageError("A view needs a name.", hint="Write what it shows, such as: refunds that failed.")
    if len(address) > 4000 or urlsplit(address).path.startswith(("/login", "/logout", "/views")):
        raise UsageError("This address cannot be a view.", hint="Open the page that it shall show, and save it there.")
    if len(await context.query("pages/saved_views")) >= MAX_VIEWS:
        raise UsageError(f"There are {MAX_VIEWS} views already.", hint="Remove one that nobody opens: /views.")
    row = {
        "project": _project(context),
        "view_id": str(uuid.uuid4()),
        "name": name,
        "address": address,
        "author": author,
    }
    await context.insert("saved_views", [row])
    request.app[VIEWS].forget()
    answer = redirect(address)
    return remember_author(answer, author) if author else answer


async def _remove(request: web.Request) -> web.StreamResponse:
    context = page_context(request)
    view_id = request.match_info["view"]
    found = next((row for row in await context.query("pages/saved_views") if row["view_id"] == view_id), None)
    if found is None:
        raise UsageError("This view is not there any more.", hint="Open the list again: /views.")
    await context.insert("saved_views", [{**{k: v for k, v in found.items() if k != "created_at"}, "is_deleted": 1}])
    request.app[VIEWS].forget()
    return redirect("/views")


def _project(context: PageContext) -> str:
    return context.filters.project or "default"


views = page("/views", "views.html", "Saved views")(_list)
routes = [
    *views.routes(),
    web.post("/views", guard.protect(handle_errors(_save))),
    web.post("/views/{view}/remove", guard.protect(handle_errors(_remove))),
]
