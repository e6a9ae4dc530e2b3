"""Labels of whole traces beside the judge's rubric, and examples that are edited, removed and brought on the page."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from ..collector.serving import Collector
from .conftest import Watched, document, rows
from .test_writes import selected

pytestmark = pytest.mark.browser


def test_a_whole_trace_is_judged_beside_the_rubric_and_the_label_can_be_taken_back(
    browser_page: Watched, served: Collector
) -> None:
    name, monday = f"done-{uuid.uuid4().hex[:6]}", datetime.now(UTC) - timedelta(days=datetime.now(UTC).weekday() + 3)
    found = document(served, "/traces.json?since=14d")["data"]["traces"][:3]
    about = {"name": name, "unit": "trace", "source": "llm_judge", "score": 0.4, "passed": "fail", "span_time": monday}
    rows(served, "evaluations", [{**about, "evaluation_id": str(uuid.uuid4()), "trace_id": one["trace_id"], "service": one["service"]} for one in found])  # fmt: skip
    rubric = {
        "name": name,
        "evaluator_version": "7",
        "unit": "trace",
        "threshold": 3.0,
        "rubric": "Was the parcel <b>found</b>?",
    }
    rows(served, "evaluator_rubrics", [rubric])
    page = browser_page.open(f"/annotate?name={name}&since=30d")
    expect(page.locator(".rubric")).to_contain_text("Was the parcel <b>found</b>?")
    expect(page.locator(".case")).to_contain_text("Of the whole trace.")
    page.locator("form input[name=author]:visible").fill("cleo")
    page.locator("h1").click()
    page.keyboard.press("2")
    expect(page.locator("main")).to_contain_text("1 of 3 judged by cleo")
    sql = f"SELECT unit, label, sample_weight FROM evaluations WHERE source = 'human' AND name = '{name}'"
    assert selected(served, sql) == [["trace", "bad", 1.0]]
    page.keyboard.press("b")
    expect(page.locator(".badge", has_text="you said bad")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator("main")).to_contain_text("0 of 3 judged by cleo")
    assert browser_page.wrong == []


def test_a_file_becomes_examples_that_are_edited_and_removed_on_the_page(
    browser_page: Watched, served: Collector
) -> None:
    name = f"brought-{uuid.uuid4().hex[:6]}"
    table = b"Question,Answer\nWhere is my tent?,In Oslo.\n<script>alert(1)</script>,Nothing runs.\n"
    page = browser_page.open("/datasets")
    page.set_input_files("input[type=file]", {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": table})
    page.select_option("select[name=partition]", "golden")
    page.fill("input[name=columns]", "input.question=Question, expected_output=Answer")
    page.click("button:has-text('Upload')")
    expect(page.locator("table.examples tbody tr")).to_have_count(2)
    edited = page.locator("table.examples tr", has_text="Where is my tent?")
    edited.get_by_role("link", name="Edit").click()
    page.fill("textarea[name=expected_output]", "In Bergen.")
    page.fill(".edit-example input[name=author]", "ana")
    stale = page.evaluate("Object.fromEntries(new FormData(document.querySelector('.edit-example')))")
    page.click(".edit-example button:has-text('Save')")
    expect(page.locator("table.examples tr", has_text="Where is my tent?")).to_contain_text("In Bergen.")
    expect(page.locator("table.examples tr", has_text="Where is my tent?")).to_contain_text("ana")
    refused = page.request.post(
        f"{browser_page.base}/datasets/{name}/examples", form={**stale, "expected_output": "In Rome."}
    )
    assert "was edited while you looked at it" in refused.text()
    page.locator("table.examples tr", has_text="script").get_by_role("link", name="Edit").click()
    page.click("button:has-text('Remove it')")
    expect(page.locator("table.examples tbody tr")).to_have_count(1)
    expect(page.locator(".diff")).to_contain_text("removed")
    page.click("text=Add an example")
    page.fill("input[name=example]", "second")
    page.fill("textarea[name=input]", '{"turns": ["one", "two"]}')
    page.check("input[name=reference_free]")
    page.click("button:has-text('Add it')")
    expect(page.locator("table.examples tbody tr", has_text="second")).to_contain_text("reference-free")
    held = document(served, f"/datasets/{name}.json")["data"]["examples"]
    assert {row["partition"] for row in held} == {"golden", "distribution"}
    assert browser_page.wrong == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.exe", b"MZ", "holds no examples"), ("x.jsonl", b'{"id": "a"}\n', "x.jsonl"), ("x.jsonl", b"", "holds 0 examples"), ("x.json", b"[1", "x.json"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_examples_is_refused_with_the_place(
    browser_page: Watched, name: str, content: bytes, says: str
) -> None:
    page = browser_page.open("/datasets")
    page.set_input_files("input[type=file]", {"name": name, "mimeType": "text/plain", "buffer": content})
    page.click("button:has-text('Upload')")
    expect(page.locator("main")).to_contain_text(says)
    assert "/tmp" not in page.locator("main").inner_text()
