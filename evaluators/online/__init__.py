"""Scores stored spans while they arrive: rules, plans, budgets; runs in the service or in `evalspan score --follow`."""

from .config import EvaluationConfig, EvaluationRule, Problem, ReadyRule, load_evaluators, read_rules
from .follow import Follower, checked

__all__ = [
    "EvaluationConfig",
    "EvaluationRule",
    "Follower",
    "Problem",
    "ReadyRule",
    "checked",
    "load_evaluators",
    "read_rules",
]
