"""Who and what a call belongs to: attributes that `evalspan.context` puts on every span inside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context, create_key, get_current, set_value
from opentelemetry.sdk.trace import Span

from ..errors import UsageError
from . import semconv
from .current_context import ContextScope, live_context
from .safe_call import safe_call
from .span_attributes import read
from .well_formed import well_formed, well_formed_value

_KEY = create_key("evalspan.attributes")
# Names under which spans have been started in this process: `coverage` says by them whether a call was seen.
scopes_seen: set[str] = set()
# What `context(..., baggage=True)` sends along; nothing else is ever read from a caller's baggage.
_CARRIED = (semconv.CONVERSATION_ID, semconv.USER_ID, semconv.PROMPT_NAME, semconv.PROMPT_VERSION)


@contextmanager
def context(
    *,
    session: str | None = None,
    user: str | None = None,
    prompt: str | tuple[str, str | int] | None = None,
    tags: Mapping[str, str | int | float | bool] | None = None,
    baggage: bool = False,
) -> Iterator[None]:
    """Puts session, user, prompt name and version and tags on every span started inside, innermost value first.

    Follows asyncio tasks, and threads while `init(threads=True)`. With `baggage=True` it also travels to other
    services in the W3C baggage header: opt-in, because that header goes to every host the app calls.
    UsageError for a prompt that is neither a name nor a (name, version) pair.
    """
    scope = safe_call(_enter, _attributes(session, user, prompt, tags), baggage)
    try:
        yield
    finally:
        if scope is not None:
            safe_call(scope.leave)


def current_attributes(ctx: Context | None = None) -> dict[str, str | int | float | bool]:
    """The attributes that spans get in this context, from this process or from the baggage of the caller."""
    ctx = get_current() if ctx is None else ctx
    if not ctx:
        return {}
    here = ctx.get(_KEY)
    if isinstance(here, dict):
        return here
    # Not imported here: it costs two milliseconds at start, and where nobody did, no context has baggage.
    baggage = sys.modules.get("opentelemetry.baggage")
    entries = baggage.get_all(ctx) if baggage is not None else None
    if not entries:
        return {}
    return {
        name: value
        for name, value in entries.items()
        if isinstance(value, str) and (name in _CARRIED or name.startswith(semconv.TAG_PREFIX))
    }


def _attributes(
    session: str | None,
    user: str | None,
    prompt: str | tuple[str, str | int] | None,
    tags: Mapping[str, str | int | float | bool] | None,
) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    if session is not None:
        found[semconv.CONVERSATION_ID] = str(session)
    if user is not None:
        found[semconv.USER_ID] = str(user)
    if isinstance(prompt, str):
        found[semconv.PROMPT_NAME] = prompt
    elif prompt is not None:
        if not isinstance(prompt, (tuple, list)) or len(prompt) != 2:
            raise UsageError(
                f"prompt={prompt!r} is not a prompt.",
                hint='Give its name, or name and version: prompt=("support", "v3").',
            )
        found[semconv.PROMPT_NAME], found[semconv.PROMPT_VERSION] = str(prompt[0]), str(prompt[1])
    for key, value in (tags or {}).items():
        found[f"{semconv.TAG_PREFIX}{key}"] = value if isinstance(value, (str, int, float, bool)) else str(value)
    return found


def _enter(added: dict[str, str | int | float | bool], in_baggage: bool) -> ContextScope:
    added = {well_formed(name): well_formed_value(value) for name, value in added.items()}
    current = live_context()
    merged = set_value(_KEY, {**current_attributes(current), **added}, current)
    return ContextScope(_with_baggage(merged, added) if in_baggage else merged)


def with_attributes(ctx: Context, added: Mapping[str, str | int | float | bool]) -> Context:
    """The context in which spans also get these attributes."""
    cleaned = {well_formed(name): well_formed_value(value) for name, value in added.items()}
    return set_value(_KEY, {**current_attributes(ctx), **cleaned}, ctx) if cleaned else ctx


def _with_baggage(ctx: Context, attributes: Mapping[str, str | int | float | bool]) -> Context:
    from opentelemetry import baggage

    for name, value in attributes.items():
        ctx = baggage.set_baggage(name, str(value), ctx)
    return ctx


def add_context_attributes(span: Span, ctx: Context) -> None:
    """Adds the context's attributes to a span that has just started, where it has not set them itself."""
    found = current_attributes(ctx)
    if found and span.is_recording():
        own = read(span)
        span.set_attributes({name: value for name, value in found.items() if name not in own})
