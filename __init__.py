"""The Python face of evalspan: one line switches tracing on, everything else is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import evaluators as evaluators
    from . import notebook as notebook
    from . import web as web
    from .instrument.context import context as context
    from .instrument.decorators import observe as observe
    from .instrument.decorators import span as span
    from .instrument.feedback import current_ids as current_ids
    from .instrument.feedback import score as score
    from .instrument.serverless import flush_after as flush_after
    from .instrument.start import init as init
    from .instrument.start import uninstrument as uninstrument
    from .instrument.suppression import suppress as suppress

__version__ = "0.1.0"
__all__ = [
    "context",
    "current_ids",
    "evaluators",
    "flush_after",
    "init",
    "notebook",
    "observe",
    "score",
    "span",
    "suppress",
    "uninstrument",
    "web",
]

_MODULES = ("evaluators", "notebook", "web")
_HOMES = {
    "context": "instrument.context",
    "current_ids": "instrument.feedback",
    "flush_after": "instrument.serverless",
    "init": "instrument.start",
    "load_ipython_extension": "instrument.ipython",
    "observe": "instrument.decorators",
    "score": "instrument.feedback",
    "span": "instrument.decorators",
    "suppress": "instrument.suppression",
    "uninstrument": "instrument.start",
    "unload_ipython_extension": "instrument.ipython",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
