"""From a span or an example to a score, from scores to a verdict; each name is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Eager, because the decorator and its module share a name: the package's attribute must be the decorator.
from .evaluator import Evaluator, Score, Unscored, evaluator

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import statistics as statistics
    from .constraints import Constraints as Constraints
    from .grounding import Grounding as Grounding
    from .hallucination import Hallucination as Hallucination
    from .judges.judge import Judge as Judge
    from .judges.pairwise import PairwiseJudge as PairwiseJudge
    from .reference import exact_match as exact_match
    from .reference import token_f1 as token_f1
    from .running import Outcome as Outcome
    from .running import run_evaluator as run_evaluator
    from .running import run_suite as run_suite
    from .similarity import SemanticSimilarity as SemanticSimilarity
    from .topics import InputTopic as InputTopic

_HOMES = {
    "Constraints": "constraints",
    "Grounding": "grounding",
    "Hallucination": "hallucination",
    "InputTopic": "topics",
    "Judge": "judges.judge",
    "Outcome": "running",  # with asyncio, half of the import time
    "PairwiseJudge": "judges.pairwise",
    "SemanticSimilarity": "similarity",
    "exact_match": "reference",
    "run_evaluator": "running",
    "run_suite": "running",
    "token_f1": "reference",
}
_SUBMODULES = ("datasets", "statistics")
__all__ = [  # noqa: PLE0604 - the lazy names complete the list
    "Evaluator",
    "Score",
    "Unscored",
    "evaluator",
    *_SUBMODULES,
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f".{name}", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(sorted(__all__))}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
