"""Which rules can be evaluated, and their rows in the store, where the terminal and the dashboard read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import EvalspanError, or_did_you_mean
from ...queries import catalog
from ...queries.alert_rules import open_alerts
from ...queries.conditions import check_condition, try_out
from ...queries.host.telemetry import HELP
from ...queries.rule_tables import RuleProblem, source_location
from ...queries.store.client import Store
from .built_in import BUILT_IN
from .config import AlertRule, SinkConfig, read_rules, read_sinks

if TYPE_CHECKING:
    from ..config import Config


def load_rules(config: Config, store: Store | None) -> tuple[list[AlertRule], list[SinkConfig], list[RuleProblem]]:
    """The rules and sinks that can work, and the problems of the others; without a store conditions stay unchecked."""
    origin = config.origin("alerts", "rules").rpartition(":")[0] or config.origin("alerts", "sinks").rpartition(":")[0]
    path = Path(origin) if origin else None
    sinks, sink_problems = read_sinks(config.alerts, path)
    rules, problems = read_rules(config.alerts, path)
    # A sink that is off takes no rule with it: the rule's notices go to the others.
    known = [sink.name for sink in sinks] + [problem.name for problem in sink_problems]
    rules, off = validate(rules, store, known)
    written = [str(values.get("name")) for values in config.alerts.rules]
    problems += [
        msgspec.structs.replace(
            one,
            where=source_location(path, "alerts.rules", written.index(one.name), one.where)
            if one.name in written
            else "built-in",
        )
        for one in off
    ]
    return rules, sinks, [*sink_problems, *problems]


def validate(
    rules: Sequence[AlertRule], store: Store | None, sinks: Sequence[str]
) -> tuple[list[AlertRule], list[RuleProblem]]:
    """The rules that ClickHouse and the sinks accept, and a problem for each other one; `where` names the field.

    Without a store nobody knows the columns: then a condition only has to look like one.
    """
    good: list[AlertRule] = []
    problems: list[RuleProblem] = []
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
                # What comes with evalspan was tried by its tests; the engine would take a second to analyse it again.
                if store is not None and rule not in BUILT_IN:
                    try_out(store, rule.query, rule.condition, parameters_of(rule))
            good.append(rule)
        except EvalspanError as error:
            # ClickHouse's "In scope" repeats the whole statement, which is ours and of no help here.
            problems.append(RuleProblem(rule.name, field, str(error).split(". In scope ")[0], error.hint))
    return good, problems


def parameters_of(rule: AlertRule, until: datetime | None = None) -> dict[str, Any]:
    """The rule's parameters with its project and the moment of the evaluation, where the query takes them."""
    known = {parameter.name for parameter in catalog.get(rule.query).parameters}
    given = dict(rule.parameters)
    if "project" in known:
        given.setdefault("project", rule.project)
    if until is not None and "until" in known:
        given.setdefault("until", until.isoformat())
    return given


def persist_rules(store: Store, rules: list[AlertRule], problems: list[RuleProblem], now: datetime) -> None:
    """Writes the rules where `evalspan alert list` and the dashboard read them, and closes what gone rules left open.

    Silences stay.
    """
    before = {(row["project"], row["rule"]): row for row in catalog.get("alert_overview").run(store).dicts()}
    rows = [
        {
            "project": rule.project,
            "rule_id": rule.name,
            "name": rule.name,
            "kind": "telemetry" if rule.telemetry else "query",
            "query": rule.query or rule.telemetry,
            "parameters": rule.parameters,
            "condition": rule.condition,
            "severity": rule.severity,
            "interval_s": int(max(1, rule.every_s)),
            "enabled": True,
            "silenced_until": before.get((rule.project, rule.name), {}).get("silenced_until"),
        }
        for rule in rules
    ]
    rows += [
        {"rule_id": one.name, "name": one.name, "kind": str(one), "severity": "high", "enabled": False}
        for one in problems
    ]
    here = {(row.get("project", "default"), row["rule_id"]) for row in rows}
    rows += [{"project": p, "rule_id": r, "is_deleted": 1} for p, r in before if (p, r) not in here]
    store.insert("alert_rules", rows)
    _close_orphans(store, {(rule.project, rule.name) for rule in rules}, now)


def _close_orphans(store: Store, evaluated: set[tuple[str, str]], now: datetime) -> None:
    """Resolves open alerts whose rule is gone, renamed or off: nothing would ever resolve them."""
    closed = [
        {
            **{name: value for name, value in row.items() if name != "version"},
            "state": "resolved",
            "ended_at": now,
            "window_to": now,
            "message": f"{row['message']} (closed: the rule {row['rule_id']!r} is no longer evaluated)",
        }
        for row in open_alerts(store)
        if (row["project"], row["rule_id"]) not in evaluated
    ]
    if closed:
        store.insert("alerts", closed)
