"""Our content setting, said to other instrumentors in their own words: switched off here means switched off there."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from ..config import CAPTURE_VARIABLE, InstrumentConfig
from .table import OFFICIAL, OPENINFERENCE, OPENLLMETRY

_TRACELOOP_VARIABLE = "TRACELOOP_TRACE_CONTENT"
_HIDDEN = (
    "hide_inputs",
    "hide_outputs",
    "hide_input_messages",
    "hide_output_messages",
    "hide_prompts",
    "hide_choices",
    "hide_embeddings_text",
    "hide_llm_tools",
)


class ContentSetting:
    """What one `init` says of content; the official packages and OpenLLMetry read variables at every call."""

    def __init__(self, config: InstrumentConfig) -> None:
        self.mode = config.content
        self._before: dict[str, str | None] = {}

    def constructor_arguments(self, family: str) -> dict[str, Any]:
        """What the instrumentor is made with: OpenLLMetry's would else send `traceparent` to the model's API."""
        return {"disable_trace_context_propagation": True} if family == OPENLLMETRY else {}

    def arguments(self, family: str) -> dict[str, Any]:
        """What its `instrument()` gets; variables are set where there is no argument."""
        if family == OFFICIAL:
            self._set(CAPTURE_VARIABLE, self.mode.name)
        elif family == OPENLLMETRY and not self.mode.on_span:
            self._set(_TRACELOOP_VARIABLE, "false")
        elif family == OPENINFERENCE and not self.mode.on_span:
            settings = import_module("openinference.instrumentation").TraceConfig
            known = getattr(settings, "__dataclass_fields__", {})
            return {"config": settings(**{name: True for name in _HIDDEN if name in known})}
        return {}

    def restore(self) -> None:
        """Puts the variables back as they were."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()

    def _set(self, name: str, value: str) -> None:
        if os.environ.get(name) != value:
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value
