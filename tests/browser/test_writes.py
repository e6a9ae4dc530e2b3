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

from evalspan.evaluators.datasets import Dataset

from ..collector.serving import Collector
from ..collector.traffic import request_of
from ..scripted import scripted_server
from .conftest import Watched, document, rows
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


def test_a_tick_holds_new_rows_back_and_its_own_row_coming_again_is_neither_new_nor_unticked(
    browser_page: Watched, served: Collector
) -> None:
    page = browser_page.open("/traces?q=moved+under+the+pointer&since=1h")

    def arrives(words: str, trace: bytes) -> None:
        request = request_of(1)
        span = request.resource_spans[0].scope_spans[0].spans[0]
        span.trace_id = trace
        span.name = f"{words} moved under the pointer"
        assert served.post(request.SerializeToString()).status == 200

    first, second = os.urandom(16), os.urandom(16)
    arrives("one", first)
    row = page.locator(f"#t{first.hex()}")
    expect(row).to_have_count(1, timeout=15_000)
    page.wait_for_timeout(2500)  # a stream that begins looks back for 2 s
    page.reload()
    expect(page.locator("[data-live] .dot")).to_have_class("dot good")
    box = row.locator("input[type=checkbox]")
    box.check()
    page.mouse.move(0, 0)
    arrives("once more", first)
    expect(row).to_contain_text("once more moved", timeout=15_000)
    expect(box).to_be_checked()
    expect(page.locator("[data-live-says]")).to_have_text("live")
    arrives("two", second)
    expect(page.locator("[data-live-says]")).to_have_text("1 new", timeout=15_000)
    expect(page.locator(f"#t{second.hex()}")).to_have_count(0)
    page.locator("[data-live]").click()
    expect(page.locator(f"#t{second.hex()}")).to_have_count(1)
    expect(box).to_be_checked()
    box.uncheck()
    page.mouse.move(0, 0)
    arrives("three", third := os.urandom(16))
    expect(page.locator(f"#t{third.hex()}")).to_have_count(1, timeout=15_000)
    assert browser_page.wrong == []


def test_nothing_moves_under_the_pointer_when_the_rest_of_the_page_arrives(browser_page: Watched) -> None:
    page = browser_page.open("/traces")
    expect(page.locator("svg.strip")).to_be_visible()
    moved = page.evaluate(
        """() => new Promise((told) => {
            let sum = 0;
            new PerformanceObserver((list) => { for (const one of list.getEntries()) sum += one.value; })
                .observe({ type: "layout-shift", buffered: true });
            setTimeout(() => told(sum), 500);
        })"""
    )
    assert moved < 0.01


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


def test_next_and_previous_keep_to_the_list_that_was_searched(browser_page: Watched, served: Collector) -> None:
    page = browser_page.open("/traces?q=tent&since=14d")
    ids = [row.get_attribute("id")[1:] for row in page.locator("#rows tr").all()]  # type: ignore[index]
    page.locator("#rows tr").nth(1).locator(".what a").first.click()
    expect(page.locator("[data-list]")).to_have_text(f"2 of {len(ids)} in the list")
    page.keyboard.press("o")
    page.wait_for_url(f"**/traces/{ids[2]}*")
    page.keyboard.press("n")
    page.wait_for_url(f"**/traces/{ids[1]}*")
    page.locator("[data-list]").click()
    expect(page.locator(".chip").first).to_contain_text("q: tent")
    assert browser_page.wrong == []


def test_moved_inputs_show_both_distributions_and_calls_to_read(browser_page: Watched) -> None:
    page = browser_page.open("/drift?since=7d")
    expect(page.locator("svg.twins")).to_have_count(5, timeout=60_000)
    moved = page.locator(".moved").filter(has_text="output characters")
    expect(moved).to_contain_text("most gained")
    moved.locator("a").first.click()
    expect(page.locator("#waterfall")).to_be_visible()
    assert browser_page.wrong == []


def test_two_ticked_traces_are_compared_span_by_span(browser_page: Watched, served: Collector) -> None:
    page = browser_page.open("/traces?q=order&model=gpt-5-mini&status=UNSET")
    boxes = page.locator("#rows input[type=checkbox]")
    expect(page.get_by_role("button", name="Compare two")).to_be_disabled()
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Compare two").click()
    expect(page.locator("h1")).to_contain_text("two compared")
    assert "csrf" not in page.url
    expect(page.locator("table.pairs tbody tr")).to_have_count(6)
    expect(page.locator("table.pairs")).to_contain_text("execute_tool lookup_order")
    twin = document(
        served, page.url.removeprefix(browser_page.base).replace("?", ".json?") + ("" if "?" in page.url else ".json")
    )
    assert [len(row["spans"]) for row in twin["data"]["rows"]] == [2] * 6
    assert browser_page.wrong == []


