"""What receivers get, what is checked at start, and that an alert speaks of the window that raised it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from evalspan.collector.alerts import load_rules, persist_rules
from evalspan.collector.alerts.config import AlertRule, SinkConfig
from evalspan.collector.alerts.formats import FORMATS
from evalspan.collector.alerts.mail import mail_of
from evalspan.collector.alerts.notices import notice_of
from evalspan.collector.alerts.sharing import is_about, shared_parameters, sharing_a_scan
from evalspan.collector.alerts.watcher import Watcher
from evalspan.collector.config import load_config
from evalspan.queries.conditions import matching, matching_each
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store

from .test_alerts import Told

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
NOTICE: dict[str, Any] = {
    "rule": "r",
    "name": "r helpful",
    "severity": "high",
    "state": "firing",
    "project": "p",
    "started_at": NOON.isoformat(),
    "message": "helpful fell from 4.1 to 3.6",
    "numbers": {"value": 3.6, "baseline": 4.1, "unit": "", "p": None},
    "row": {"n": 1},
    "link": "https://obs.example.org/alerts?rule=r",
    "traces": ["https://obs.example.org/traces/1"],
    "reasons": ["1. prompt festive: 80% of the difference"],
}


def sent(kind: str, **more: Any) -> tuple[str, dict[str, str], Any]:
    config = SinkConfig(name="s", kind=kind, url="https://hook.example.org", secret_env="KEY")  # type: ignore[arg-type]
    url, headers, body = FORMATS[kind](config, "", "secret-key", {**NOTICE, **more})
    return url, headers, json.loads(body)


def test_pagerduty_opens_and_closes_the_same_incident() -> None:
    url, _, opened = sent("pagerduty")
    _, _, closed = sent("pagerduty", state="resolved")
    assert url == "https://events.pagerduty.com/v2/enqueue"
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]
    assert (opened["routing_key"], opened["payload"]["severity"]) == ("secret-key", "critical")
    assert {link["href"] for link in opened["links"]} == {NOTICE["link"], *NOTICE["traces"]}


def test_opsgenie_opens_by_alias_and_closes_it() -> None:
    url, headers, opened = sent("opsgenie")
    close, _, _ = sent("opsgenie", state="resolved")
    assert (url, headers["Authorization"]) == ("https://api.opsgenie.com/v2/alerts", "GenieKey secret-key")
    assert len(opened["message"]) <= 130
    assert opened["priority"] == "P1"
    assert close == "https://api.opsgenie.com/v2/alerts/evalspan%2Fp%2Fr%20helpful/close?identifierType=alias"


def test_teams_gets_a_card_with_links_and_slack_a_text_with_reasons() -> None:
    _, _, body = sent("teams")
    card = body["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard"
    assert NOTICE["message"] in json.dumps(card["body"])
    assert [action["url"] for action in card["actions"]] == [NOTICE["link"], *NOTICE["traces"]]
    _, _, slack = sent("slack")
    assert "prompt festive" in slack["text"]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_tells_why_the_metric_moved(kind: str) -> None:
    _, _, body = sent(kind)
    assert "prompt festive" in json.dumps(body), kind


def test_a_mail_has_date_and_id_and_a_body_that_people_read() -> None:
    config = SinkConfig(
        name="m", kind="email", smtp="localhost", sender="evalspan <a@example.org>", to=("b@example.org",)
    )
    mail = mail_of(config, NOTICE)
    assert abs(parsedate_to_datetime(mail["Date"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert mail["Message-ID"].endswith("@example.org>")
    text = mail.get_content()
    assert NOTICE["message"] in text
    assert NOTICE["link"] in text
    assert "prompt festive" in text
    assert "{" not in text


@pytest.mark.parametrize(
    ("kind", "field"), [("webhook", "url_env"), ("pagerduty", "secret_env"), ("webhook", "secret_env")]
)
def test_a_sink_whose_secret_is_not_set_is_off_at_start_and_its_rules_notify_the_others(
    store: Store, tmp_path: Path, kind: str, field: str
) -> None:
    file = tmp_path / "evalspan.toml"
    url = 'url = "https://example.org/hook"\n' if field == "secret_env" else ""
    file.write_text(
        f'[[alerts.sinks]]\nname = "ops"\nkind = "{kind}"\n{url}{field} = "NOBODY_SET_THIS"\n'
        '[[alerts.rules]]\nname = "mine"\nquery = "score_trend"\ncondition = "1"\nsinks = ["ops"]\n'
    )
    rules, sinks, problems = load_rules(load_config(file, {}), store)
    assert [problem.name for problem in problems] == ["ops"]
    assert "NOBODY_SET_THIS" in problems[0].reason
    assert problems[0].where.startswith(f"{file}:")
    assert "mine" in {rule.name for rule in rules}
    assert [sink.kind for sink in sinks] == ["log"]


def test_lengths_of_time_count_evaluations_and_bad_ones_are_refused(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "evalspan.toml"
    body = '[[alerts.rules]]\nname = "{}"\nquery = "score_trend"\ncondition = "1"\nevery_s = 60\n{}\n'
    file.write_text(
        body.format("long", 'for = "10m"\nresolve_after = 3\nrepeat_interval = "2h"')
        + body.format("bad", 'for = "soon"')
        + body.format("old", "after = 2")
    )
    rules, _, problems = load_rules(load_config(file, {}), store)
    (rule,) = [one for one in rules if one.name == "long"]
    assert (rule.evaluations_to_fire, rule.evaluations_to_resolve, rule.repeat_interval) == (11, 3, 7200)
    assert {problem.name for problem in problems} == {"bad", "old"}


def rows(project: str, values: list[float], metric: str = "m") -> list[dict[str, Any]]:
    """One window of twenty scores for each value, the last window ends at NOON."""
    return [
        {
            "project": project,
            "evaluation_id": str(uuid.uuid4()),
            "name": metric,
            "evaluator_version": "1",
            "source": "code",
            "trace_id": uuid.uuid4().hex,
            "score": value,
            "span_time": NOON - timedelta(hours=len(values) - at, minutes=-3 * i),
        }
        for at, value in enumerate(values)
        for i in range(20)
    ]


async def test_an_alert_speaks_of_the_window_that_raised_it_not_of_the_last(store: Store) -> None:
    store.insert("evaluations", rows("first-window", [4, 4, 1, 2, 3]))
    rule = AlertRule(
        name="low",
        query="score_trend",
        parameters={"window_s": 3600, "since_s": 86400},
        condition="mean < 3.5",
        by=("metric",),
        project="first-window",
        message="{mean}",
    )
    sink = Told()
    await Watcher(store, [rule], [sink], Telemetry()).evaluate(rule, NOON)
    (notice,) = sink.notices
    assert (notice["message"], notice["numbers"]["value"]) == ("1", 1)
    written = store.query("SELECT value, window_from FROM alerts WHERE project = 'first-window'").rows
    assert written == [(1, NOON - timedelta(hours=3))]


async def test_an_alert_whose_rule_is_gone_is_closed_at_the_next_start(store: Store) -> None:
    store.insert("evaluations", rows("gone", [1.0]))
    rule = AlertRule(name="renamed later", query="score_trend", condition="n > 0", by=("metric",), project="gone")
    persist_rules(store, [rule], [], NOON)
    await Watcher(store, [rule], [], Telemetry()).evaluate(rule, NOON)
    states = "SELECT toString(state), ended_at, message FROM alerts WHERE project = 'gone'"
    assert [state for state, *_ in store.query(states).rows] == ["firing"]
    persist_rules(store, [], [], NOON + timedelta(hours=1))
    ((state, ended, message),) = store.query(states).rows
    assert (state, ended) == ("resolved", NOON + timedelta(hours=1))
    assert "no longer evaluated" in message


@pytest.mark.slow
def test_rules_on_one_query_share_its_run_and_see_what_they_would_see_alone(store: Store) -> None:
    for number in range(4):
        store.insert("evaluations", rows("shared", [float(number)], f"m{number}"))
    rules = [
        AlertRule(
            name=f"rule {number}",
            query="score_trend",
            parameters={"metric": f"m{number % 4}", "since_s": 86400},
            condition=f"mean >= {number % 3}",
            project="shared",
        )
        for number in range(12)
    ]
    other = AlertRule(name="other", query="segments", condition="1", project="shared")
    (group, alone) = sharing_a_scan([*rules, other])
    assert (len(group), alone) == (12, [other])
    conditions = {rule.condition: rule.condition for rule in group}
    found = matching_each(store, "score_trend", conditions, shared_parameters(group[0], NOON))
    together = {rule.name: [row for row in found[rule.condition] if is_about(rule, row)] for rule in group}
    for rule in rules:
        given = {**rule.parameters, "project": "shared", "until": NOON.isoformat()}
        assert together[rule.name] == matching(store, "score_trend", rule.condition, given).dicts(), rule.name
    assert any(together.values())


@pytest.mark.parametrize("on_unit", [0, 1])
def test_the_interval_of_an_alert_is_that_of_its_number(on_unit: int) -> None:
    """The e-detector's row has the interval of its one window, too, in which the mean since the change need not lie."""
    rule = AlertRule(name="fell", query="e_detector", condition="1", by=("metric",))
    row = {"metric": "m", "mean": 0.99, "low": 0.95, "high": 1.0, "on_unit": on_unit, "mean_before": 0.9, "mean_since": 0.4, "difference": -0.5, "difference_low": -1.0, "difference_high": -0.1}  # fmt: skip
    numbers = notice_of(rule, ("m",), "firing", NOON, row, [])["numbers"]
    assert (numbers["value"], numbers["baseline"], numbers["high"]) == (0.4, 0.9, pytest.approx(0.8))
    assert numbers["low"] == pytest.approx(0.0 if on_unit else -0.1)


