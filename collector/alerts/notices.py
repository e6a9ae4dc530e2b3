"""Words an alert: what the sinks are given and the store keeps, with the numbers in units that people think in."""

from __future__ import annotations

from datetime import datetime
from string import Formatter
from typing import Any

from ...evaluators.drift.units import in_unit
from .config import AlertRule
from .states import Key

# The columns of the drift queries that are means of the metric or bounds of one.
_MEANS = frozenset({"mean", "baseline_mean", "baseline_low", "baseline_high"})


def notice_of(
    rule: AlertRule,
    key: Key,
    state: str,
    started_at: datetime,
    row: dict[str, Any],
    traces: list[str],
    message: str = "",
) -> dict[str, Any]:
    """What the sinks are given; `row` has the numbers as the query gave them."""
    return {
        "rule": rule.name,
        "name": " ".join([rule.name, *filter(None, key)]),
        "severity": rule.severity,
        "state": state,
        "started_at": started_at.isoformat(),
        "project": rule.project,
        "message": message or _message(rule, key, row),
        "query": rule.query or rule.telemetry,
        "parameters": rule.parameters,
        "condition": rule.condition,
        "row": row,
        "traces": traces,
    }


def _message(rule: AlertRule, key: Key, row: dict[str, Any]) -> str:
    if not row:
        return f"{' '.join(filter(None, key)) or rule.name} no longer meets: {rule.condition}"
    if not rule.message:
        return ", ".join(f"{name} {_shown(rule, row, name)}" for name in list(row)[:12])
    names = {name for _, name, _, _ in Formatter().parse(rule.message) if name}
    return rule.message.format(**{name: _shown(rule, row, name) for name in names})


def _shown(rule: AlertRule, row: dict[str, Any], name: str) -> str:
    value = row.get(name, "?")
    if isinstance(value, float):
        if name in _MEANS and rule.parameters.get("of") == "usage":
            return in_unit("usage", str(row.get("metric")), value)
        return f"{value:.4g}"
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else str(value)
