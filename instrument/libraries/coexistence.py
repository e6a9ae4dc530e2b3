"""Other instrumentations: who else traces the same SDK, and whose span stands for the same call.

Decided by what is switched on and by what the current span says of itself, never by the beginning of a name:

- while another instrumentation of the *SDK* is switched on, we stand back and say so once;
- inside a *framework's* span of the call ours is made, because it knows the content and the tokens as the API gave
  them; theirs keeps its place in the tree and loses its role, so that the call counts once;
- any other span (an agent, a tool, a workflow, a request) changes nothing.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from opentelemetry.context import Context

from .. import semconv
from ..current_context import SPAN_KEY
from .framework_runs import span_of_run

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
# By which attribute a dialect says that a span is a call of a model, and the values that say so.
_MODEL_CALLS: tuple[tuple[str, frozenset[str]], ...] = (
    (semconv.OPERATION, semconv.MODEL_OPERATIONS),
    ("openinference.span.kind", frozenset(("LLM", "EMBEDDING"))),
    ("llm.request.type", frozenset(("chat", "completion", "embedding", "embeddings"))),
    ("traceloop.span.kind", frozenset(("llm", "embedding"))),
    ("langfuse.observation.type", frozenset(("generation", "embedding"))),
    ("langsmith.span.kind", frozenset(("llm",))),
    ("mlflow.spanType", frozenset(('"LLM"', '"CHAT_MODEL"', '"EMBEDDING"'))),
)
_said: set[tuple[str, str]] = set()


def traced_by_another(library: str) -> bool:
    """Whether another instrumentation of this SDK is switched on."""
    module = switched_on(library)
    if module is not None:
        _say(library, module)
    return module is not None


def switched_on(library: str) -> str | None:
    """The module of an instrumentation of this SDK that is switched on, None when there is none."""
    return next((module for module in _INSTRUMENTORS[library] & sys.modules.keys() if _is_on(module)), None)


def says_model_call(span: Any) -> bool:
    """Whether a span says of itself, in any dialect, that it stands for a call of a model."""
    attributes = getattr(span, "attributes", None)
    if not attributes:
        return False
    return any(attributes.get(name) in values for name, values in _MODEL_CALLS)


def in_framework_span(context: Context) -> Context:
    """The context in which our span of a call starts, after the framework's own span of that call lost its role."""
    run = span_of_run(context)
    span: Any = run.span if run is not None else context.get(SPAN_KEY)
    if span is None or _is_ours(span):
        return context
    if (run is not None and run.is_model_call) or says_model_call(span):
        # Said on the span itself, so that it holds in whatever order the two arrive.
        span.set_attribute(semconv.ROLE, semconv.ROLE_OTHER)
    return context if run is None else Context({**context, SPAN_KEY: span})


def in_run(context: Context) -> Context:
    """The context in which a span of the app's own starts: inside the framework's span of what is running."""
    run = span_of_run(context)
    return context if run is None else Context({**context, SPAN_KEY: run.span})


def _is_ours(span: Any) -> bool:
    scope = getattr(span, "instrumentation_scope", None)
    return scope is not None and (scope.name == "evalspan" or scope.name.startswith("evalspan."))


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
