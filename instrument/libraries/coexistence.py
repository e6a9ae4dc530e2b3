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
from ..tracing import is_ours
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
INFERENCE, EMBEDDING = "inference", "embedding"
# By which attribute a dialect says that a span is a call of a model, and what its values say.
_CALLS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        semconv.OPERATION,
        {
            semconv.OPERATION_CHAT: INFERENCE,
            semconv.OPERATION_COMPLETION: INFERENCE,
            semconv.OPERATION_GENERATE: INFERENCE,
            semconv.OPERATION_EMBEDDINGS: EMBEDDING,
        },
    ),
    ("openinference.span.kind", {"LLM": INFERENCE, "EMBEDDING": EMBEDDING}),
    ("llm.request.type", {"chat": INFERENCE, "completion": INFERENCE, "embedding": EMBEDDING, "embeddings": EMBEDDING}),
    ("traceloop.span.kind", {"llm": INFERENCE, "embedding": EMBEDDING}),
    ("langfuse.observation.type", {"generation": INFERENCE, "embedding": EMBEDDING}),
    ("langsmith.span.kind", {"llm": INFERENCE}),
    ("mlflow.spanType", {'"LLM"': INFERENCE, '"CHAT_MODEL"': INFERENCE, '"EMBEDDING"': EMBEDDING}),
)
_OF_OPERATION = _CALLS[0][1]
_said: set[tuple[str, str]] = set()


def traced_by_another(library: str) -> bool:
    """Whether another instrumentation of this SDK is switched on."""
    module = switched_on(library)
    if module is not None:
        _say(library, module)
    return module is not None


def switched_on(library: str) -> str | None:
    """The module of an instrumentation of this SDK that is switched on, None when there is none."""
    candidates, imported = _INSTRUMENTORS[library], sys.modules.keys()
    if imported.isdisjoint(candidates):
        return None
    return next((module for module in candidates & imported if _is_on(module)), None)


def call_of(span: Any) -> str | None:
    """Which kind of model call a span says of itself, in any dialect, that it stands for; None for any other span."""
    attributes = getattr(span, "attributes", None)
    if not attributes:
        return None
    for name, kinds in _CALLS:
        value = attributes.get(name)
        if isinstance(value, str) and value in kinds:
            return kinds[value]
    return None


def in_framework_span(context: Context, operation: str) -> Context:
    """The context in which our span of a call starts, after the framework's own span of that call lost its role."""
    run = span_of_run(context)
    span: Any = run.span if run is not None else context.get(SPAN_KEY)
    if span is None or is_ours(span):
        return context
    theirs = INFERENCE if run is not None and run.is_model_call else call_of(span)
    # Embeddings inside a chat, such as those of a cache, are not that chat.
    if theirs is not None and theirs == _OF_OPERATION.get(operation):
        # Said on the span itself, so that it holds in whatever order the two arrive.
        span.set_attribute(semconv.ROLE, semconv.ROLE_OTHER)
    return context if run is None else Context({**context, SPAN_KEY: span})


def in_run(context: Context) -> Context:
    """The context in which a span of the app's own starts: inside the framework's span of what is running."""
    run = span_of_run(context)
    return context if run is None else Context({**context, SPAN_KEY: run.span})


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
