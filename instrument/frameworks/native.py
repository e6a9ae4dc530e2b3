"""Frameworks that trace themselves: how each is switched on, sends to our provider and records content as we do."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from opentelemetry import trace

from ..config import ContentMode

# A function that switches the framework's own tracing on; the text it returns says what it could not do.
Switch = Callable[[Any, ContentMode], "str | None"]


def pydantic_ai(provider: Any, content: ContentMode) -> str | None:
    """Every agent that was not told otherwise; an app that has called `instrument_all` keeps its own settings."""
    agent = import_module("pydantic_ai").Agent
    if agent._instrument_default is False:  # noqa: SLF001 - there is no public way to ask
        settings = import_module("pydantic_ai.models.instrumented").InstrumentationSettings
        agent.instrument_all(settings(tracer_provider=provider, include_content=content.on_span))
    return None


def agent_framework(provider: Any, content: ContentMode) -> str | None:
    """On by default; only its content has to be asked for. ENABLE_SENSITIVE_DATA of the app wins."""
    settings = import_module("agent_framework.observability").OBSERVABILITY_SETTINGS
    if not os.environ.get("ENABLE_SENSITIVE_DATA"):
        settings.enable_sensitive_data = content.on_span
    return only_global(provider, content)


def semantic_kernel(provider: Any, content: ContentMode) -> str | None:
    """Off by default, behind settings that three of its modules have read by now."""
    telemetry = "semantic_kernel.utils.telemetry"
    for name in ("model_diagnostics.decorators", "model_diagnostics.function_tracer", "agent_diagnostics.decorators"):
        settings = import_module(f"{telemetry}.{name}").MODEL_DIAGNOSTICS_SETTINGS
        settings.enable_otel_diagnostics = True
        settings.enable_otel_diagnostics_sensitive = content.on_span
    return only_global(provider, content)


def only_global(provider: Any, content: ContentMode) -> str | None:  # noqa: ARG001 - the signature of all switches
    """On as soon as there is a global provider, and sends to no other."""
    if trace.get_tracer_provider() is provider:
        return None
    return "it sends to the global tracer provider only, which is not the one given to init()"


SWITCHES: dict[str, Switch] = {
    "pydantic-ai": pydantic_ai,
    "agent-framework": agent_framework,
    "semantic-kernel": semantic_kernel,
    "strands": only_global,
    "autogen": only_global,
}
