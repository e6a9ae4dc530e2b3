"""What an active instrumentation needs for every span: the tracer, the content policy, metrics and events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from opentelemetry.trace import Span, Tracer

from .content import ContentPolicy

Attributes = dict[str, Any]


class Metrics(Protocol):
    """Where the client metrics of a call go."""

    def wanted(self) -> bool:
        """Whether anybody collects metrics."""

    def record(self, attributes: Attributes, seconds: float) -> None:
        """Records the duration, the tokens and the time to the first chunk of one call."""


class Tracing:
    """Made by `init`, read by the hooks and by the app's own spans."""

    def __init__(
        self,
        tracer: Tracer,
        policy: ContentPolicy,
        *,
        metrics: Metrics | None = None,
        event: Callable[[Span, Attributes], None] | None = None,
    ) -> None:
        self.tracer = tracer
        self.policy = policy
        self.metrics = metrics
        self.event = event


_active: Tracing | None = None


def active() -> Tracing | None:
    """The tracing of the `init` in force, None while nothing is switched on."""
    return _active


def set_active(tracing: Tracing | None) -> None:
    """What `init` and `uninstrument` say."""
    global _active
    _active = tracing


def is_ours(span: Any) -> bool:
    """Whether a span of the SDK's was made by evalspan."""
    scope = getattr(span, "instrumentation_scope", None)
    return scope is not None and (scope.name == "evalspan" or scope.name.startswith("evalspan."))


def error_name(error: BaseException) -> str:
    """A low-cardinality name for `error.type`: the exception's class, the same for both SDKs."""
    return type(error).__qualname__
