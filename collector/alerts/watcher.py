"""Looks at every rule in its rhythm, turns rows into alerts, writes them to the store and tells the sinks."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ...errors import EvalspanError, or_did_you_mean
from ...queries import catalog
from ...queries.conditions import check_condition, matching, try_out
from ...queries.host.clock import Clock
from ...queries.host.telemetry import HELP, Telemetry
from ...queries.store.client import Store
from .config import AlertRule, Problem
from .notices import notice_of
from .sinks import Sink
from .states import RuleState, Turn

_log = logging.getLogger("evalspan.alerts")
_RETRY_S = 5.0
_NAMESPACE = uuid.UUID("0f6b0a1e-5a0e-4b0e-9c59-5d7f5a4f2f11")
# The columns that say what happened, the first that a row has is the alert's number.
_VALUES = ("mean", "pass_rate", "error_rate", "kappa", "age_days", "share_after", "silent_s", "value", "statistic")
_BASELINES = ("baseline_mean", "mean_before", "share_before")
_P_VALUES = ("p_adjusted", "p")
_BASE_NS, _NOW_NS = ("baseline_n", "n_before"), ("n", "pass_n", "pairs", "n_after")


def refused(
    rules: Sequence[AlertRule], store: Store | None, sinks: Sequence[str]
) -> tuple[list[AlertRule], list[Problem]]:
    """The rules that ClickHouse and the sinks accept, and a problem for each other one; `where` names the field.

    Without a store nobody knows the columns: then a condition only has to look like one.
    """
    good: list[AlertRule] = []
    problems: list[Problem] = []
    for rule in rules:
        field = "sinks"
        try:
            unknown = [name for name in rule.sinks if name not in sinks]
            if unknown:
                raise EvalspanError(f"there is no sink {unknown[0]!r}", hint=f"there are: {', '.join(sinks)}")
            if rule.telemetry:
                field = "telemetry"
                if rule.telemetry not in HELP:
                    near = or_did_you_mean(rule.telemetry, HELP)
                    raise EvalspanError(f"the service counts no {rule.telemetry!r}{near}", hint="/metrics has them all")
            if rule.query:
                field = "query"
                query = catalog.get(rule.query)
                field = "parameters"
                query.bound(parameters_of(rule))
                field = "condition"
                check_condition(rule.condition)
                if store is not None:
                    try_out(store, rule.query, rule.condition, parameters_of(rule))
            good.append(rule)
        except EvalspanError as error:
            # ClickHouse's "In scope" repeats the whole statement, which is ours and of no help here.
            problems.append(Problem(rule.name, field, str(error).split(". In scope ")[0], error.hint))
    return good, problems


def parameters_of(rule: AlertRule, until: datetime | None = None) -> dict[str, Any]:
    """The rule's parameters with its project and the moment of the look, where the query takes them."""
    known = {parameter.name for parameter in catalog.get(rule.query).parameters}
    given = dict(rule.parameters)
    if "project" in known:
        given.setdefault("project", rule.project)
    if until is not None and "until" in known:
        given.setdefault("until", until.isoformat())
    return given


