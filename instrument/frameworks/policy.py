"""Content that we put on a framework's own span, under the policy of the `init` that is in force."""

from __future__ import annotations

from typing import Any

from .. import semconv
from ..tracing import active


def set_content(span: Any, operation: str, content: dict[str, Any]) -> None:
    """Adds content to a span of this operation, where it has none of its own."""
    tracing = active()
    own = getattr(span, "attributes", None) or {}
    if tracing is None or not span.is_recording() or own.get(semconv.OPERATION) != operation:
        return
    content = {name: value for name, value in content.items() if name not in own}
    if tracing.policy.on_span:
        span.set_attributes(tracing.policy.sanitize(content))
