"""Every page on data from the demo: its own customers ask the real model a short fortnight of questions, then somebody looks.

Seeded pages show what was put in; here nothing is made up: answers, scores, drift and failures are the model's.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from playwright.sync_api import Browser, Page, expect

import evalspan
from evalspan.collector.demo import traffic
from evalspan.collector.demo.assistant import Assistant
from evalspan.collector.demo.clock import ShiftedClock
from evalspan.collector.demo.local_model import MODEL_NAME
from evalspan.collector.demo.scoring import wait_until_scored
from evalspan.collector.demo.service import evalspan_command, serving
from evalspan.collector.demo.story import CONFIG
from evalspan.queries.messages import question_of

from .conftest import Watched
from .test_looks import PICTURES
from .test_writes import CALL

# The first test waits for all of the traffic: half a minute on two idle cores, minutes on busy ones.
pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

CUSTOMERS = 12
"""A week: enough for both sides of the drift report, few enough for two cores."""
TARGET = "evalspan.collector.demo.targets:fixed_prompt"
CHECKS = """
from evalspan.evaluators import evaluator

@evaluator(name="answered", version="1", direction="higher", threshold=1.0)
def answered(output):
    return float(bool(output))

suite = [answered]
"""


class Demo:
    """The demo's service with its fortnight in it."""

    def __init__(self, folder: Path, url: str, asked: int, ends: datetime) -> None:
        self.folder, self.url, self.asked = folder, url, asked
        midnight = ends.replace(hour=0, minute=0, second=0, microsecond=0)
        edited = midnight - timedelta(days=traffic.DAYS)
        self.second_week = f"from={edited:%Y-%m-%dT%H:%M}&to={midnight:%Y-%m-%dT%H:%M}"

    def json(self, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        found: dict[str, Any] = json.loads(body)["data"]
        return found

    def selected(self, sql: str) -> list[list[Any]]:
        rows: list[list[Any]] = self.json(f"/sql.json?query={quote(sql)}")["answer"]["rows"]
        return rows


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, model_url: str) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "evalspan.toml").write_text(CONFIG.replace("rate = 0.8", "rate = 1.0"))
    with serving(folder, folder / "evalspan.toml") as url:
        provider = TracerProvider(resource=Resource.create({"service.name": traffic.SERVICE}))
        provider.add_span_processor(BatchSpanProcessor(ShiftedClock(OTLPSpanExporter(endpoint=f"{url}/v1/traces"))))
        handle = evalspan.init(tracer_provider=provider)
        token = attach(Context())  # each question starts a trace, whatever ran in this thread before
        try:
            ends = datetime.now(UTC)
            planned = traffic.plan(CUSTOMERS, ends)
            answered = list(traffic.send(Assistant(model_url, MODEL_NAME), planned, lambda: False))
        finally:
            detach(token)
            handle.shutdown()
            provider.shutdown()
            evalspan.uninstrument()
        assert not [reply.error for reply in answered if reply.error]
        wait_until_scored(folder / "store", traffic.SERVICE, lambda: None)
        _push_a_dataset(folder)
        yield Demo(folder, url, len(answered), ends)


def _push_a_dataset(folder: Path) -> None:
    (folder / "checks.py").write_text(CHECKS)
    examples = [
        {"id": f"q{number}", "partition": "distribution", "input": {"question": question}, "expected_output": None}
        for number, question in enumerate(("How do I cancel?", "When are invoices sent?", "Do you accept PayPal?"))
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in examples))
    code, said = evalspan_command(
        "dataset", "push", str(folder / "questions.jsonl"), "--name", "questions", folder=folder
    )
    assert code == 0, said


@pytest.fixture
def watched(chromium: Browser, demo: Demo) -> Iterator[Watched]:
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    yield Watched(context.new_page(), demo.url)
    context.close()


