"""The conversations: a list to find those that went badly, and one as a chat with an index of its turns."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from aiohttp import web

from ..errors import UsageError
from ..queries.messages import output_text
from ..queries.span_conditions import conversation_filter
from . import guard, messages
from .filters import stamp
from .labels import OVERALL, label_span, redirect, remember_author
from .page_context import PageContext, Rows, handle_errors, page, page_context
from .trace import ALWAYS
from .trace_filters import all_params, chips, conditions, kept, removed

SORTS = {
    "last": "Newest first",
    "score": "Lowest score first",
    "errors": "Most errors first",
    "turns": "Longest first, by turns",
    "duration": "Longest first, by time",
    "cost": "Dearest first",
}
SHOW = {"": "All", "bad": "Went badly", "erred": "With errors", "failed": "With failed scores", "down": "Thumbs down"}


async def _list(context: PageContext) -> dict[str, Any]:
    params = context.params
    sort, only, q = params.get("sort", "last"), params.get("show", ""), params.get("q", "").strip()
    if sort not in SORTS or only not in SHOW:
        raise UsageError("This list cannot be shown so.", hint=f"sort: {', '.join(SORTS)}; show: {', '.join(SHOW)}.")
    rows = context.config.rows
    skip = min(int(params["skip"]), 1_000_000) if params.get("skip", "").isdecimal() else 0
    chosen: dict[str, Any] = {f"by_{sort}": 1, **({only: 1} if only else {})}
    asked = conditions(context, without="q")  # `q` is the search of this page itself: the beginning of an id
    if sort == "last" and not only and not asked:
        # The newest are found by their times alone; only what the page shows is read in full.
        listed = await context.query("pages/session_ids", q=q, rows=rows, skip=skip)
        ids = [row["conversation_id"] for row in listed]
        # Scores and texts are looked for where these conversations lie, not in the whole range.
        times = _between(listed)
        chosen |= {"ids": ids, "by_page": 1, "whole": 0, **times}
        found = await context.query("pages/sessions", q=q, rows=rows, **chosen) if ids else []
        total = listed[0]["total"] if listed else 0
    else:
        times = dict[str, str]()
        filtered = conversation_filter(asked)
        found = await context.query("pages/sessions", filtered, q=q, rows=rows, skip=skip, **chosen)
        total = found[0]["total"] if found else 0
    texts = await _texts(context, found, times)
    here = all_params(context)
    return {
        "sessions": [{**row, **texts.get(row["conversation_id"], {})} for row in found],
        "q": q,
        "chips": [{"text": one.text, "without": removed(context, one)} for one in chips(context) if one.name != "q"],
        "kept": {name: value for name, value in kept(context).items() if name != "q"},
        "sort": sort,
        "sorts": SORTS,
        "show": only,
        "shows": SHOW,
        "total": total,
        "from": skip + 1,
        "older": context.filters.url("/sessions", **{**here, "skip": str(skip + rows)}) if skip + rows < total else "",
        "newer": context.filters.url("/sessions", **{**here, "skip": str(max(0, skip - rows) or "")}) if skip else "",
    }


def _between(listed: Rows) -> dict[str, str]:
    """The range in which all spans of these conversations began, as parameters of a query."""
    if not listed:
        return {}
    first, newest = min(row["first"] for row in listed), max(row["newest"] for row in listed)
    return {"start": stamp(first - timedelta(seconds=1)), "end": stamp(newest + timedelta(seconds=1))}


async def _texts(context: PageContext, found: Rows, times: dict[str, str]) -> dict[str, dict[str, Any]]:
    """First questions and last answers: of the first and last traces; of all others only where these say nothing."""
    if not found:
        return {}
    ids = [row["conversation_id"] for row in found]
    ends = sorted({row[end] for row in found for end in ("first_trace", "last_trace")})
    chosen = {"traces": ends, "hours": _hours(found), "chosen": 1}
    read = await context.query("pages/session_previews", ids=ids, **chosen, **times)
    texts = {row.pop("conversation_id"): row for row in read}
    silent = [one for one in ids if not all(texts.get(one, {}).get(text) for text in ("asked", "answered"))]
    if silent:
        read = await context.query("pages/session_previews", ids=silent, **times)
        texts |= {row.pop("conversation_id"): row for row in read}
    return texts


def _hours(found: Rows) -> list[str]:
    """The hours in which the first and the last traces began, and the hours after: the sorting key leads there at once."""
    begun = {
        row[end].replace(minute=0, second=0, microsecond=0) for row in found for end in ("first", "last", "newest")
    }
    return [f"{hour:%F %T}" for hour in sorted({hour + timedelta(hours=more) for hour in begun for more in (0, 1)})]


async def _one(context: PageContext) -> dict[str, Any]:
    session = context.request.match_info["session"]
    turns, whole = await asyncio.gather(
        context.query("pages/session", session=session), context.query("pages/session_scores", session=session)
    )
    ids = [turn["trace_id"] for turn in turns]
    scores = await context.query("pages/trace_scores", ids=ids, **ALWAYS) if turns else []
    of_trace: dict[str, Rows] = {}
    for score in scores:
        if score["name"] not in {"review", "queued"}:
            of_trace.setdefault(score["trace_id"], []).append(score)
    for turn in turns:
        turn["asked"] = messages.last_question(turn.pop("input"))
        turn["answered"] = output_text(turn.pop("output"))
        turn["scores"] = sorted(of_trace.get(turn["trace_id"], []), key=lambda one: one["passed"] != "fail")
        turn["failed"] = sum(score["passed"] == "fail" for score in turn["scores"])
        turn["state"] = "bad" if turn["errors"] or turn["failed"] else "good" if turn["scores"] else "none"
    return {"title": session, "session": session, "turns": turns, "whole": whole, "summary": _summary(turns)}


def _summary(turns: Rows) -> dict[str, Any]:
    """What the head of a conversation says."""
    if not turns:
        return {}
    return {
        "user": next((turn["user"] for turn in turns if turn["user"]), ""),
        "service": turns[0]["service"],
        "first": turns[0]["start_time"],
        "last": turns[-1]["start_time"],
        "cost_usd": sum(turn["cost_usd"] for turn in turns),
        "bad": sum(turn["state"] == "bad" for turn in turns),
        "errors": sum(turn["errors"] > 0 for turn in turns),
    }


async def _label(request: web.Request) -> web.StreamResponse:
    """Writes a label of the whole conversation, by its last turn."""
    context, form = page_context(request), await request.post()
    session = request.match_info["session"]
    turns = await context.query("pages/session", session=session)
    if not turns:
        raise UsageError(f"There is no conversation {session!r} in the store.", hint="It may be past its retention.")
    last = turns[-1]
    span = await context.first_row("pages/span", trace=last["trace_id"], span=last["span_id"])
    text = {key: str(value).strip() for key, value in form.items()}
    name, author = text.get("name") or OVERALL, text.get("author", "")
    note = text.get("note", "")
    await label_span(
        context, span, name=name, label=text.get("label", ""), author=author, note=note, unit="conversation"
    )
    return remember_author(redirect(context.filters.url(request.path.removesuffix("/label"))), author)


sessions = page("/sessions", "sessions.html", "Conversations")(_list)
session = page("/sessions/{session:(?:(?!\\.json$).)+}", "session.html", "Conversation", early=False)(_one)
routes = [
    *sessions.routes(),
    web.post("/sessions/{session:.+}/label", guard.protect(handle_errors(_label))),
    *session.routes(),
]
