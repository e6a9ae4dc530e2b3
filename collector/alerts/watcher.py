"""Evaluates every rule in its rhythm, turns rows into alerts, writes them to the store and notifies the sinks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from ...errors import EvalspanError
from ...queries import catalog
from ...queries.alert_rules import stored_rules, update
from ...queries.conditions import matching, matching_each
from ...queries.host.clock import Clock
from ...queries.host.telemetry import Telemetry
from ...queries.store.client import Store
from .findings import alert_id, alert_row, as_stored, describe, ending_version, example_traces, track_reference
from .load import parameters_of
from .notices import notice_of
from .rule import AlertRule
from .sharing import is_about, shared_parameters, sharing_a_scan
from .sinks import Sink
from .states import Key, RuleState, Transition

_log = logging.getLogger("evalspan.alerts")
_RETRY_S = 5.0
_READINESS_EVERY = timedelta(hours=1)
FAILURES_TO_NOTIFY = 3
Rows = list[dict[str, Any]]


class Watcher:
    """All rules of a service; one evaluation per rule and interval, each in a thread, so that none waits for another."""

    def __init__(
        self,
        store: Store,
        rules: Sequence[AlertRule],
        sinks: Sequence[Sink],
        telemetry: Telemetry,
        *,
        base_url: Callable[[], str] = str,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._store, self._rules, self._telemetry, self._base_url = store, list(rules), telemetry, base_url
        self._sinks = {sink.config.name: sink for sink in sinks}
        self._states = {
            rule.name: RuleState(
                evaluations_to_fire=rule.evaluations_to_fire,
                evaluations_to_resolve=rule.evaluations_to_resolve,
                repeat_interval=rule.repeat_interval,
            )
            for rule in rules
        }
        self._failures: dict[str, int] = {}
        self._raised: dict[str, dict[str, Any]] = {}  # what fired and is not over, as it was written
        self._unwritten: Rows = []  # the store went away between an evaluation and its alert
        self._writing = threading.Lock()
        self._readiness: dict[str, tuple[datetime, str]] = {}  # rule -> when it was checked, what it lacks
        telemetry.gauge("alert_rules_without_data", lambda: sum(bool(text) for _, text in self._readiness.values()))

    @property
    def rules(self) -> dict[str, AlertRule]:
        """The rules that are evaluated, by name."""
        return {rule.name: rule for rule in self._rules}

    def restore_state(self) -> None:
        """Takes up what fired when the service stopped."""
        for rule in self._rules:
            open_alerts = catalog.get("alert_history").run(
                self._store, project=rule.project, rule=rule.name, open_only=1
            )
            for alert in open_alerts.dicts():
                key = tuple(str(alert["labels"].get(column, "")) for column in rule.by)
                self._states[rule.name].restore(key, alert["started_at"])
                self._raised[alert["alert_id"]] = as_stored(rule, alert)

    async def run(self) -> None:
        """Evaluates until cancelled. A store that is unreachable at the start is asked again until it answers."""
        while True:
            try:
                await asyncio.to_thread(self.restore_state)
                break
            except EvalspanError as error:
                _log.error("alerts wait for the store: %s", error)
                await asyncio.sleep(_RETRY_S)
        async with asyncio.TaskGroup() as group:
            for rules in sharing_a_scan(self._rules):
                group.create_task(self._follow(rules))

    async def _follow(self, rules: list[AlertRule]) -> None:
        while True:
            await self._clock.sleep(rules[0].every_s)
            await self._look(rules, self._clock.now())

    async def look(self, now: datetime) -> None:
        """Evaluates every rule once."""
        for rules in sharing_a_scan(self._rules):
            await self._look(rules, now)

    async def _look(self, rules: list[AlertRule], now: datetime) -> None:
        """Evaluates rules that share a scan: their query runs once, and what is silenced is read once."""
        shared, silenced = await asyncio.to_thread(self._shared, rules, now)
        for rule in rules:
            try:
                with self._telemetry.timed("alert_evaluation_duration_seconds"):
                    await self.evaluate(rule, now, shared.get(rule.name), silenced)
            except Exception as error:  # noqa: BLE001 - one rule, or a message of its own, must not end the others
                _log.exception("rule %s", rule.name)
                self._failed(rule, error, self._clock.now())
            self._telemetry.add("alert_evaluations_total", rule=rule.name)

    def _shared(
        self, rules: list[AlertRule], now: datetime
    ) -> tuple[dict[str, Rows], dict[str, datetime | None] | None]:
        """The rows of each rule from one run of their query, and the silences; nothing when that fails: each asks itself."""
        if len(rules) == 1:
            return {}, None
        try:
            # Each condition once, however many metrics it is asked of: the rows are told apart here.
            conditions = {rule.condition: rule.condition for rule in rules}
            found = matching_each(self._store, rules[0].query, conditions, shared_parameters(rules[0], now))
            rows = {rule.name: [row for row in found[rule.condition] if is_about(rule, row)] for rule in rules}
            return rows, self._silenced_rules(rules[0].project)
        except Exception as error:  # noqa: BLE001 - each of them finds its own error, and none ends the others
            _log.info("%d rules on %s are evaluated one by one: %s", len(rules), rules[0].query, error)
            return {}, None

    async def evaluate(
        self,
        rule: AlertRule,
        now: datetime,
        rows: Rows | None = None,
        silences: dict[str, datetime | None] | None = None,
    ) -> list[Transition]:
        """Evaluates one rule, on `rows` where its query has run, with `silences` where they are known; what changed.

        A query that fails is an alert, too, after three times in a row.
        """
        try:
            rows = await asyncio.to_thread(self.matching_rows, rule, now) if rows is None else rows
            if silences is None:
                silences = await asyncio.to_thread(self._silenced_rules, rule.project, rule.name)
            until = silences.get(rule.name)
            silenced = until is not None and until > now
            await asyncio.to_thread(self._check_readiness, rule, now)
        except EvalspanError as error:
            self._failed(rule, error, now)
            return []
        if self._failures.pop(rule.name, 0) >= FAILURES_TO_NOTIFY:
            self._notify(rule, notice_of(rule, (), "resolved", now, {}, [], "the rule can be evaluated again"))
        await asyncio.to_thread(self._write)
        # A query over windows has several rows for a metric: the first is the window that raised the alert.
        by_key: dict[Key, dict[str, Any]] = {}
        for row in rows:
            by_key.setdefault(tuple(str(row.get(column, "")) for column in rule.by), row)
        transitions = self._states[rule.name].evaluate(by_key, now)
        for transition in transitions:
            await asyncio.to_thread(self._record, rule, transition, by_key.get(transition.key), now, silenced)
        return transitions

    def matching_rows(self, rule: AlertRule, now: datetime) -> Rows:
        """The rows that meet the rule's condition now. Raises StoreError, UsageError."""
        if rule.telemetry:
            return evaluate_gauge(self._store, rule, self._telemetry.value(rule.telemetry))
        return matching(self._store, rule.query, rule.condition, parameters_of(rule, now)).dicts()

    def _silenced_rules(self, project: str, rule: str = "") -> dict[str, datetime | None]:
        """Until when each rule of the project is silenced. Raises StoreError."""
        return {row["rule_id"]: row["silenced_until"] for row in stored_rules(self._store, rule, project)}

    def _check_readiness(self, rule: AlertRule, now: datetime) -> None:
        """Notes on the rule's row when its detector has too little data: that is not the same as quiet."""
        checked, known = self._readiness.get(rule.name, (None, ""))
        if rule.query != "e_detector" or (checked is not None and now - checked < _READINESS_EVERY):
            return
        query = catalog.get("detector_readiness")
        wanted = {parameter.name for parameter in query.parameters}
        given = {name: value for name, value in parameters_of(rule, now).items() if name in wanted}
        rows = query.run(self._store, **given).dicts()
        missing = [f"{row['metric']}: {row['problem']}" for row in rows if not row["enough"]]
        text = "; ".join(missing) if rows else "no scores in reference and period"
        self._readiness[rule.name] = (now, text)
        if text != known or checked is None:
            update(
                self._store,
                stored_rules(self._store, rule.name, rule.project),
                insufficient_data=text,
                evaluated_at=now,
            )

    def _failed(self, rule: AlertRule, error: Exception, now: datetime) -> None:
        self._failures[rule.name] = self._failures.get(rule.name, 0) + 1
        self._telemetry.add("alert_evaluation_failures_total", rule=rule.name)
        _log.error("rule %s could not be evaluated: %s", rule.name, error)
        if self._failures[rule.name] == FAILURES_TO_NOTIFY:
            self._notify(rule, notice_of(rule, (), "error", now, {}, [], f"the rule itself fails: {error}"))

    def _record(
        self, rule: AlertRule, transition: Transition, row: dict[str, Any] | None, now: datetime, silenced: bool
    ) -> None:
        row = row or {}
        fired = transition.what == "fired"
        traces, finding = self._evidence(rule, row, now) if fired else ([], None)
        state, base = "firing" if fired else "resolved", self._base_url().rstrip("/")
        notice = notice_of(
            rule,
            transition.key,
            state,
            transition.started_at,
            row,
            [f"{base}/traces/{trace}" for trace in traces],
            link=f"{base}/alerts/{alert_id(rule, transition.key, transition.started_at)}" if base else "",
            finding=finding,
        )
        notice["reasons"] = describe(finding)
        alert = alert_row(rule, transition, row, notice, now)
        if fired:
            self._raised[alert["alert_id"]] = alert
        else:
            # It is over; what raised it stays on record.
            ending = {name: alert[name] for name in ("state", "ended_at", "window_to")}
            ending["version"] = ending_version(transition.started_at)
            alert = {**self._raised.pop(alert["alert_id"], alert), **ending}
        self._write(alert)
        self._telemetry.add("alerts_total", rule=rule.name, state=state)
        try:
            track_reference(self._store, rule, transition, row, now)
        except EvalspanError as error:
            _log.warning("the reference of %s is not kept: %s", rule.name, error)
        if not silenced:
            self._notify(rule, notice)

    def _evidence(self, rule: AlertRule, row: dict[str, Any], now: datetime) -> tuple[list[str], dict[str, Any] | None]:
        try:
            return example_traces(self._store, rule, row, now)
        except EvalspanError as error:
            _log.warning("no example traces for %s: %s", rule.name, error)
            return [], None

    def _write(self, *alerts: dict[str, Any]) -> None:
        """Puts alerts into the store, and those that did not get there before."""
        with self._writing:
            self._unwritten += alerts
            if not self._unwritten:
                return
            try:
                self._store.insert("alerts", self._unwritten)
            except EvalspanError as error:
                _log.error("%d alerts are notified but not written yet: %s", len(self._unwritten), error)
            else:
                self._unwritten = []

    def _notify(self, rule: AlertRule, notice: dict[str, Any]) -> None:
        for sink in self.sinks_of(rule):
            sink.enqueue(notice)

    def sinks_of(self, rule: AlertRule) -> list[Sink]:
        """The sinks that a rule's notices go to: its own that work, else all."""
        own = [self._sinks[name] for name in rule.sinks if name in self._sinks]
        return own or list(self._sinks.values())


def evaluate_gauge(store: Store, rule: AlertRule, value: float) -> Rows:
    """The one row of a rule on the service's own numbers, if it meets the condition."""
    return matching(store, "number", rule.condition, {"value": value}).dicts()


__all__ = ["Watcher", "alert_id", "evaluate_gauge"]
