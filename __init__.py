"""The Python face of evalspan: one line switches tracing on, everything else is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import evaluators as evaluators
    from .instrument.context import context as context
    from .instrument.decorators import observe as observe
    from .instrument.decorators import span as span
    from .instrument.feedback import current_ids as current_ids
    from .instrument.feedback import score as score
    from .instrument.start import init as init
    from .instrument.start import uninstrument as uninstrument
    from .instrument.suppression import suppress as suppress

__version__ = "0.1.0"
__all__ = ["context", "current_ids", "evaluators", "init", "observe", "score", "span", "suppress", "uninstrument"]

_HOMES = {
    "context": "instrument.context",
    "current_ids": "instrument.feedback",
    "init": "instrument.start",
    "observe": "instrument.decorators",
    "score": "instrument.feedback",
    "span": "instrument.decorators",
    "suppress": "instrument.suppression",
    "uninstrument": "instrument.start",
}


def __getattr__(name: str) -> Any:
    if name == "evaluators":
        return import_module(".evaluators", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
