"""Scores stored spans while they arrive: rules, plans, budgets; runs in the service or in `evalspan score --follow`."""

from ...queries.rule_tables import RuleProblem
from .config import EvaluationConfig, EvaluationRule, ReadyRule, load_evaluators, read_rules
from .follow import Follower, checked

__all__ = [
    "EvaluationConfig",
    "EvaluationRule",
    "Follower",
    "ReadyRule",
    "RuleProblem",
    "checked",
    "load_evaluators",
    "read_rules",
]