@pytest.mark.parametrize(
    ("parameters", "row", "unit"),
    [
        ({"of": "usage"}, {"metric": "latency", "mean_since": 6.2}, "ms"),
        ({"of": "usage"}, {"metric": "error_rate", "mean_since": 0.2}, "share of calls"),
        ({}, {"metric": "helpful", "mean_since": 3.2}, ""),
        ({}, {"metric": "helpful", "pass_rate": 0.4}, "share"),
        ({}, {"metric": "helpful", "age_days": 100}, "days"),
        ({}, {"metric": "helpful", "silent_s": 7200}, "s"),
        ({}, {"dimension": "system_hash", "share_after": 0.5}, "share"),
    ],
)
def test_the_number_of_an_alert_has_the_unit_of_what_it_is(
    parameters: dict[str, Any], row: dict[str, Any], unit: str
) -> None:
    rule = AlertRule(name="r", query="score_trend", condition="1", parameters=parameters)
    numbers = notice_of(rule, (), "firing", NOON, row, [])["numbers"]
    assert numbers["unit"] == unit
    assert numbers["value"] is not None


def test_the_number_of_the_services_own_gauges_has_the_unit_of_their_names() -> None:
    rule = AlertRule(name="r", telemetry="log_backlog_bytes", condition="1")
    assert notice_of(rule, (), "firing", NOON, {"value": 5e9}, [])["numbers"]["unit"] == "bytes"


def test_a_variable_that_holds_no_url_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "hooks.example.com/s3cret")
    with pytest.raises(ValueError, match="HOOK must begin with http") as refused:
        SinkConfig(name="s", kind="slack", url_env="HOOK")
    assert "s3cret" not in str(refused.value)
