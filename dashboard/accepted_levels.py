"""The button beside a change: whoever finds the new level right makes it what the metric is compared with from now on."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..errors import UsageError
from ..evaluators.drift.reference import accept_level
from . import drift, guard, why
from .filters import instant
from .labels import redirect, remember_author
from .page_context import handle_errors, page_context


async def _accept(request: web.Request) -> web.StreamResponse:
    """Does what `evalspan drift accept` does: the level since `from` is the reference, a suspicion ends, its alert is resolved."""
    context, form = page_context(request), await request.post()
    text = {key: str(value).strip() for key, value in form.items()}
    if not text.get("author"):
        raise UsageError("Who accepts it?", hint="Write your name beside the button; the browser remembers it.")
    await asyncio.to_thread(
        accept_level,
        context.host.store,
        text.get("metric", ""),
        project=context.filters.project or text.get("project") or "default",
        service=text.get("service", ""),
        environment=text.get("environment", ""),
        begun=instant(text["from"], context.filters.zone) if text.get("from") else None,
        author=text["author"][:80],
        note=text.get("note", "")[:4000],
    )
    for known in (drift.REPORTS, why.EXPLANATIONS):
        request.app[known].forget()
    return remember_author(redirect(guard.local_path(text.get("back", "/drift"))), text["author"])


routes = [web.post("/drift/accept", guard.protect(handle_errors(_accept)))]