class Watcher:
    """All rules of a service; one look per rule and rhythm, each in a thread, so that none waits for another."""

    def __init__(
        self,
        store: Store,
        rules: Sequence[AlertRule],
        sinks: Sequence[Sink],
        telemetry: Telemetry,
        *,
        link: Callable[[str], str] = str,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._store, self._rules, self._telemetry, self._link = store, list(rules), telemetry, link
        self._sinks = {sink.config.name: sink for sink in sinks}
        self._states = {
            rule.name: RuleState(after=rule.after, recover=rule.recover, cool_down_s=rule.cool_down_s) for rule in rules
        }
        self._failures: dict[str, int] = {}
        self._raised: dict[str, dict[str, Any]] = {}  # what fired and is not over, as it was written
        self._unwritten: list[dict[str, Any]] = []  # the store went away between a look and its alert
        self._writing = threading.Lock()

    def recall(self) -> None:
        """Takes up what fired when the service stopped."""
        for rule in self._rules:
            open_alerts = catalog.get("alert_history").run(
                self._store, project=rule.project, rule=rule.name, open_only=1
            )
            for alert in open_alerts.dicts():
                key = tuple(str(alert["labels"].get(column, "")) for column in rule.by)
                self._states[rule.name].remember(key, alert["started_at"])
                self._raised[alert["alert_id"]] = {"project": rule.project, "rule_id": alert.pop("rule"), **alert}

    async def run(self) -> None:
        """Watches until cancelled. A store that is away at the start is asked again until it answers."""
        while True:
            try:
                await asyncio.to_thread(self.recall)
                break
            except EvalspanError as error:
                _log.error("alerts wait for the store: %s", error)
                await asyncio.sleep(_RETRY_S)
        async with asyncio.TaskGroup() as group:
            for rule in self._rules:
                group.create_task(self._follow(rule))

    async def _follow(self, rule: AlertRule) -> None:
        while True:
            await self._clock.sleep(rule.every_s)
            await self.look(rule, self._clock.now())
            self._telemetry.add("alert_looks_total", rule=rule.name)

    async def look(self, rule: AlertRule, now: datetime) -> list[Turn]:
        """One look at one rule; what turned. A query that fails is an alert, too, after three times in a row."""
        try:
            rows = await asyncio.to_thread(self._rows, rule, now)
            silenced = await asyncio.to_thread(self._silenced, rule, now)
        except EvalspanError as error:
            self._broken(rule, error, now)
            return []
        self._failures.pop(rule.name, None)
        await asyncio.to_thread(self._write)
        by_key = {tuple(str(row.get(column, "")) for column in rule.by): row for row in rows}
        turns = self._states[rule.name].look(by_key, now)
        for turn in turns:
            await asyncio.to_thread(self._turned, rule, turn, by_key.get(turn.key), now, silenced)
        return turns

    def _rows(self, rule: AlertRule, now: datetime) -> list[dict[str, Any]]:
        if rule.telemetry:
            value = self._telemetry.value(rule.telemetry)
            return telling(self._store, rule, value)
        return matching(self._store, rule.query, rule.condition, parameters_of(rule, now)).dicts()

    def _silenced(self, rule: AlertRule, now: datetime) -> bool:
        rows = catalog.get("alert_overview").run(self._store, project=rule.project).dicts()
        until = next((row["silenced_until"] for row in rows if row["rule"] == rule.name), None)
        return until is not None and until > now

    def _broken(self, rule: AlertRule, error: EvalspanError, now: datetime) -> None:
        self._failures[rule.name] = self._failures.get(rule.name, 0) + 1
        self._telemetry.add("alert_look_failures_total", rule=rule.name)
        _log.error("rule %s could not look: %s", rule.name, error)
        if self._failures[rule.name] == 3:
            self._tell(rule, notice_of(rule, (), "error", now, {}, [], f"the rule itself fails: {error}"))

    def _turned(self, rule: AlertRule, turn: Turn, row: dict[str, Any] | None, now: datetime, silenced: bool) -> None:
        row = row or {}
        try:
            traces = self._traces(rule, row) if turn.what == "fired" else []
        except EvalspanError as error:
            traces = []
            _log.warning("no example traces for %s: %s", rule.name, error)
        state = "firing" if turn.what == "fired" else "resolved"
        notice = notice_of(rule, turn.key, state, turn.started_at, row, [self._link(trace) for trace in traces])
        alert = _as_row(rule, turn, row, notice, now)
        if turn.what == "fired":
            self._raised[alert["alert_id"]] = alert
        else:
            # It is over; what raised it stays on record.
            ending = {name: alert[name] for name in ("state", "ended_at", "window_to")}
            alert = {**self._raised.pop(alert["alert_id"], alert), **ending}
        self._write(alert)
        self._telemetry.add("alerts_total", rule=rule.name, state=state)
        if not silenced:
            self._tell(rule, notice)

    def _write(self, *alerts: dict[str, Any]) -> None:
        """Puts alerts into the store, and those that did not get there before."""
        with self._writing:
            self._unwritten += alerts
            if not self._unwritten:
                return
            try:
                self._store.insert("alerts", self._unwritten)
            except EvalspanError as error:
                _log.error("%d alerts are told but not written yet: %s", len(self._unwritten), error)
            else:
                self._unwritten = []

    def _tell(self, rule: AlertRule, notice: dict[str, Any]) -> None:
        for name in rule.sinks or self._sinks:
            self._sinks[name].tell(notice)

    def _traces(self, rule: AlertRule, row: dict[str, Any]) -> list[str]:
        """Examples instead of an alert a request: the traces that show it best."""
        if row.get("trace_id"):
            return [str(row["trace_id"])]
        if not row.get("metric"):
            return []
        since = row.get("since") or row.get("window_start")
        given: dict[str, Any] = {
            name: rule.parameters[name] for name in ("of", "service", "environment") if name in rule.parameters
        }
        if isinstance(since, datetime):
            given["since"] = since.isoformat()
        if row.get("alarm") == "increase":
            given["direction"] = "increase"
        found = catalog.get("traces_to_read").run(
            self._store, timeout_s=30, project=rule.project, metric=row["metric"], **given
        )
        return [str(one["trace_id"]) for one in found.dicts()]


def telling(store: Store, rule: AlertRule, value: float) -> list[dict[str, Any]]:
    """The one row of a rule on the service's own numbers, if it meets the condition."""
    return matching(store, "number", rule.condition, {"value": value}).dicts()


def _as_row(rule: AlertRule, turn: Turn, row: dict[str, Any], notice: dict[str, Any], now: datetime) -> dict[str, Any]:
    began = turn.started_at
    window = row.get("window_start")
    return {
        "project": rule.project,
        "alert_id": str(uuid.uuid5(_NAMESPACE, "\0".join([rule.project, rule.name, *turn.key, began.isoformat()]))),
        "rule_id": rule.name,
        "name": notice["name"],
        "severity": rule.severity,
        "state": notice["state"],
        "started_at": began,
        "ended_at": now if turn.what == "resolved" else None,
        "window_from": window if isinstance(window, datetime) else began,
        "window_to": now,
        "value": _first(row, _VALUES),
        "baseline": _first(row, _BASELINES),
        "low": _first(row, ("low", "pass_low", "error_low")),
        "high": _first(row, ("high", "pass_high", "error_high")),
        "p_value": _first(row, _P_VALUES),
        "n_base": int(_first(row, _BASE_NS) or 0),
        "n_now": int(_first(row, _NOW_NS) or 0),
        "labels": dict(zip(rule.by, turn.key, strict=True)),
        "message": notice["message"],
        "details": msgspec.json.encode(
            {key: notice[key] for key in ("query", "parameters", "condition", "row", "traces")}
        ).decode(),
    }


def _first(row: dict[str, Any], names: Sequence[str]) -> float | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, int | float):
            return float(value)
    return None
