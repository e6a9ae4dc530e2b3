"""Spans of frameworks that are never made current, found by the run for which a call is made.

The tracers of LangChain (OpenInference's, OpenLLMetry's) keep their spans by run and make none current, because a
callback cannot be sure to be called again. The run stands in the call stack: every component of LangChain hands its
`run_manager` on.
"""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any, NamedTuple

from opentelemetry.context import Context

from ..current_context import SPAN_KEY

_TRACERS = ("openinference.instrumentation.langchain", "opentelemetry.instrumentation.langchain")
_MAX_FRAMES = 60


class Run(NamedTuple):
    """The framework's span for what is running."""

    span: Any
    is_model_call: bool


def are_kept() -> bool:
    """Whether a tracer is loaded that makes no span current."""
    return _TRACERS[0] in sys.modules or _TRACERS[1] in sys.modules


def span_of_run(context: Context) -> Run | None:
    """The open span of the innermost LangChain run on the stack; None without one, or where a newer one is current."""
    if not are_kept():
        return None
    frame: FrameType | None = inspect.currentframe()
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return None
        if "run_manager" in frame.f_code.co_varnames:
            manager = frame.f_locals.get("run_manager")
            span = _traced(manager)
            if span is not None:
                return None if _is_newer(context.get(SPAN_KEY), span) else Run(span, _is_model_run(manager))
        frame = frame.f_back
    return None


def _traced(manager: Any) -> Any:
    run_id = getattr(manager, "run_id", None)
    for handler in getattr(manager, "handlers", None) or () if run_id is not None else ():
        find = getattr(handler, "get_span", None)
        if callable(find):
            span = find(run_id)
        else:
            held = getattr(handler, "spans", None)
            span = getattr(held.get(run_id), "span", None) if isinstance(held, dict) else None
        if span is not None and getattr(span, "end_time", None) is None and hasattr(span, "set_attribute"):
            return span
    return None


def _is_model_run(manager: Any) -> bool:
    return type(manager).__name__.endswith("LLMRun")


def _is_newer(current: Any, span: Any) -> bool:
    """Whether the current span began inside the run: then it is the closer one."""
    begun, run_begun = getattr(current, "start_time", None), getattr(span, "start_time", None)
    return begun is not None and run_begun is not None and begun > run_begun