def test_every_page_renders_the_demo_s_data_in_silence_in_both_themes(
    watched: Watched, demo: Demo, tmp_path: Path
) -> None:
    traces = demo.json("/traces.json?since=30d")["traces"]
    assert len(traces) == demo.asked
    first, second = (trace["trace_id"] for trace in traces[:2])
    session = demo.selected("SELECT any(conversation_id) FROM spans WHERE conversation_id != ''")[0][0]
    shown = {
        "traces": ("/traces?since=30d", "#rows tr"),
        "trace": (f"/traces/{first}", ".message.assistant"),
        "diff": (f"/traces/{first}/against/{second}", "table.pairs tbody tr"),
        "sessions": ("/sessions?since=30d", "tbody tr"),
        "session": (f"/sessions/{session}", ".turns > li"),
        "scores": ("/scores?since=30d&name=support_style", "[data-drawn] canvas"),
        "drift": (f"/drift?{demo.second_week}", "main table:visible tbody tr"),
        "alerts": ("/alerts", "tbody tr"),
        "review": ("/review?since=30d", ".quote"),
        "annotate": ("/annotate?since=30d", ".message.assistant"),
        "datasets": ("/datasets", "tbody tr"),
        "dataset": ("/datasets/questions", "table.examples tbody tr"),
        "experiments": ("/experiments", "main"),
        "sql": ("/sql?query=SELECT+request_model,+count()+FROM+spans+GROUP+BY+1", ".result tbody tr"),
        "status": ("/status?since=30d", "[data-drawn] canvas"),
    }  # fmt: skip
    folder = Path(PICTURES) / "demo" if PICTURES else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        watched.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for name, (path, there) in shown.items():
            page = watched.open(path)
            expect(page.locator(there).first, f"{name} in {scheme}").to_be_visible(timeout=30_000)
            page.screenshot(path=folder / f"{name}-{scheme}.png")
            assert watched.wrong == [], f"{name} in {scheme}"
    assert len(list(folder.glob("*.png"))) == 2 * len(shown)


def test_the_edited_prompt_shows_in_the_demo_s_chart_and_drift_report(watched: Watched, demo: Demo) -> None:
    page = watched.open("/scores?since=30d&name=support_style")
    expect(page.locator("[data-drawn] canvas")).to_have_count(2)
    drawn = page.evaluate(
        "() => [...document.querySelectorAll('canvas')].every((c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v))"
    )
    assert drawn, "an empty canvas"
    report = demo.json(f"/drift.json?{demo.second_week}")["report"]
    assert {row["dimension"] for row in report["changes"] if row["is_new"]} >= {"system_hash"}


def test_a_real_sdk_call_to_the_real_model_arrives_in_the_open_list(
    watched: Watched, demo: Demo, model_url: str
) -> None:
    page = watched.open("/traces?since=30d")
    expect(page.locator("[data-live] .dot")).to_have_class("dot good")
    question = "Does the list move on its own?"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "EVALSPAN_"))}
    call = CALL.replace("gpt-5-mini", MODEL_NAME)
    subprocess.run(
        [sys.executable, "-c", call, demo.url, f"{model_url}/v1", question], check=True, timeout=120, env=environment
    )
    expect(page.locator("tr.arrived").filter(has_text=question)).to_be_visible(timeout=20_000)
    assert watched.wrong == []


def test_a_label_on_the_model_s_own_answer_is_a_row_that_sql_sees(watched: Watched, demo: Demo) -> None:
    trace = demo.json("/traces.json?since=30d&q=cancel")["traces"] or demo.json("/traces.json?since=30d")["traces"]
    page: Page = watched.open(f"/traces/{trace[-1]['trace_id']}")
    page.locator(".annotate input[name=author]").fill("ana")
    page.locator("h1").click()
    page.keyboard.press("1")
    expect(page.locator(".judged")).to_contain_text("ana")
    rows = demo.selected(
        f"SELECT label, source FROM evaluations WHERE author = 'ana' AND trace_id = '{trace[-1]['trace_id']}'"
    )
    assert rows == [["good", "human"]]


def test_a_failure_of_the_demo_becomes_an_example_that_the_gate_runs(
    watched: Watched, demo: Demo, tmp_path: Path
) -> None:
    page = watched.open("/review?since=30d")
    asked = page.locator(".quote").first.inner_text()
    page.locator("input[name=reference_free]").check()
    page.locator("input[name=root_cause]").fill("the system prompt asks for it")
    page.locator("input[name=dataset]").fill("kept")
    page.locator("input[name=author]").fill("ana")
    page.locator("h1").click()
    page.keyboard.press("1")
    expect(page.locator("main")).to_contain_text("1 of ")
    report = tmp_path / "report.json"
    run = (
        "gate",
        "--dataset",
        "kept",
        "--store",
        f"chdb://{demo.folder / 'store'}",
        "--partition",
        "regression",
        "--report",
        str(report),
    )
    command = [
        sys.executable,
        "-m",
        "evalspan",
        *run,
        "--target",
        TARGET,
        "--suite",
        "checks:suite",
        "--concurrency",
        "1",
    ]
    done = subprocess.run(command, cwd=demo.folder, check=False, capture_output=True, text=True, timeout=240)
    assert report.exists(), done.stderr
    (result,) = json.loads(report.read_text())["results"]
    assert question_of(result["input"]).split() == asked.split()
    assert result["passed"] is True, done.stdout
