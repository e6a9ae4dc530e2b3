"""Alerts: what is refused, when something fires and ends, what is written, and who is told."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_string
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import web
from click.testing import CliRunner

from evalspan.__main__ import cli
from evalspan.collector.alerts import load_rules, mail, persist_rules
from evalspan.collector.alerts import watcher as watcher_module
from evalspan.collector.alerts.built_in import BUILT_IN
from evalspan.collector.alerts.config import AlertRule, SinkConfig
from evalspan.collector.alerts.load import validate
from evalspan.collector.alerts.notices import notice_of
from evalspan.collector.alerts.sinks import Sink, signature
from evalspan.collector.alerts.states import RuleState
from evalspan.collector.alerts.watcher import Watcher
from evalspan.collector.cli import alert as command
from evalspan.collector.config import load_config
from evalspan.errors import StoreUnreachable
from evalspan.queries import catalog
from evalspan.queries.host.telemetry import Telemetry
from evalspan.queries.store.client import Store

from ...borrowed import Borrowed

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_b18_a_thing_fires_once_after_enough_looks_and_ends_after_enough_without() -> None:
    state = RuleState(evaluations_to_fire=2, evaluations_to_resolve=2, repeat_interval=600)
    looks = [True, True, True, False, True, False, False, True, True]
    told = [(i, turn.what) for i, hit in enumerate(looks) for turn in state.evaluate([("m",)] if hit else [], at(i))]
    assert told == [(1, "fired"), (6, "resolved")]
    later = [(i, turn.what) for i in (20, 21) for turn in state.evaluate([("m",)], at(i))]
    assert later == [(20, "fired")]


def test_things_are_kept_apart_and_remembered_over_a_restart() -> None:
    state = RuleState(evaluations_to_fire=1, evaluations_to_resolve=1, repeat_interval=0)
    state.restore(("old",), at(-60))
    turns = state.evaluate([("old",), ("new",)], at(0))
    assert [(turn.key, turn.what) for turn in turns] == [(("new",), "fired")]
    assert state.evaluate([("new",)], at(1))[0].started_at == at(-60)


BAD = """
[[alerts.rules]]
name = "good"
query = "score_trend"
condition = "pass_n >= 20 AND pass_high < 0.5"

[[alerts.rules]]
name = "typo"
query = "score_trend"
conditon = "pass_high < 0.5"

[[alerts.rules]]
name = "no such query"
query = "score_trends"
condition = "1"

[[alerts.rules]]
name = "no such column"
query = "score_trend"
condition = "hihg < 3"

[[alerts.rules]]
name = "not a condition"
query = "score_trend"
condition = "1) UNION ALL (SELECT 1"

[[alerts.rules]]
name = "no such parameter"
query = "score_trend"
parameters = { windows = 3 }
condition = "1"

[[alerts.rules]]
name = "no such sink"
query = "score_trend"
condition = "1"
sinks = ["pager"]

