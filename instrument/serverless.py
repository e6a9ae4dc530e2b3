"""Functions that are frozen or ended right after they answer: spans are sent before the answer is given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from opentelemetry.trace import SpanKind, Status, StatusCode

from . import semconv
from .context import with_attributes
from .observing import active_tracing
from .safe_call import safe_call

Handler = TypeVar("Handler", bound=Callable[..., Any])


@overload
def flush_after(function: Handler, /) -> Handler: ...
@overload
def flush_after(*, timeout_s: float = 2.0, name: str | None = None) -> Callable[[Handler], Handler]: ...
def flush_after(function: Any = None, /, *, timeout_s: float = 2.0, name: str | None = None) -> Any:
    """Decorates a Lambda handler, a cloud function or a job: one span each, sent before it returns or raises.

    Waits at most `timeout_s` seconds, and never longer than the function has left (Lambda's context says that): a
    collector that is away costs that time once per call, and no more. The handler's result and exceptions are unchanged.
    """

    def decorate(target: Any) -> Any:
        title = name or getattr(target, "__name__", "handler")
        if inspect.iscoroutinefunction(target):

            async def call_async(*args: Any, **kwargs: Any) -> Any:
                invocation = safe_call(_Invocation, title, args)
                try:
                    result = await target(*args, **kwargs)
                except BaseException as error:
                    _finish(invocation, error, timeout_s, args)
                    raise
                _finish(invocation, None, timeout_s, args)
                return result

            return functools.wraps(target)(call_async)

        def call(*args: Any, **kwargs: Any) -> Any:
            invocation = safe_call(_Invocation, title, args)
            try:
                result = target(*args, **kwargs)
            except BaseException as error:
                _finish(invocation, error, timeout_s, args)
                raise
            _finish(invocation, None, timeout_s, args)
            return result

        return functools.wraps(target)(call)

    return decorate(function) if function is not None else decorate


class _Invocation:
    """The span of one invocation, current while the handler runs."""

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        from opentelemetry.context import attach, get_current
        from opentelemetry.trace import set_span_in_context

        request = getattr(args[1], "aws_request_id", None) if len(args) > 1 else None
        attributes = {"faas.invocation_id": str(request)} if request else {}
        self.span = active_tracing().tracer.start_span(name, kind=SpanKind.SERVER, attributes=attributes)
        self.token = attach(with_attributes(set_span_in_context(self.span, get_current()), {}))

    def end(self, error: BaseException | None) -> None:
        """Ends it."""
        from opentelemetry.context import detach

        detach(self.token)
        if error is not None:
            self.span.set_attribute(semconv.ERROR_TYPE, type(error).__qualname__)
            self.span.set_status(Status(StatusCode.ERROR, active_tracing().policy.error_message(error)))
        self.span.end()


def _finish(invocation: Any, error: BaseException | None, timeout_s: float, args: tuple[Any, ...]) -> None:
    from .start import current

    if isinstance(invocation, _Invocation):
        safe_call(invocation.end, error)
    if (handle := current()) is not None:
        safe_call(handle.flush, min(timeout_s, _time_left(args, timeout_s)))


def _time_left(args: tuple[Any, ...], default: float) -> float:
    """Seconds until the platform ends the function, less a margin to answer in."""
    remaining = getattr(args[1], "get_remaining_time_in_millis", None) if len(args) > 1 else None
    milliseconds = safe_call(remaining) if callable(remaining) else None
    if not isinstance(milliseconds, (int, float)):
        return default
    return float(max(0.0, milliseconds / 1000 - 0.2))
