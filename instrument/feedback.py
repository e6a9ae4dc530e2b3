"""`evalspan.score`: what the app knows about an answer, sent as the `gen_ai.evaluation.result` event, now or later."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.context import get_value
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, get_current_span, set_span_in_context

from ..errors import UsageError
from . import semconv
from .current_context import live_context
from .observing import UNTRACED
from .safe_call import safe_call
from .suppression import is_suppressed
from .well_formed import well_formed

if TYPE_CHECKING:
    from .start import Handle


class SpanIds(NamedTuple):
    """Which trace and span something belongs to, in lower-case hexadecimal digits; None where nothing is traced."""

    trace_id: str | None
    span_id: str | None


def current_ids() -> SpanIds:
    """The ids of the current span, to keep beside an answer and to score it later.

    `trace_id, span_id = evalspan.current_ids()`; both are None outside of any span.
    """
    found = safe_call(_current_ids)
    return found if isinstance(found, SpanIds) else SpanIds(None, None)


def _current_ids() -> SpanIds:
    context = get_current_span(live_context()).get_span_context()
    if not context.is_valid:
        return SpanIds(None, None)
    return SpanIds(format(context.trace_id, "032x"), format(context.span_id, "016x"))


def score(
    name: str,
    value: float | bool | None = None,
    label: str | None = None,
    *,
    span: Span | None = None,
    trace_id: str | int | None = None,
    span_id: str | int | None = None,
    explanation: str | None = None,
    source: str = "user_feedback",
) -> None:
    """Scores a span: the given one, the one of these ids (hexadecimal or numbers), else the current one.

    A trace id alone scores the whole trace. Does nothing while tracing is off or suppressed. UsageError for a
    score that says nothing, a value that is not a finite number, ids that are none, or no span to score.
    """
    _check(name, value, label)
    from .start import current

    handle = safe_call(current)
    if handle is None or handle.tracer_provider is None or safe_call(is_suppressed):
        return
    target = _target(span, trace_id, span_id)
    if target is not None:
        safe_call(_emit, handle, name, value, label, explanation, source, target)


def _emit(
    handle: Handle,
    name: str,
    value: float | bool | None,
    label: str | None,
    explanation: str | None,
    source: str,
    target: SpanContext,
) -> None:
    attributes: dict[str, Any] = {semconv.EVALUATION_NAME: well_formed(name), semconv.EVALUATION_SOURCE: source}
    if value is not None:
        attributes[semconv.EVALUATION_SCORE] = float(value)
    for key, text in ((semconv.EVALUATION_LABEL, label), (semconv.EVALUATION_EXPLANATION, explanation)):
        if text is not None and handle.tracing is not None:
            attributes[key] = handle.tracing.policy.text(text)
    handle.events().emit(semconv.EVALUATION_EVENT, attributes, set_span_in_context(NonRecordingSpan(target)))


def _check(name: str, value: float | bool | None, label: str | None) -> None:
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"score name {name!r} is empty.", hint='Name what is scored: evalspan.score("thumbs", 1).')
    if value is None and label is None:
        raise UsageError(f"score {name!r} has neither value nor label.", hint="Give a number, a label or both.")
    if value is not None and (not isinstance(value, (int, float)) or not math.isfinite(value)):
        raise UsageError(f"score {name!r} has the value {value!r}.", hint="Give a finite number or a bool.")


def _target(span: Span | None, trace_id: str | int | None, span_id: str | int | None) -> SpanContext | None:
    if trace_id is not None:
        return SpanContext(
            _number("trace_id", trace_id, 32),
            _number("span_id", span_id, 16) if span_id is not None else 0,
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
    if span_id is not None:
        raise UsageError("score has a span_id without its trace_id.", hint="Give both.")
    found = (span if span is not None else get_current_span()).get_span_context()
    if not found.is_valid:
        if span is not None or get_value(UNTRACED):
            return None  # its span could not be started; that is no mistake of the app's
        raise UsageError(
            "score has no span to belong to.",
            hint="Call it inside a traced block, or give span=..., or trace_id=... and span_id=...",
        )
    return found


def _number(name: str, value: str | int, digits: int) -> int:
    try:
        number = value if isinstance(value, int) else int(value, 16)
    except ValueError:
        number = 0
    if not 0 < number < 16**digits:
        raise UsageError(f"{name}={value!r} is not an id.", hint=f"Give up to {digits} hexadecimal digits.")
    return number
