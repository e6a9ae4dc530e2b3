"""Other instrumentations of the same SDKs: where one is at work we stand back, and say so once."""

from __future__ import annotations

import logging
import sys

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

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
_said: set[tuple[str, str]] = set()


def traced_by_another(library: str, context: Context) -> bool:
    """Whether another instrumentation has a span for this very call, or is switched on for the SDK."""
    scope = getattr(get_current_span(context), "instrumentation_scope", None)
    if scope is not None and scope.name.startswith(_SCOPES):
        _say(library, scope.name)
        return True
    for module in _INSTRUMENTORS[library] & sys.modules.keys():
        if _is_on(module):
            _say(library, module)
            return True
    return False


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
