"""From a span or an example to a score, from scores to a verdict; each name is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import statistics as statistics
    from .builtin.constraints import Constraints as Constraints
    from .builtin.grounding import Grounding as Grounding
    from .builtin.hallucination import Hallucination as Hallucination
    from .builtin.reference import exact_match as exact_match
    from .builtin.reference import token_f1 as token_f1
    from .builtin.similarity import SemanticSimilarity as SemanticSimilarity
    from .builtin.topics import InputTopic as InputTopic
    from .contract import Evaluator as Evaluator
    from .contract import Score as Score
    from .contract import Unscored as Unscored
    from .contract import evaluator as evaluator
    from .judges.judge import Judge as Judge
    from .judges.pairwise import PairwiseJudge as PairwiseJudge
    from .runner import EvaluationResult as EvaluationResult
    from .runner import run_evaluator as run_evaluator
    from .runner import run_suite as run_suite
    from .trajectory.arguments_valid import ArgumentsValid as ArgumentsValid
    from .trajectory.checks import CostBudget as CostBudget
    from .trajectory.checks import ErrorsHandled as ErrorsHandled
    from .trajectory.checks import Grounded as Grounded
    from .trajectory.checks import HandoffsTo as HandoffsTo
    from .trajectory.checks import NoRepeatedCalls as NoRepeatedCalls
    from .trajectory.checks import StepBudget as StepBudget
    from .trajectory.conversation import Conversation as Conversation
    from .trajectory.expected_calls import ToolCalls as ToolCalls
    from .trajectory.judges import ConversationJudge as ConversationJudge
    from .trajectory.judges import ConversationResolved as ConversationResolved
    from .trajectory.judges import PairwiseTraceJudge as PairwiseTraceJudge
    from .trajectory.judges import PlanSensible as PlanSensible
    from .trajectory.judges import TaskCompleted as TaskCompleted
    from .trajectory.judges import TraceJudge as TraceJudge
    from .trajectory.judges import UserFrustrated as UserFrustrated
    from .trajectory.trace import Trace as Trace

_HOMES = {
    "Evaluator": "contract",
    "Score": "contract",
    "Unscored": "contract",
    "evaluator": "contract",
    "ArgumentsValid": "trajectory.arguments_valid",
    "Conversation": "trajectory.conversation",
    "ConversationJudge": "trajectory.judges",
    "ConversationResolved": "trajectory.judges",
    "CostBudget": "trajectory.checks",
    "ErrorsHandled": "trajectory.checks",
    "Grounded": "trajectory.checks",
    "HandoffsTo": "trajectory.checks",
    "NoRepeatedCalls": "trajectory.checks",
    "PairwiseTraceJudge": "trajectory.judges",
    "PlanSensible": "trajectory.judges",
    "StepBudget": "trajectory.checks",
    "TaskCompleted": "trajectory.judges",
    "ToolCalls": "trajectory.expected_calls",
    "Trace": "trajectory.trace",
    "TraceJudge": "trajectory.judges",
    "UserFrustrated": "trajectory.judges",
    "Constraints": "builtin.constraints",
    "Grounding": "builtin.grounding",
    "Hallucination": "builtin.hallucination",
    "InputTopic": "builtin.topics",
    "Judge": "judges.judge",
    "EvaluationResult": "runner",  # with asyncio, half of the import time
    "PairwiseJudge": "judges.pairwise",
    "SemanticSimilarity": "builtin.similarity",
    "exact_match": "builtin.reference",
    "run_evaluator": "runner",
    "run_suite": "runner",
    "token_f1": "builtin.reference",
}
_SUBMODULES = ("datasets", "statistics")
__all__ = [  # noqa: PLE0604 - the lazy names complete the list
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
