"""Other instrumentations of the same SDKs: where one is at work we stand back, and say so once."""

from __future__ import annotations

import logging
import sys

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, get_current_span

from .. import semconv

log = logging.getLogger(__name__)

# Modules whose instrumentor class traces the same calls: official (old and new name), OpenLLMetry, OpenInference.
_INSTRUMENTORS: dict[str, frozenset[str]] = {
    "openai": frozenset(
        (
            "opentelemetry.instrumentation.genai.openai",
            "opentelemetry.instrumentation.openai_v2",
            "opentelemetry.instrumentation.openai",
            "openinference.instrumentation.openai",
        )
    ),
    "anthropic": frozenset(
        (
            "opentelemetry.instrumentation.genai.anthropic",
            "opentelemetry.instrumentation.anthropic",
            "openinference.instrumentation.anthropic",
        )
    ),
}
# Scopes of spans that already stand for the call when they are current.
_SCOPES = (
    "opentelemetry.util.genai",
    "opentelemetry.instrumentation.genai.",
    "opentelemetry.instrumentation.openai",
    "opentelemetry.instrumentation.anthropic",
    "openinference.instrumentation.openai",
    "openinference.instrumentation.anthropic",
)
# Operations of theirs that calls are made inside of: such a span stands for something larger than a call.
_LARGER = frozenset(
    (semconv.OPERATION_AGENT, semconv.OPERATION_WORKFLOW, semconv.OPERATION_TOOL, semconv.OPERATION_RETRIEVAL, "plan")
)
_said: set[tuple[str, str]] = set()


def traced_by_another(library: str, context: Context) -> bool:
    """Whether another instrumentation has a span for this very call, or is switched on for the SDK."""
    scope = span_of_another(context)
    if scope is not None:
        _say(library, next((module for module in _INSTRUMENTORS[library] if scope.startswith(module)), scope))
        return True
    module = switched_on(library)
    if module is not None:
        _say(library, module)
    return module is not None


def switched_on(library: str) -> str | None:
    """The module of an instrumentation of this SDK that is switched on, None when there is none."""
    return next((module for module in _INSTRUMENTORS[library] & sys.modules.keys() if _is_on(module)), None)


def span_of_another(context: Context) -> str | None:
    """The scope of the current span when it is another instrumentation's for the call that is being made."""
    span = get_current_span(context)
    scope = None if span is INVALID_SPAN else getattr(span, "instrumentation_scope", None)
    if scope is None or not scope.name.startswith(_SCOPES):
        return None
    attributes = getattr(span, "attributes", None) or {}
    return None if attributes.get(semconv.OPERATION) in _LARGER else str(scope.name)


def _is_on(module: str) -> bool:
    for name, kind in vars(sys.modules[module]).items():
        if name.endswith("Instrumentor") and isinstance(kind, type):
            # BaseInstrumentor keeps its one instance and whether it is switched on in these.
            instance = vars(kind).get("_instance")
            if instance is not None and getattr(instance, "is_instrumented_by_opentelemetry", False):
                return True
    return False


def _say(library: str, other: str) -> None:
    if (library, other) not in _said:
        _said.add((library, other))
        log.warning("%s already traces %s: evalspan adds no spans of its own for it", other, library)