def test_ticked_traces_wait_for_annotators_and_the_pick_itself_is_no_score(
    browser_page: Watched, served: Collector
) -> None:
    page = browser_page.open("/traces?q=tent")
    for at in (0, 1):
        page.locator("#rows input[type=checkbox]").nth(at).check()
    page.locator(".picked input[name=name]").fill("politeness")
    page.get_by_role("button", name="Queue for labels").click()
    expect(page.locator("main")).to_contain_text("0 of 2 judged")
    expect(page.locator(".chat")).to_contain_text("tent")
    page.locator("input[name=author]").fill("cem")
    page.locator("h1").click()
    page.keyboard.press("2")
    expect(page.locator("main")).to_contain_text("1 of 2 judged by cem")
    (row,) = selected(served, "SELECT label, author FROM evaluations WHERE name = 'politeness'")
    assert row == ["bad", "cem"]
    names = {row["name"] for row in document(served, "/scores.json?since=14d")["data"]["names"]}
    assert names == {"faithfulness", "tone", "constraints", "overall", "politeness"} & names
    assert "queued" not in names
    assert browser_page.wrong == []


def test_the_evaluate_button_gives_the_command_for_exactly_the_ticked_traces(
    browser_page: Watched, served: Collector, tmp_path: Path
) -> None:
    page = browser_page.open("/traces?q=tent")
    box = page.locator("#rows input[type=checkbox]").first
    trace = (box.get_attribute("value") or "").split(":")[0]
    box.check()
    page.get_by_role("button", name="Evaluate").click()
    command = page.locator("pre.code").inner_text().replace("module:suite", "shop:suite")
    (tmp_path / "shop.py").write_text(
        SHOP.replace("def right(output, expected):", "def right(output):").replace(
            "output == expected", "len(output) > 0"
        )
    )
    environment = {**os.environ, "EVALSPAN_STORE": f"chdb://{served.path}"}
    done = subprocess.run(
        f"{sys.executable} -m {command}", shell=True, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = selected(served, "SELECT DISTINCT trace_id FROM evaluations WHERE name = 'right'")
    assert rows == [[trace]]


def test_two_approvals_on_the_page_let_the_golden_set_gate_and_an_edit_voids_them(
    browser_page: Watched, served: Collector, tmp_path: Path
) -> None:
    def pulled() -> Dataset:
        command = ("dataset", "pull", "support", str(tmp_path / "support.jsonl"), "--store", f"chdb://{served.path}")
        (tmp_path / "support.jsonl").unlink(missing_ok=True)
        (tmp_path / "support.meta.json").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "evalspan", *command], check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return Dataset.load(tmp_path / "support.jsonl")

    page = browser_page.open("/datasets/support")
    expect(page.locator("main")).to_contain_text("nobody has approved the golden set")
    for name in ("ana", "bo"):
        form = page.locator("form[action$='/approve']").first
        form.locator("input[name=author]").fill(name)
        form.locator("input[name=note]").fill("read all of them")
        form.get_by_role("button", name="Approve").click()
        expect(page.locator("main")).to_contain_text(name)
    expect(page.locator("main")).to_contain_text("The golden set gates")
    found = pulled()
    assert found.why_unapproved() is None
    assert {one.note for one in found.manifest.approvals} == {"read all of them"}
    assert not any("approvals" in example.metadata for example in found)
    stale = page.locator("form[action$='/approve']").first
    edited = {**found["case-0"].to_json(), "input": json.dumps({"question": "edited"}), "dataset": "support"}
    rows(
        served,
        "examples",
        [{key: edited[key] for key in ("dataset", "partition", "input", "expected_output")} | {"example_id": "case-0"}],
    )
    stale.locator("input[name=author]").fill("cem")
    stale.get_by_role("button", name="Approve").click()
    expect(page.locator("main")).to_contain_text("were edited while you looked")
    assert "was edited after" in (pulled().why_unapproved() or "")


def test_the_drift_and_review_pages_keep_to_the_service_and_environment_of_the_address(served: Collector) -> None:
    whole = document(served, "/drift.json?since=7d")["data"]["report"]["scores"]
    part = document(served, "/drift.json?since=7d&service=search-api&environment=production")["data"]["report"][
        "scores"
    ]
    counted = {row["metric"]: row["n_after"] for row in part}
    assert {"faithfulness", "tone", "constraints"} <= set(counted)
    assert all(0 < counted[row["metric"]] < row["n_after"] / 2 for row in whole if row["metric"] in counted)
    cases = document(served, "/review.json?since=14d")["data"]
    narrowed = document(served, "/review.json?since=14d&service=search-api")["data"]
    assert 0 < sum(row["count"] for row in narrowed["queue"]) < sum(row["count"] for row in cases["queue"])
    assert document(served, "/review.json?since=14d&environment=nowhere")["data"]["total"] == 0


def test_a_chart_is_drawn_from_its_table_and_marks_the_prompt_change(browser_page: Watched) -> None:
    page = browser_page.open("/scores?name=faithfulness&source=llm_judge&since=14d")
    expect(page.locator("[data-chart][data-drawn] canvas")).to_have_count(2)
    assert page.locator("[data-chart] tbody tr").count() > 10
    expect(page.locator(".marks").first).to_contain_text("prompt answer v8")
    expect(page.locator("[data-limit]")).to_contain_text("Faithfulness fell")
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
    page.wait_for_url("**/traces/*")
    expect(page.locator("#waterfall")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url("**/traces")
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
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("pre.plan")).to_contain_text("ReadFromMergeTree")
    for forbidden in (
        "DROP TABLE spans",
        "EXPLAIN SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    ):
        page.goto(f"{browser_page.base}/sql?query={quote(forbidden)}")
        expect(page.get_by_role("alert")).to_contain_text("refused")
