"""What `opentelemetry-instrument python app.py` switches on: a provider where there is none, our SDKs, frameworks."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined] # its file opens with `type: ignore`
from opentelemetry.sdk.resources import Resource

from .. import config as settings
from ..safe_call import safe_call
from .hooks import HOOKS

if TYPE_CHECKING:
    from ..events import Events


class _Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Traces one SDK whenever the app imports it; an SDK that is never imported costs nothing."""

    library = ""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: the hooks wait for the import, and leave a release they do not know alone."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        from ..start import activate_libraries

        if settings.sdk_disabled() or HOOKS[self.library].tracing is not None:
            return
        provider = kwargs.get("tracer_provider") or trace.get_tracer_provider()
        config = settings.from_environment()
        activate_libraries([self.library], config, provider, partial(_events, config))

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the base class's signature
        HOOKS[self.library].deactivate()


def _events(config: settings.InstrumentConfig) -> Events:
    from ..events import Events

    return Events(config, Resource.create(), get_logger_provider())


def prepare() -> None:
    """Before the instrumentors are loaded: does what `init` does, because without a distro nobody makes a provider.

    The loader then switches on every instrumentor that is installed; of those for one framework, one is let through.
    """
    from ..start import prepare_for_loader

    safe_call(prepare_for_loader, _wanted())


def loaded() -> None:
    """After them: what is switched on from here on is the app's own doing."""
    from ..frameworks.activation import loader_is_done

    safe_call(loader_is_done)


def _wanted() -> list[str]:
    left_out = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    return [name for name in HOOKS if not left_out & {f"evalspan_{name}", "*"}]


class OpenAIInstrumentor(_Instrumentor):
    """`evalspan_openai`."""

    library = "openai"


class AnthropicInstrumentor(_Instrumentor):
    """`evalspan_anthropic`."""

    library = "anthropic"
