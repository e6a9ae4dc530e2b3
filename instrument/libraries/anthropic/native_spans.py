"""The anthropic SDK traces itself once a tracer provider exists. One span per call, by this rule:

- a call that we trace makes no native span, so its content is recorded once and no `traceparent` goes to the API;
- nor does one that another instrumentation traces;
- a client that was told to record content natively (`content_mode: "content"`) keeps its own spans: we stand back;
- calls that we pass through untouched, and clients outside our reach, keep their native spans of metadata.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.context import get_current

from ...current_context import SPAN_KEY
from ...safe_call import safe_call
from ...suppression import is_suppressed
from ..call_span import CURRENT_CALL
from ..coexistence import call_of, switched_on

_TRACED_BY_ALL = ".messages.create"


def traces_content_itself(client: Any) -> bool:
    """Whether this client was asked to record content on spans of its own."""
    options = getattr(client, "_open_telemetry", None)
    if options is None:
        return False
    traces = options.get("traces") or {}
    return bool(traces.get("enabled")) and traces.get("content_mode") == "content"


def suppress_native_span(original: Any) -> Any:
    """Wraps the SDK's own start of a span: None, which it takes for "no span", where another is or none shall be."""

    def start_span(*args: Any, **kwargs: Any) -> Any:
        return None if safe_call(another_or_none, args) else original(*args, **kwargs)

    return start_span


def another_or_none(args: tuple[Any, ...]) -> bool:
    """Whether the current call has a span of ours or of another instrumentation's, or is to have none."""
    context = get_current()
    if context.get(CURRENT_CALL) is not None or is_suppressed(context) or call_of(context.get(SPAN_KEY)) is not None:
        return True
    # Not all of them make their span the current one; these are the calls that each of them traces.
    options = args[2] if len(args) > 2 else None
    named = getattr(options, "span_name", None)
    return isinstance(named, str) and named.endswith(_TRACED_BY_ALL) and switched_on("anthropic") is not None
