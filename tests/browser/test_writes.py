"""What people do on the pages ends as rows: labels that SQL sees, failures that become examples which the gate runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from ..collector.serving import Collector
from ..scripted import scripted_server
from .conftest import Watched, document
from .seed import Shop

pytestmark = pytest.mark.browser

RIGHT_ANSWER = "Ask the shop where you bought it."
SHOP = f"""
from evalspan.evaluators import evaluator

def answer(input):
    assert input["question"], input
    return {RIGHT_ANSWER!r}

@evaluator(name="right", version="1", direction="higher", threshold=1.0)
def right(output, expected):
    return float(output == expected)

suite = [right]
"""
CALL = """
import sys, evalspan
from openai import OpenAI
handle = evalspan.init("live-app", endpoint=sys.argv[1])
client = OpenAI(base_url=sys.argv[2], api_key="none")
client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": sys.argv[3]}])
handle.flush()
"""


def selected(collector: Collector, sql: str) -> list[list[Any]]:
    rows: list[list[Any]] = document(collector, f"/sql.json?query={quote(sql)}")["data"]["answer"]["rows"]
    return rows


def test_a_label_given_by_key_on_a_span_is_a_row_that_sql_sees(
    browser_page: Watched, served: Collector, shop: Shop
) -> None:
    trace = next(trace for trace in shop.traces if not trace["failed"])
    page = browser_page.open(f"/traces/{trace['id'].hex()}?span={trace['spans'][2].hex()}")
    page.locator(".annotate input[name=author]").fill("ana")
    page.locator(".annotate input[name=note]").fill("promises too much")
    page.locator("h1").click()
    page.keyboard.press("2")
    expect(page.locator(".judged")).to_contain_text("promises too much")
    sql = "SELECT label, passed, score, author, source, prompt_version, sample_weight FROM evaluations"
    (row,) = selected(served, f"{sql} WHERE name = 'overall' AND trace_id = '{trace['id'].hex()}'")
    assert row == ["bad", "fail", 0.0, "ana", "human", trace["version"], trace["weight"]]
    assert browser_page.wrong == []


def test_a03_a_drawn_span_is_judged_blind_and_its_label_carries_the_chance_of_the_draw(
    browser_page: Watched, served: Collector
) -> None:
    page = browser_page.open("/annotate?name=tone&since=14d")
    expect(page.locator(".chat")).to_be_visible()
    assert "0." not in page.locator(".case").inner_text(), "a score would bias the label"
    page.locator("input[name=author]").fill("bo")
    page.locator("h1").click()
    page.keyboard.press("1")
    expect(page.locator("main")).to_contain_text("1 of 20 judged by bo")
    drawn_from = document(served, "/annotate.json?name=tone&since=14d")["data"]["population"]
    sql = "SELECT e.sample_weight / s.sample_weight FROM evaluations AS e JOIN spans AS s USING (trace_id, span_id)"
    ((weight,),) = selected(served, f"{sql} WHERE e.source = 'human' AND e.name = 'tone'")
    assert weight == pytest.approx(drawn_from / 20)


def test_a12_a_reviewed_failure_becomes_a_regression_case_that_the_gate_runs(
    browser_page: Watched, served: Collector, tmp_path: Path
) -> None:
    page = browser_page.open("/review?since=14d&kind=faithfulness")
    asked = page.locator(".quote").first.inner_text()
    page.keyboard.press("e")
    page.keyboard.type(RIGHT_ANSWER)
    page.locator("input[name=root_cause]").fill("the answer invents facts")
    page.locator("input[name=dataset]").fill("kept")
    page.locator("input[name=author]").fill("ana")
    page.locator("h1").click()
    page.keyboard.press("1")
    expect(page.locator("main .hint").first).to_contain_text("1 of ")
    expect(page.locator(".quote").first).not_to_have_text(asked)
    (tmp_path / "shop.py").write_text(SHOP)
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "evalspan", "gate", "--dataset", "kept", "--store", f"chdb://{served.path}"),
            *("--target", "shop:answer", "--suite", "shop:suite", "--partition", "regression", "--report", str(report)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert report.exists(), done.stderr
    (result,) = json.loads(report.read_text())["results"]
    assert result["passed"] is True, done.stdout
    assert result["input"]["question"] == asked
    assert result["root_cause"] == "the answer invents facts"


def test_a_real_sdk_call_arrives_in_the_open_list_without_reloading(browser_page: Watched, served: Collector) -> None:
    page = browser_page.open("/traces")
    expect(page.locator("[data-live] .dot")).to_have_class("dot good")
    question = "Does the live list move?"
    with scripted_server() as server:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "EVALSPAN_"))}
        command = [sys.executable, "-c", CALL, browser_page.base, server.url, question]
        subprocess.run(command, check=True, timeout=60, env=environment)
    row = page.locator("tr.arrived")
    expect(row).to_contain_text(question, timeout=15_000)
    expect(row).to_contain_text("The Pro plan costs 20 euros a month.")
    assert browser_page.wrong == []


def test_chosen_traces_become_examples_of_a_dataset(browser_page: Watched, served: Collector, shop: Shop) -> None:
    page = browser_page.open("/traces?model=gpt-5-mini&status=OK&q=tent")
    page.goto(f"{browser_page.base}/traces?q=tent")
    boxes = page.locator("tbody input[type=checkbox]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.locator("input[name=dataset]").fill("tents")
    page.get_by_role("button", name="Add chosen to dataset").click()
    expect(page.locator("h1")).to_contain_text("tents")
    expect(page.locator("table.examples tbody tr")).to_have_count(2)
    expect(page.locator("table.examples")).to_contain_text("Is the Alpine tent waterproof?")


def test_a_chart_is_drawn_from_its_table_and_marks_the_prompt_change(browser_page: Watched) -> None:
    page = browser_page.open("/scores?name=faithfulness&source=llm_judge&since=14d")
    expect(page.locator("[data-chart][data-drawn] canvas")).to_have_count(2)
    assert page.locator("[data-chart] tbody tr").count() > 10
    expect(page.locator(".marks")).to_contain_text("prompt answer v8")
    drawn = page.evaluate(
        "() => [...document.querySelectorAll('canvas')].every((c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v))"
    )
    assert drawn


def test_the_keys_move_open_search_and_explain(browser_page: Watched) -> None:
    page = browser_page.open("/traces")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.chosen")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#waterfall")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.locator("#rows")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("tent")
    page.keyboard.press("Enter")
    expect(page.locator(".chip").first).to_contain_text("q: tent")


def test_the_sql_page_completes_runs_and_refuses(browser_page: Watched) -> None:
    page = browser_page.open("/sql")
    page.locator("#query").press_sequentially("SELECT request_m")
    expect(page.locator("#completions li").first).to_contain_text("request_model")
    page.keyboard.press("Tab")
    page.locator("#query").press_sequentially(", count() FROM spans GROUP BY 1")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result")).to_contain_text("gpt-5-mini")
    assert "query=SELECT" in page.url, "the address is the query"
    for forbidden in ("DROP TABLE spans", "SELECT * FROM file('/etc/passwd', 'LineAsString')"):
        page.goto(f"{browser_page.base}/sql?query={quote(forbidden)}")
        expect(page.get_by_role("alert")).to_contain_text("refused")
