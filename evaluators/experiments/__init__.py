"""Experiments: a dataset through a target under a suite, recorded so that two runs can be compared."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .record import CaseResult, Experiment
    from .run import RunSettings, run_cases
    from .target import Answer, Target, load_target

_HOMES = {
    "Answer": "target",
    "CaseResult": "record",
    "Experiment": "record",
    "RunSettings": "run",
    "Target": "target",
    "load_target": "target",
    "run_cases": "run",
}
__all__ = ["Answer", "CaseResult", "Experiment", "RunSettings", "Target", "load_target", "run_cases"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
