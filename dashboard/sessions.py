"""The sessions: conversations over several traces, and one of them turn by turn with the scores of each turn."""

from __future__ import annotations

from typing import Any

from ..queries.messages import output_text
from . import messages
from .page_context import PageContext, page
from .trace import ALWAYS


async def _list(context: PageContext) -> dict[str, Any]:
    return {
        "sessions": await context.query("pages/sessions", q=context.params.get("q", "")),
        "q": context.params.get("q", ""),
    }


async def _one(context: PageContext) -> dict[str, Any]:
    session = context.request.match_info["session"]
    turns = await context.query("pages/session", session=session)
    scores = (
        await context.query("pages/trace_scores", ids=[turn["trace_id"] for turn in turns], **ALWAYS) if turns else []
    )
    for turn in turns:
        turn["asked"] = _last_question(turn.pop("input"))
        turn["answered"] = output_text(turn.pop("output"))
        turn["scores"] = [score for score in scores if score["trace_id"] == turn["trace_id"]]
    return {"title": session, "session": session, "turns": turns}


def _last_question(body: str) -> str:
    """What the user said in this turn: earlier turns are in the messages, too, and shown above."""
    read = messages.read(body)
    asked = [message for message in read if message["role"] in {"user", ""}] or read
    return "\n".join(str(part.get("text", "")) for part in asked[-1]["parts"]) if asked else ""


sessions = page("/sessions", "sessions.html", "Sessions")(_list)
session = page("/sessions/{session:(?:(?!\\.json$).)+}", "session.html", "Session")(_one)
routes = [*sessions.routes(), *session.routes()]
