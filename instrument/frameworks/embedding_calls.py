"""Embedding calls of an SDK whose instrumentor leaves them out: one span each, with model, input and tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from .. import semconv
from ..context import current_attributes
from ..safe_call import safe_call
from ..suppression import is_suppressed
from ..tracing import active


def embeddings_hook(provider: str) -> Callable[[Any], Any]:
    """Wraps a method that takes `model` and `inputs` by name and returns an answer with `usage`."""

    def hook(original: Any) -> Any:
        def create(self: Any, *args: Any, **kwargs: Any) -> Any:
            span = safe_call(_begin, provider, kwargs)
            try:
                answer = original(self, *args, **kwargs)
            except BaseException as error:
                safe_call(_end, span, None, error)
                raise
            safe_call(_end, span, answer, None)
            return answer

        return create

    return hook


def async_embeddings_hook(provider: str) -> Callable[[Any], Any]:
    """The same for coroutines."""

    def hook(original: Any) -> Any:
        async def create(self: Any, *args: Any, **kwargs: Any) -> Any:
            span = safe_call(_begin, provider, kwargs)
            try:
                answer = await original(self, *args, **kwargs)
            except BaseException as error:
                safe_call(_end, span, None, error)
                raise
            safe_call(_end, span, answer, None)
            return answer

        return create

    return hook


def _begin(provider: str, given: dict[str, Any]) -> Span | None:
    tracing = active()
    if tracing is None or is_suppressed():
        return None
    model = str(given.get("model") or "")
    start = {
        **current_attributes(),
        semconv.OPERATION: semconv.OPERATION_EMBEDDINGS,
        semconv.PROVIDER: provider,
        semconv.REQUEST_MODEL: model,
    }
    if tracing.policy.on_span:
        start.update(tracing.policy.sanitize({semconv.INPUT_VALUE: given.get("inputs")}))
    return tracing.tracer.start_span(f"{semconv.OPERATION_EMBEDDINGS} {model}", kind=SpanKind.CLIENT, attributes=start)


def _end(span: Span | None, answer: Any, error: BaseException | None) -> None:
    tracing = active()
    if span is None:
        return
    if error is not None:
        span.set_attribute(semconv.ERROR_TYPE, type(error).__qualname__)
        span.set_status(Status(StatusCode.ERROR, tracing.policy.error_message(error) if tracing is not None else None))
    tokens = getattr(getattr(answer, "usage", None), "prompt_tokens", None)
    if isinstance(tokens, int):
        span.set_attribute(semconv.INPUT_TOKENS, tokens)
    span.end()
