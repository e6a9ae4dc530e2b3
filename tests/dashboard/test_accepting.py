"""A change under suspicion is accepted from its page, its alert then ends; the list of rules agrees with the history below it."""

from __future__ import annotations

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from evalspan.collector.alerts import persist_rules
from evalspan.collector.alerts.config import AlertRule
from evalspan.collector.alerts.watcher import Watcher
from evalspan.errors import UsageError
from evalspan.evaluators.cli import drift_accept as command
from evalspan.evaluators.drift.reference import accept_level
from evalspan.queries import catalog, drift_references
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store

from ..borrowed import Borrowed
from .application import with_pages
from .test_cost import document

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def scores(project: str, metric: str = "helpful") -> list[dict[str, Any]]:
    """Twenty scores a day for five weeks; the last three days are a point lower."""
    rng = np.random.default_rng(3)
    return [
        {
            "project": project,
            "evaluation_id": str(uuid.uuid4()),
            "name": metric,
            "evaluator_version": "1",
            "source": "code",
            "trace_id": uuid.uuid4().hex,
            "service": "shop",
            "score": float(rng.normal(4 - (day < 3), 0.5)),
            "span_time": NOW - timedelta(days=day + i / 20),
        }
        for day in range(35)
        for i in range(20)
    ]


async def text_of(client: Any, path: str) -> str:
    """A page as it is written."""
    answer = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert answer.status == 200
    return str((await answer.read()).decode())


def rule_of(project: str) -> AlertRule:
    return AlertRule(
        name=f"fell in {project}",
        query="e_detector",
        parameters={"direction": "decrease", "service": "shop"},
        condition="alarm != ''",
        by=("metric",),
        project=project,
        resolve_after=1,
    )


@pytest.mark.slow
def test_the_button_on_an_alert_accepts_the_level_for_the_rules_own_scope_and_the_alert_ends(store: Store) -> None:
    project = f"accept-{uuid.uuid4().hex}"
    store.insert("evaluations", scores(project))
    rule, told = rule_of(project), []
    persist_rules(store, [rule], [], NOW)
    watcher = Watcher(store, [rule], [], Telemetry())
    told += asyncio.run(watcher.evaluate(rule, NOW))
    (alert,) = catalog.get("alert_history").run(store, project=project).dicts()

    async def pressed(client: Any) -> None:
        where = f"/alerts/{alert['alert_id']}?project={project}"
        page = await text_of(client, where)
        (form,) = re.findall(r'<form[^>]*action="(/drift/accept[^"]*)">(.*?)</form>', page, re.DOTALL)
        fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form[1]))
        assert (fields["metric"], fields["service"], fields["environment"]) == ("helpful", "shop", "")
        nobody = await client.post(form[0].replace("&amp;", "&"), data={**fields, "author": " "})
        assert nobody.status == 400
        data = {**fields, "author": "Ana", "note": "new tone"}
        done = await client.post(form[0].replace("&amp;", "&"), data=data, allow_redirects=False)
        assert (done.status, done.headers["Location"].split("?")[0]) == (303, f"/alerts/{alert['alert_id']}")
        forged = await client.post("/drift/accept", data={"metric": "helpful", "author": "Eve"})
        assert forged.status == 403

    with_pages(store, pressed)
    (kept,) = drift_references.references(store, project, "helpful")
    assert (kept["author"], kept["note"], kept["service"]) == ("Ana", "new tone", "shop")
    assert abs(kept["reference_from"] - (NOW - timedelta(days=3))) <= timedelta(days=1)
    told += asyncio.run(watcher.evaluate(rule, datetime.now(UTC)))
    assert [turn.what for turn in told] == ["fired", "resolved"]


def test_a_rule_is_shown_firing_while_any_of_its_alerts_does_and_what_it_lacks_is_shown(store: Store) -> None:
    project = f"rules-{uuid.uuid4().hex}"
    rule = rule_of(project)
    persist_rules(store, [rule], [], NOW)
    common = {"project": project, "rule_id": rule.name, "severity": "high", "window_from": NOW, "window_to": NOW}
    store.insert(
        "alerts",
        [
            {**common, "alert_id": "old", "name": "a", "state": "firing", "started_at": NOW - timedelta(days=2), "message": "still"},
            {**common, "alert_id": "new", "name": "b", "state": "resolved", "started_at": NOW, "ended_at": NOW, "message": "over"},
        ],
    )  # fmt: skip
    asyncio.run(Watcher(store, [rule], [], Telemetry()).evaluate(rule, NOW))

    async def shown(client: Any) -> None:
        told = await document(client, f"/alerts.json?project={project}")
        assert (told["firing"], [row["state"] for row in told["rules"]]) == (1, ["firing"])
        assert told["rules"][0]["message"] == "still"
        assert "too little data: no scores" in await text_of(client, f"/alerts?project={project}")

    with_pages(store, shown)


def test_a_release_is_a_reference(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = f"release-{uuid.uuid4().hex}"
    store.insert("evaluations", scores(project))
    first = NOW - timedelta(days=2)
    span = {"project": project, "service": "shop", "operation": "chat"}
    store.insert(
        "spans",
        [
            {**span, "trace_id": uuid.uuid4().hex, "span_id": "1" * 16, "start_time": at, "resource": {"service.version": version}}
            for at, version in ((NOW - timedelta(days=20), "1.9"), (first, "2.0"), (NOW - timedelta(days=1), "2.0"))
        ],
    )  # fmt: skip
    with pytest.raises(UsageError) as refused:
        accept_level(store, "helpful", project=project, release="3.0", now=NOW)
    assert "2.0, 1.9" in refused.value.hint
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    given = ["helpful", "--project", project, "--release", "2.0"]
    assert CliRunner().invoke(command.accept, [*given, "--from", "2026-01-01"]).exit_code != 0
    done = CliRunner().invoke(command.accept, given)
    assert done.exit_code == 0, done.output
    assert f"{first:%Y-%m-%d %H:%M}" in done.output
    (kept,) = drift_references.references(store, project, "helpful")
    assert kept["reference_from"] == first
