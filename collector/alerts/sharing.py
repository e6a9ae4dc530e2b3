"""Rules that ask the same query share one run of it: a hundred rules over twenty metrics scan the scores once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from .load import parameters_of
from .rule import AlertRule

# In these queries a metric's rows do not depend on which other metrics are asked for: the parameter is a filter.
BY_METRIC = frozenset({"e_detector", "score_trend", "confidence_band", "cusum"})


def sharing_a_scan(rules: Sequence[AlertRule]) -> list[list[AlertRule]]:
    """The rules in groups that one statement answers: same query, parameters, project and interval."""
    groups: dict[bytes, list[AlertRule]] = {}
    for number, rule in enumerate(rules):
        own = number if rule.telemetry else -1
        parameters = sorted(_without_metric(rule).items())
        key = msgspec.json.encode([own, rule.query, parameters, rule.project, rule.every_s])
        groups.setdefault(key, []).append(rule)
    return list(groups.values())


def shared_parameters(rule: AlertRule, now: datetime) -> dict[str, Any]:
    """The parameters that the rules of a group have in common."""
    return parameters_of(msgspec.structs.replace(rule, parameters=_without_metric(rule)), now)


def is_about(rule: AlertRule, row: Mapping[str, Any]) -> bool:
    """Whether a row of a shared run is of the rule's metric, where the run has all."""
    metric = rule.parameters.get("metric", "")
    return not metric or rule.query not in BY_METRIC or row["metric"] == str(metric)


def _without_metric(rule: AlertRule) -> dict[str, Any]:
    kept = rule.query not in BY_METRIC
    return {name: value for name, value in rule.parameters.items() if kept or name != "metric"}
