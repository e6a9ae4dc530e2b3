"""The text and the data of a notice: what the sinks get and the store keeps, with numbers in units that people think in."""

from __future__ import annotations

import re
from datetime import datetime
from string import Formatter
from typing import Any

from ...evaluators.drift.units import format_difference, format_value, to_unit, unit_of
from ...queries.untrusted_text import one_line, visible
from .rule import AlertRule
from .states import Key

# The columns of the named queries that are means of the metric or bounds of one, and those that are differences of means.
MEANS = frozenset(
    {"mean", "mean_before", "mean_since", "mean_after", "baseline_mean", "baseline_low", "baseline_high", "low", "high"}
)
DIFFERENCES = frozenset({"difference", "difference_low", "difference_high"})
# The columns that say what happened; the first that a row has is the alert's number, likewise for the others.
_VALUES = (
    ("mean_since", "mean", "pass_rate", "error_rate", "kappa", "age_days", "share_after", "silent_s", "value", "statistic")
)  # fmt: skip
# Units of numbers that are none of the metric's.
_UNITS = {"pass_rate": "share", "share_after": "share", "age_days": "days", "silent_s": "s", "kappa": ""}
_BASELINES = ("mean_before", "baseline_mean", "share_before")
_LOWS, _HIGHS = ("low", "pass_low", "error_low"), ("high", "pass_high", "error_high")
_P_VALUES = ("p_adjusted", "p")
_BASE_NS, _NOW_NS = ("baseline_n", "n_before"), ("n_since", "n", "pass_n", "pairs", "n_after")


def notice_of(
    rule: AlertRule,
    key: Key,
    state: str,
    started_at: datetime,
    row: dict[str, Any],
    traces: list[str],
    message: str = "",
    *,
    link: str = "",
    finding: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the sinks get; `row` has the numbers as the query gave them, `numbers` has them in the metric's unit.

    `link` leads to the alert on the dashboard; `finding` says why a metric moved (`evalspan why`).
    """
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
        "numbers": numbers_of(rule, row),
        "row": row,
        "traces": traces,
        "link": link,
        "finding": finding,
    }


def shown_notice(notice: dict[str, Any]) -> dict[str, Any]:
    """The notice for people to read: what spans and models put into it has no controls, and names are one line."""
    return {
        **notice,
        **{
            name: one_line(" ".join(str(notice[name]).split()))
            for name in ("rule", "name", "project")
            if name in notice
        },
        "message": visible(str(notice["message"])),
        "reasons": [visible(str(reason)) for reason in notice.get("reasons", [])],
        "row": {
            one_line(name): one_line(value) if isinstance(value, str) else value
            for name, value in notice["row"].items()
        },
    }


def numbers_of(rule: AlertRule, row: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the window that raised the alert: value, baseline and interval in `unit`, p and counts."""
    of, metric = str(rule.parameters.get("of", "evaluations")), str(row.get("metric", ""))

    def first(names: tuple[str, ...]) -> tuple[str, float | None]:
        for name in names:
            value = row.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return name, float(to_unit(of, metric, value) if name in MEANS else value)
        return "", None

    named, value = first(_VALUES)
    low, high = first(_LOWS)[1], first(_HIGHS)[1]
    if named == "mean_since" and isinstance(row.get("difference_low"), float):
        # The row's own interval is that of one window; this one is of the mean since the change, which is the value.
        cut = row.get("on_unit") == 1
        ends = (row["mean_before"] + row[name] for name in ("difference_low", "difference_high"))
        low, high = (to_unit(of, metric, min(1.0, max(0.0, end)) if cut else end) for end in ends)
    return {
        "value": value,
        "baseline": first(_BASELINES)[1],
        "low": low,
        "high": high,
        "unit": _UNITS.get(named, unit_of(of, metric)) if named != "value" else _unit_of_gauge(rule.telemetry),
        "p": first(_P_VALUES)[1],
        "n_base": int(first(_BASE_NS)[1] or 0),
        "n_now": int(first(_NOW_NS)[1] or 0),
    }


def _unit_of_gauge(name: str) -> str:
    """The unit of one of the service's own numbers, which its name says, as Prometheus has it."""
    return next((unit for unit in ("bytes", "seconds", "ratio") if name.endswith(f"_{unit}")), "")


def summary_line(notice: dict[str, Any]) -> str:
    """The notice in one line."""
    return f"[{notice['severity']}] {notice['state']}: {notice['name']}: {notice['message']}"


def _message(rule: AlertRule, key: Key, row: dict[str, Any]) -> str:
    if not row:
        return f"{' '.join(filter(None, key)) or rule.name} no longer meets: {rule.condition}"
    if not rule.message:
        return _usual_message(rule, key, row)
    names = {name for _, name, _, _ in Formatter().parse(rule.message) if name}
    return rule.message.format(**{name: _formatted(rule, row, name) for name in names})


def _usual_message(rule: AlertRule, key: Key, row: dict[str, Any]) -> str:
    """What a rule without a message says: what it is about, the numbers of its condition, how many values they rest on."""
    about = " ".join(filter(None, key)) or str(row.get("metric") or rule.parameters.get("metric") or rule.name)
    asked = [name for name in row if re.search(rf"\b{re.escape(name)}\b", rule.condition)] or list(row)[:3]
    numbers = ", ".join(f"{name.replace('_', ' ')} {_formatted(rule, row, name)}" for name in asked[:4])
    counted = next((f", n {row[name]}" for name in ("n", "pass_n") if row.get(name) and name not in asked), "")
    return f"{about}: {numbers} meets {rule.condition}{counted}"


def _formatted(rule: AlertRule, row: dict[str, Any], name: str) -> str:
    value = row.get(name, "?")
    of, metric = str(rule.parameters.get("of", "evaluations")), str(row.get("metric"))
    if isinstance(value, float):
        if of == "usage" and name in MEANS:
            return format_value(of, metric, value)
        if name in DIFFERENCES:
            return format_difference(of, metric, value)
        return f"{value:.4g}"
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else str(value)
