"""What stands behind an alert: its row in the store, the traces that show it best, and why the metric moved."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from ...errors import UsageError
from ...queries import catalog, drift_references
from ...queries.plain_json import plain_json
from ...queries.store.client import Store
from .rule import AlertRule
from .states import Key, Transition

_NAMESPACE = uuid.UUID("0f6b0a1e-5a0e-4b0e-9c59-5d7f5a4f2f11")
_SCOPE = ("service", "environment")
# From the moment an evaluation begins until its alert is in the store, seconds.
LONGEST_EVALUATION_S = 3600
EXPLAINED = ("e_detector", "segments")
_KEPT = ("query", "parameters", "condition", "row", "traces", "finding")


def alert_id(rule: AlertRule, key: Key, began: datetime) -> str:
    """The same alert has the same id, whoever writes it."""
    return str(uuid.uuid5(_NAMESPACE, "\0".join([rule.project, rule.name, *key, began.isoformat()])))


def alert_row(
    rule: AlertRule, transition: Transition, row: dict[str, Any], notice: dict[str, Any], now: datetime
) -> dict[str, Any]:
    """The alert as the table `alerts` has it: the numbers of the window that raised it, in the metric's unit."""
    began, window, numbers = transition.started_at, row.get("window_start"), notice["numbers"]
    return {
        "project": rule.project,
        "alert_id": alert_id(rule, transition.key, began),
        "rule_id": rule.name,
        "name": notice["name"],
        "severity": rule.severity,
        "state": notice["state"],
        "started_at": began,
        "ended_at": now if transition.what == "resolved" else None,
        "window_from": window if isinstance(window, datetime) else began,
        "window_to": now,
        "value": numbers["value"],
        "baseline": numbers["baseline"],
        "low": numbers["low"],
        "high": numbers["high"],
        "p_value": numbers["p"],
        "n_base": numbers["n_base"],
        "n_now": numbers["n_now"],
        "labels": dict(zip(rule.by, transition.key, strict=True)),
        "message": notice["message"],
        "details": msgspec.json.encode({key: notice[key] for key in _KEPT}).decode(),
    }


def ending_version(started_at: datetime) -> int:
    """The version of an alert's last row, above that of its first: also where the clock was ahead when it began."""
    began_us = int(started_at.timestamp() * 1_000_000)
    return max(time.time_ns() // 1000, began_us + LONGEST_EVALUATION_S * 1_000_000)


def as_stored(rule: AlertRule, alert: dict[str, Any]) -> dict[str, Any]:
    """A row of `alert_history` as the table has it."""
    return {"project": rule.project, "rule_id": alert.pop("rule"), **alert}


def example_traces(
    store: Store, rule: AlertRule, row: dict[str, Any], now: datetime
) -> tuple[list[str], dict[str, Any] | None]:
    """The traces that show it best, instead of an alert per request, and why the metric moved. Raises StoreError."""
    if row.get("trace_id"):
        return [str(row["trace_id"])], None
    if not row.get("metric"):
        return [], None
    since = row.get("since") or row.get("window_start")
    given: dict[str, Any] = {name: rule.parameters[name] for name in ("of", *_SCOPE) if name in rule.parameters}
    if isinstance(since, datetime):
        given["since"] = since.isoformat()
    if row.get("alarm") == "increase" or row.get("difference", 0) > 0:
        given["direction"] = "increase"
    found = catalog.get("traces_to_read").run(store, timeout_s=30, project=rule.project, metric=row["metric"], **given)
    traces = [str(one["trace_id"]) for one in found.dicts()]
    return traces, _explanation(store, rule, row, since, now) if rule.query in EXPLAINED else None


def _explanation(
    store: Store, rule: AlertRule, row: dict[str, Any], since: Any, now: datetime
) -> dict[str, Any] | None:
    """Why the metric moved (`evalspan why`), as data; None where there is too little to tell."""
    scope: dict[str, Any] = {name: str(rule.parameters.get(name, "")) for name in _SCOPE}
    # Here: a service that has nothing to explain does without numpy.
    from ...evaluators.drift.why import explain_shift

    fixed = rule.parameters.get("until")
    until = datetime.fromisoformat(str(fixed)) if fixed else now
    try:
        found = explain_shift(
            store,
            str(row["metric"]),
            project=rule.project,
            changed=since if isinstance(since, datetime) else None,
            until=until if until.tzinfo else until.replace(tzinfo=UTC),
            **scope,
        )
    except UsageError:
        return None
    explained: dict[str, Any] = plain_json(found)
    return explained


def describe(finding: dict[str, Any] | None) -> list[str]:
    """The finding in sentences, for a mail."""
    return list((finding or {}).get("sentences", []))


def track_reference(store: Store, rule: AlertRule, transition: Transition, row: dict[str, Any], now: datetime) -> None:
    """Keeps scores under suspicion out of the reference while a detector's alert fires, and takes them back after."""
    of_mix = not rule.parameters.get("adjust", 1) and rule.parameters.get("of") != "usage"
    if rule.query != "e_detector" or "metric" not in rule.by or of_mix:  # a change of mix leaves the levels within
        return
    metric = transition.key[rule.by.index("metric")]
    scope = {"project": rule.project, **{name: str(rule.parameters.get(name, "")) for name in _SCOPE}}
    if transition.what == "resolved":
        drift_references.release(store, metric, now, **scope)
    elif isinstance(row.get("since"), datetime):
        drift_references.hold(store, metric, row["since"], **scope)