[[alerts.sinks]]
name = "hook"
kind = "webhook"
"""


@pytest.mark.slow
def test_w07_bad_rules_are_refused_with_file_line_and_reason_while_the_others_watch(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "evalspan.toml"
    file.write_text(BAD)
    rules, sinks, problems = load_rules(load_config(file), store)
    assert [rule.name for rule in rules][:1] == ["good"]
    assert {"quality_degradation", "evaluator_stopped", "log_backlog"} <= {rule.name for rule in rules}
    assert [sink.kind for sink in sinks] == ["log"]
    by_name = {problem.name: problem for problem in problems}
    assert by_name["typo"].where == f"{file}:10"
    assert "condition" in by_name["typo"].hint
    assert "score_trend" in by_name["no such query"].hint
    assert by_name["no such query"].where.startswith(f"{file}:")
    assert "high" in by_name["no such column"].hint
    assert "not one condition" in by_name["not a condition"].reason
    assert "windows" in by_name["no such parameter"].reason
    assert "pager" in by_name["no such sink"].reason
    assert "url" in by_name["hook"].reason


@pytest.mark.slow
def test_w07_every_built_in_rule_is_accepted_by_the_engine(store: Store) -> None:
    assert len(BUILT_IN) >= 9
    # The name is another one, so that it is tried: the rules that come with evalspan are not, at each start.
    rules = [msgspec.structs.replace(rule, name=f"my_{rule.name}") for rule in BUILT_IN]
    good, problems = validate(rules, store, ["log"])
    assert good == rules
    assert not problems


def scores(project: str, mean: float, *, days: tuple[float, float], n: int = 200) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [
        {
            "project": project,
            "evaluation_id": str(uuid.uuid4()),
            "name": "helpful",
            "evaluator_version": "1",
            "source": "llm_judge",
            "trace_id": uuid.uuid4().hex,
            "span_id": uuid.uuid4().hex[:16],
            "score": float(rng.normal(mean, 0.5)),
            "span_time": NOON - timedelta(days=float(day)),
        }
        for day in rng.uniform(*days, n)
    ]


class Told(Sink):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(SinkConfig(name="told", kind="log"), lambda *_, **__: None)
        self.notices: list[dict[str, Any]] = []

    def enqueue(self, notice: dict[str, Any]) -> None:
        self.notices.append(notice)


def degradation(project: str, **more: Any) -> AlertRule:
    return AlertRule(
        name=f"fell in {project}",
        query="e_detector",
        parameters={"direction": "decrease"},
        condition="alarm != ''",
        by=("metric",),
        project=project,
        severity="high",
        message="{metric} fell from {mean_before} to {mean_since}",
        **more,
    )


@pytest.mark.slow
async def test_w06_b17_a_degradation_is_told_once_with_numbers_and_traces_and_then_resolved(store: Store) -> None:
    store.insert("evaluations", scores("watch", 4.0, days=(7, 14)) + scores("watch", 2.5, days=(0, 5)))
    rule, sink = degradation("watch", resolve_after=1), Told()
    watcher = Watcher(store, [rule], [sink], Telemetry(), base_url=lambda: "http://here/")
    for minute in range(3):
        await watcher.evaluate(rule, at(minute))
    (notice,) = sink.notices
    assert (notice["state"], notice["severity"], notice["row"]["metric"]) == ("firing", "high", "helpful")
    assert notice["message"].startswith("helpful fell from 3.9")
    assert len(notice["traces"]) == 5
    assert notice["traces"][0].startswith("http://here/traces/")
    again = Watcher(store, [rule], [sink], Telemetry())
    again.restore_state()
    await again.evaluate(rule, at(3))
    assert len(sink.notices) == 1
    await again.evaluate(rule, at(60 * 24 * 8))
    assert len(sink.notices) == 1, "a change is not over because its first week is"
    store.insert("evaluations", scores("watch", 4.0, days=(-20, -9)))
    await again.evaluate(rule, at(60 * 24 * 19))
    assert [one["state"] for one in sink.notices] == ["firing", "resolved"]
    (written,) = catalog.get("alert_history").run(store, project="watch", since_s=10**9).dicts()
    assert (written["state"], written["labels"], written["n_base"]) == ("resolved", {"metric": "helpful"}, 200)
    assert (written["ended_at"], written["window_to"]) == (at(60 * 24 * 19), at(60 * 24 * 19))
    assert written["value"] < 3 < written["baseline"], "what raised it is gone once it is over"
    assert written["message"] == notice["message"]
    assert json.loads(written["details"])["traces"] == notice["traces"]


async def test_w07_the_threshold_is_the_owners_and_a_rule_of_the_same_name_replaces_the_built_in_one(
    store: Store, tmp_path: Path
) -> None:
    store.insert("evaluations", scores("threshold", 3.4, days=(0, 1)))
    path = tmp_path / "evalspan.toml"
    told: dict[float, list[str]] = {}
    for limit in (3.5, 1.5):
        path.write_text(
            f"""[[alerts.rules]]
