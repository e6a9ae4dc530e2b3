"""The anthropic SDK traces itself once a tracer provider exists. One span a call, by this rule:

- a call that we trace makes no native span, so its content is recorded once and no `traceparent` goes to the API;
- a client that was told to record content natively (`content_mode: "content"`) keeps its own spans: we stand back;
- calls that we pass through untouched, and clients outside our reach, keep their native spans of metadata.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.context import get_value

from ..guard import guarded
from ..recording import CURRENT_CALL
from ..suppression import is_suppressed


def traces_content_itself(client: Any) -> bool:
    """Whether this client was asked to record content on spans of its own."""
    options = getattr(client, "_open_telemetry", None)
    if options is None:
        return False
    traces = options.get("traces") or {}
    return bool(traces.get("enabled")) and traces.get("content_mode") == "content"


def leave_to_us(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG001 - wrapt's signature
    """Wraps the SDK's own start of a span: None, which it takes for "no span", where ours is or none shall be."""
    return None if guarded(ours_or_none) else wrapped(*args, **kwargs)


def ours_or_none() -> bool:
    """Whether the current call has our span, or is to have none."""
    return get_value(CURRENT_CALL) is not None or is_suppressed()