name = "quality_degradation"
query = "score_trend"
project = "threshold"
parameters = {{ until = "{NOON.isoformat()}" }}
condition = "n >= 20 AND high < {limit}"
"""
        )
        rules, _, problems = load_rules(load_config(path, {}), store)
        assert not problems
        (rule,) = [one for one in rules if one.name == "quality_degradation"]
        sink = Told()
        await Watcher(store, [rule], [sink], Telemetry()).evaluate(rule, NOON)
        told[limit] = [notice["state"] for notice in sink.notices]
    assert told == {3.5: ["firing"], 1.5: []}


@pytest.mark.slow
async def test_a_silenced_rule_records_and_sends_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.insert("evaluations", scores("hush", 4.0, days=(7, 14)) + scores("hush", 2.5, days=(0, 5)))
    rule, sink = degradation("hush"), Told()
    persist_rules(store, [rule], [], NOON)
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    silenced = CliRunner().invoke(command.alert, ["silence", rule.name, "--for", "3650d"])
    assert silenced.exit_code == 0, silenced.output
    persist_rules(store, [rule], [], NOON)  # a restart keeps the silence
    await Watcher(store, [rule], [sink], Telemetry()).evaluate(rule, NOON)
    assert not sink.notices
    listed = CliRunner().invoke(command.alert, ["list", "--project", "hush", "--format", "json"])
    assert listed.exit_code == 3
    assert json.loads(listed.output)[0]["state"] == "firing"
    told = CliRunner().invoke(command.alert, ["history", "--project", "hush", "--format", "json"])
    assert json.loads(told.output)[0]["severity"] == "high"


async def test_a18_b28_a_rule_that_cannot_look_is_an_alert_after_three_times(store: Store) -> None:
    store.insert("evaluations", scores("broken", 4.0, days=(1, 2)))
    sink = Told()
    rule = AlertRule(name="broken", query="segments", parameters={"by": "colour"}, condition="1", project="broken")
    watcher = Watcher(store, [rule], [sink], Telemetry())
    for minute in range(4):
        await watcher.evaluate(rule, at(minute))
    assert [one["state"] for one in sink.notices] == ["error"]
    assert "by must be" in sink.notices[0]["message"]


async def test_the_services_own_numbers_are_watched(store: Store) -> None:
    telemetry, sink = Telemetry(), Told()
    telemetry.gauge("log_backlog_bytes", lambda: 5e9)
    rule = AlertRule(name="backlog", telemetry="log_backlog_bytes", condition="value > 1e9", message="{value} bytes")
    await Watcher(store, [rule], [sink], telemetry).evaluate(rule, NOON)
    assert sink.notices[0]["message"] == "5e+09 bytes"
    assert validate([rule], store, []) == ([rule], [])


NOTICE = {"rule": "r", "name": "r m", "severity": "high", "state": "firing", "message": "fell", "row": {"n": 1}, "traces": ["http://t/1"]}  # fmt: skip


@asynccontextmanager
async def receiver(answers: list[int]) -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    got: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        got.append((dict(request.headers), await request.read()))
        return web.Response(status=answers[min(len(got), len(answers)) - 1])

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/", got
    await runner.cleanup()


async def test_w07_a_webhook_is_signed_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    monkeypatch.setattr("evalspan.collector.alerts.sinks.FIRST_PAUSE_S", 0.01)
    async with receiver([503, 500, 200]) as (url, got):
        config = SinkConfig(name="hook", kind="webhook", url=url, secret_env="HOOK_SECRET")
        assert await Sink(config, lambda *_, **__: None).deliver(NOTICE)
    assert len(got) == 3
    headers, body = got[-1]
    assert json.loads(body)["message"] == "fell"
    assert headers["X-Evalspan-Signature"] == signature("s3cret", headers["X-Evalspan-Timestamp"], body)


async def test_a_webhook_that_is_down_delays_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalspan.collector.alerts.sinks.FIRST_PAUSE_S", 30)
    async with receiver([200]) as (url, got):
        down = Sink(SinkConfig(name="down", kind="webhook", url="http://127.0.0.1:9/"), lambda *_, **__: None)
        slack = Sink(SinkConfig(name="chat", kind="slack", url=url), lambda *_, **__: None)
        tasks = [asyncio.create_task(sink.run()) for sink in (down, slack)]
        for sink in (down, slack):
            sink.enqueue(NOTICE)
        await slack.drain(10)
        await down.drain(0.01)
        for task in tasks:
            task.cancel()
    assert json.loads(got[0][1])["text"] == "[high] firing: r m: fell\nhttp://t/1"


async def test_w07_a_command_gets_the_notice_and_its_failure_is_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "notice.json"
    script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    config = SinkConfig(name="run", kind="command", command=(sys.executable, "-c", script, str(out)), tries=1)
    assert await Sink(config, lambda *_, **__: None).deliver(NOTICE)
    assert json.loads(out.read_text())["rule"] == "r"
    fails = SinkConfig(name="run", kind="command", command=(sys.executable, "-c", "raise SystemExit(3)"), tries=1)
    assert not await Sink(fails, lambda *_, **__: None).deliver(NOTICE)


@asynccontextmanager
async def mail_server(got: list[str]) -> AsyncIterator[str]:
    """Takes mail and keeps every line of the conversation; yields its address."""

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        data = False
        while line := (await reader.readline()).decode():
            got.append(line)
            if data:
                data = line != ".\r\n"
                writer.write(b"" if data else b"250 ok\r\n")
            elif line.upper().startswith("DATA"):
                data = True
                writer.write(b"354 go\r\n")
            elif line.upper().startswith("QUIT"):
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()

    async with await asyncio.start_server(server, "127.0.0.1", 0) as running:
        yield f"127.0.0.1:{running.sockets[0].getsockname()[1]}"


async def test_mail_arrives_by_smtp_whatever_a_span_put_into_its_name() -> None:
    got: list[str] = []
    async with mail_server(got) as address:
        config = SinkConfig(name="mail", kind="email", smtp=address, sender="a@b.c", to=("d@e.f",), tries=1)
        assert await Sink(config, lambda *_, **__: None).deliver(NOTICE)
        assert await Sink(config, lambda *_, **__: None).deliver({**NOTICE, "name": "r a\r\nBcc: x@y.z\n\nb"})
    assert any("Subject: evalspan firing: r m" in line for line in got)
    assert any("Subject: evalspan firing: r a Bcc: x@y.z b" in line for line in got)
    last = "".join(got).rpartition("Subject: ")[2]
    assert "Bcc" not in message_from_string(f"Subject: {last}")


async def test_a_password_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "secret")
    monkeypatch.setattr(mail, "is_loopback", lambda _: False)
    got: list[str] = []
    async with mail_server(got) as address:
        config = SinkConfig(
            name="mail", kind="email", smtp=address, sender="a@b.c", to=("d@e.f",), tries=1,
            username="me", secret_env="MAIL_PASSWORD",
        )  # fmt: skip
        assert not await Sink(config, lambda *_, **__: None).deliver(NOTICE)
    assert not any(line.upper().startswith(("AUTH", "MAIL")) for line in got)


def test_alert_test_asks_now_and_says_so_by_exit_code(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "connect", lambda _: Borrowed(store))
    file = tmp_path / "evalspan.toml"
    file.write_text(
        '[[alerts.rules]]\nname = "always"\nquery = "alert_overview"\nproject = "always-there"\ncondition = "1"\n'
        '[[alerts.rules]]\nname = "never"\nquery = "alert_overview"\ncondition = "0"\n'
    )
    persist_rules(store, [degradation("always-there")], [], NOON)
    codes = [CliRunner().invoke(cli, ["alert", "test", name, "--config", str(file), "--send"]).exit_code for name in ("always", "never", "other")]  # fmt: skip
    assert codes[:2] == [3, 0]
    assert codes[2] != 0


class Away:
    """The store as the watcher sees it while it is away: nothing can be asked or written."""

    def __init__(self, store: Store) -> None:
        self._store, self.away = store, True

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise StoreUnreachable("The store does not answer: connection refused")
        return getattr(self._store, name)


async def test_a_store_that_is_away_at_the_start_ends_no_watching(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "_RETRY_S", 0.05)
    away: Any = Away(store)
    rule = AlertRule(name="late", query="score_trend", condition="1", every_s=0.05)
    telemetry = Telemetry()
    task = asyncio.create_task(Watcher(away, [rule], [], telemetry).run())
    await asyncio.sleep(0.3)
    assert not task.done()
    until = asyncio.get_running_loop().time() + 60
    while not telemetry.value("alert_evaluation_failures_total") and asyncio.get_running_loop().time() < until:
        away.away = not away.away  # a look that fails is counted, and only who has recalled looks
        await asyncio.sleep(0.3)
    assert telemetry.value("alert_evaluation_failures_total"), "it does not look again once the store is back"
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_alert_that_the_store_could_not_take_is_told_at_once_and_written_with_the_next_look(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Told()
    written = "SELECT count() FROM alerts WHERE name = 'unwritten'"
    rule = AlertRule(name="unwritten", telemetry="refused_total", condition="value > 0", for_=1)
    telemetry = Telemetry()
    telemetry.add("refused_total", 3)
    watcher = Watcher(store, [rule], [sink], telemetry)
    with monkeypatch.context() as broken:

        def insert(*_: Any) -> None:
            raise StoreUnreachable("The store does not answer: connection refused")

        broken.setattr(store, "insert", insert)
        assert [turn.what for turn in await watcher.evaluate(rule, at(0))] == ["fired"]
    assert [notice["state"] for notice in sink.notices] == ["firing"]
    assert store.query(written).rows == [(0,)]
    await watcher.evaluate(rule, at(1))
    await watcher.evaluate(rule, at(2))
    assert store.query(written).rows == [(1,)]


def test_an_alert_says_latencies_in_milliseconds_and_rates_in_percent_though_the_query_gives_logarithms() -> None:
    rule = next(rule for rule in BUILT_IN if rule.name == "operations_degradation")
    row = {
        "metric": "latency",
        "mean": math.log(900),
        "mean_since": math.log(900),
        "mean_before": math.log(412),
        "difference": math.log(900 / 412),
        "difference_low": math.log(2),
        "difference_high": math.log(2.5),
        "n_since": 40,
        "since": NOON,
    }
    notice = notice_of(rule, ("latency",), "firing", NOON, row, [])
    assert notice["message"] == (
        "latency of the model calls rose from 412 ms to 900 ms (+118.4%, 95 % interval +100.0% to +150.0%; 40 values),"
        " since about 2026-06-15 12:00 UTC"
    )
    numbers = {
        "value": 900,
        "baseline": 412,
        "low": 824,
        "high": 1030,
        "unit": "ms",
        "p": None,
        "n_base": 0,
        "n_now": 40,
    }
    assert notice["numbers"] == {
        name: pytest.approx(value) if isinstance(value, int) else value for name, value in numbers.items()
    }
    assert notice["row"] == row, "what the query gave is kept as it is"
    errors = {"metric": "error_rate", "mean_since": 0.125, "mean_before": 0.01, "since": NOON}
    assert "from 1.0% to 12.5%" in notice_of(rule, ("error_rate",), "firing", NOON, errors, [])["message"]
