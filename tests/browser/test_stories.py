"""Five planted stories, each found from the overview by clicks alone, to its cause and to a saved regression case."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ..collector.serving import Collector
from .conftest import Watched, document, rows
from .stories import Stories

pytestmark = pytest.mark.browser

MAX_CLICKS, MAX_TABS = 8, 250


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A service with the five stories in its store."""
    place = tmp_path_factory.mktemp("stories")
    target = place / "shop.py"
    target.write_text(
        "from evalspan.evaluators import evaluator\n\n\ndef answer(input):\n    return 'Told: ' + input['system'][:60]\n\n\n"
        "@evaluator(name='short', version='1', direction='higher', threshold=1.0)\ndef short(output):\n"
        "    return len(output) < 400\n\n\nSUITE = [short]\n"
    )
    replay = f'replay = "{target}:answer"\nreplay_suite = "{target}:SUITE"\n'
    settings = f"[dashboard]\n{replay}[sampling]\nrate = 1.0\n"
    collector = Collector(place / "store", "--sql-port", "0", settings=settings)
    try:
        stories = Stories()
        for body in stories.requests():
            assert collector.post(body).status == 200
        rows(collector, "evaluations", stories.scores)
        deadline = time.monotonic() + 60
        while document(collector, "/traces/facets.json?since=30d")["data"]["all"] < len(stories.bodies):
            assert time.monotonic() < deadline, "not all traces arrived"
            time.sleep(0.3)
        yield collector
    finally:
        collector.kill()


class Reader:
    """Somebody on call: starts at `/`, and every click is counted."""

    def __init__(self, page: Page, *, keys: bool = False) -> None:
        self.page, self.keys, self.clicks = page, keys, 0

    def follow(self, selector: str, text: str | re.Pattern[str] = "") -> None:
        """Clicks the first link or button that holds the text, or goes to it by Tab and presses Enter."""
        found = self.page.locator(selector, has_text=text).first if text else self.page.locator(selector).first
        self.open(found)

    def open(self, found: Locator) -> None:
        """Clicks a link or button, or goes to it by Tab and presses Enter."""
        expect(found).to_be_visible(timeout=60_000)
        if self.keys:
            self.tab_to(found)
            self.page.keyboard.press("Enter")
        else:
            found.click()
        self.clicks += 1

    def tab_to(self, found: Locator) -> None:
        """Goes on by Tab until the element has the focus, and is seen to have it."""
        for _ in range(MAX_TABS):
            if found.evaluate("one => one === document.activeElement"):
                break
            self.page.keyboard.press("Tab")
        ring = found.evaluate(
            "one => { const style = getComputedStyle(one); return one === document.activeElement && (style.outlineStyle !== 'none' || style.boxShadow !== 'none'); }"
        )
        assert ring, f"Tab does not lead to {found}, or its focus is not seen"

    def write(self, selector: str, text: str) -> None:
        """Writes into a field; by keyboard after going to it by Tab."""
        found = self.page.locator(selector).first
        expect(found).to_be_visible(timeout=60_000)
        if self.keys:
            self.tab_to(found)
            self.page.keyboard.press("ControlOrMeta+a")
            self.page.keyboard.type(text)
        else:
            found.fill(text)

    def keep_case(self) -> None:
        """On the review: writes what is needed and keeps the case."""
        page = self.page
        expect(page.locator("textarea[name=expected]")).to_be_visible(timeout=60_000)
        self.write("textarea[name=expected]", "Only what the documents say.")
        self.write("input[name=root_cause]", "the prompt invites promises")
        self.write("form input[name=author]:visible", "ana")
        self.follow("button", "Keep as regression case")
        expect(page.locator("#case .hint", has_text=re.compile(r"[1-9]\d* of \d+ clusters done")).or_(page.locator(".empty")).first).to_be_visible(timeout=60_000)  # fmt: skip


WIDTHS = [(1440, "dark", False), (1280, "light", True), (390, "dark", False)]


@pytest.fixture(params=WIDTHS, ids=["wide", "by keyboard", "phone"])
def reader(request: pytest.FixtureRequest, chromium: Browser, told: Collector) -> Iterator[Reader]:
    width, scheme, keys = request.param
    context = chromium.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)
    watched = Watched(context.new_page(), f"http://{told.address}")
    page = watched.open("/")
    expect(page.locator("#needs .needs")).to_be_visible(timeout=60_000)
    one = Reader(page, keys=keys)
    yield one
    assert watched.wrong == []
    assert one.clicks <= MAX_CLICKS
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, "the page scrolls sideways"
    context.close()


def cases(told: Collector) -> int:
    """How many regression cases are kept."""
    found = document(told, "/datasets.json")["data"]["datasets"]
    return sum(row["regression"] for row in found if row["dataset"] == "regressions")


def test_a_fallen_score_leads_to_the_prompt_its_edit_and_a_kept_case(reader: Reader, told: Collector) -> None:
    before = cases(told)
    expect(reader.page.locator("#needs")).to_contain_text("prompt answer v5")
    reader.follow("#needs li a", "faithfulness")
    expect(reader.page.locator(".verdict-card")).to_contain_text("answer v5", timeout=60_000)
    expect(reader.page.locator(".diff")).to_contain_text("Never promise refunds")
    expect(reader.page.locator("table.cards", has_text="refunds").first).to_be_visible()
    reader.follow("a.button", "Review its failures as cases")
    reader.keep_case()
    assert cases(told) == before + 1


def test_a_tool_that_fails_for_some_leads_to_region_and_version_and_the_failing_call(reader: Reader) -> None:
    reader.follow("#needs li a", "ToolTimeout")
    table = reader.page.locator("table.differences")
    expect(table).to_contain_text("2.14", timeout=60_000)
    expect(table.locator("tr", has_text="region").first).to_contain_text("eu")
    reader.follow("main .chips a", "Traces")
    reader.follow("table.traces .what a")
    expect(reader.page.locator("#span h2").first).to_have_text("execute_tool find_order", timeout=60_000)
    reader.write("#span input[name=dataset]", "regressions")
    reader.follow("#span button", "Add to dataset")
    expect(reader.page.locator("h1")).to_contain_text("regressions", timeout=60_000)


def test_a_burst_that_is_over_leads_to_the_model_that_refused(reader: Reader) -> None:
    reader.follow("#needs .over summary")
    reader.follow("#needs .over a", "RateLimitError in search-model")
    expect(reader.page.locator("table.differences")).to_contain_text("search-model", timeout=60_000)
    reader.follow("main .chips a", "Traces")
    expect(reader.page.locator("#listed")).to_contain_text(re.compile(r"\d+ of \d+ traces"), timeout=60_000)
    reader.follow("main .chips a", "Review as cases")
    reader.keep_case()


def test_a_risen_cost_leads_to_the_tenant_and_its_dearest_trace(reader: Reader) -> None:
    expect(reader.page.locator("#needs")).to_contain_text("tenant.id globex")
    reader.follow("#needs li a", "cost of code-assistant")
    row = reader.page.locator("section", has_text="What raised it").locator("tr", has_text="globex").first
    expect(row).to_contain_text("tenant.id", timeout=60_000)
    reader.open(row.locator("a").first)
    reader.follow("table.traces .what a")
    expect(reader.page.locator(".facts").first).to_contain_text("$", timeout=60_000)
    reader.write("#span input[name=dataset]", "regressions")
    reader.follow("#span button", "Add to dataset")
    expect(reader.page.locator("h1")).to_contain_text("regressions", timeout=60_000)


def test_a_new_version_of_an_evaluator_is_no_fall_and_is_named_on_the_scores(reader: Reader) -> None:
    expect(reader.page.locator("#needs")).not_to_contain_text("relevance fell")
    if reader.page.locator("details.menu summary").is_visible():
        reader.follow("details.menu summary")
    reader.follow(".rail nav a", "Scores")
    expect(reader.page.locator("table.choose tr", has_text="relevance")).to_contain_text("2 versions", timeout=60_000)
    reader.follow("table.choose a", "relevance")
    expect(reader.page.locator(".marks").first).to_contain_text("evaluator relevance version 2", timeout=60_000)


def numbers(told: Collector) -> Iterator[tuple[str, int, str]]:
    """What pages say a link opens: what it is, the number, the address."""
    for query in ("since=7d", "since=7d&error=ToolTimeout", "since=7d&model=search-model&status=ERROR", "since=7d&failed=faithfulness"):  # fmt: skip
        facets: dict[str, list[dict[str, Any]]] = document(told, f"/traces/facets.json?{query}")["data"]["facets"]
        kept = dict(part.split("=") for part in query.split("&"))
        for facet, values in facets.items():
            for row in values[:3]:
                opened = "&".join(f"{key}={value}" for key, value in {**kept, facet: row["value"]}.items())
                yield f"facet {facet} {row['value']} under {query}", row["n"], f"/traces?{opened.replace(' ', '+')}"
    scores = document(told, "/scores.json?since=7d&name=faithfulness")["data"]
    judged = [row for values in scores["slices"].values() for row in values[:3]]
    judged += [row for row in scores["histogram"] if row["n"]][:4]
    for row in judged:
        yield f"scores {row.get('value', row.get('low'))}", row["traces"], row["open"]
    for by, unit in (("region", "traces"), ("model", "calls"), ("tool", "tools"), ("version", "calls")):
        for row in document(told, f"/explore.json?since=7d&by={by}&of={unit}")["data"]["rows"]:
            if row["open"] and row["value"]:
                yield f"explore {by} {row['value']}", row["traces"], row["open"]
    for row in document(told, "/difference.json?since=7d&error=ToolTimeout")["data"]["rows"][:6]:
        yield f"difference {row['key']} {row['value']}", row["n_in"], row["open"]
    for row in document(told, "/prompts/answer.json?since=7d")["data"]["versions"]:
        yield f"prompt {row['version']}", row["traces"], f"/traces?since=7d&version=answer+{row['version']}"


def test_every_number_opens_as_many_traces_as_it_says(told: Collector) -> None:
    """Facets, slices, bins, groups, differences, prompts: each is followed to the list and counted there."""
    wrong, seen = [], 0
    for what, number, address in numbers(told):
        path, _, query = address.partition("?")
        assert path == "/traces", address
        found = int(document(told, f"/traces/facets.json?{query}")["data"]["listed"])
        seen += 1
        if found != number:
            wrong.append(f"{what}: says {number}, opens {found}: {address}")
    assert not wrong, "\n".join(wrong)
    assert seen > 40


def test_a_call_is_replayed_with_another_system_prompt_and_its_failures_become_an_experiment(
    chromium: Browser, told: Collector
) -> None:
    failed = document(told, "/traces.json?since=7d&failed=faithfulness")["data"]["traces"][0]["trace_id"]
    page = chromium.new_page()
    page.goto(f"http://{told.address}/traces/{failed}")
    expect(page.locator("#span h2").first).to_have_text("chat answer-model")
    page.click("text=Replay this call")
    page.fill("textarea[name=system]", "Promise nothing at all.")
    page.click("button:has-text('On its failures too')")
    expect(page.locator(".replayed")).to_contain_text("Told: Promise nothing at all.", timeout=90_000)
    expect(page.locator(".replayed")).to_contain_text("short 1")
    expect(page.locator(".note-bar")).to_contain_text("kept as the experiment")
    page.close()
    runs = document(told, "/experiments.json")["data"]["runs"]
    assert runs[0]["name"] == "replay of answer, edited"
    assert runs[0]["n"] > 5


def test_a_saved_view_stands_in_the_rail_and_opens_by_key(chromium: Browser, told: Collector) -> None:
    page = chromium.new_page()
    page.goto(f"http://{told.address}/traces?since=7d&where=region%3Deu")
    page.click("summary:has-text('Save view')")
    page.fill("input[name=view_name]", "<b>Europe</b>")
    page.fill("input[name=saved_by]", "ana")
    page.click("button:has-text('Save this address')")
    expect(page.locator(".rail [data-view]")).to_have_text("<b>Europe</b>")
    page.goto(f"http://{told.address}/scores")
    page.keyboard.press("g")
    page.keyboard.press("1")
    page.wait_for_url("**/traces?since=7d&where=region%3Deu")
    page.goto(f"http://{told.address}/views")
    page.click("button:has-text('Remove')")
    expect(page.locator(".rail [data-view]")).to_have_count(0)
    page.close()


def test_dragging_over_a_chart_sets_the_range_of_the_page(chromium: Browser, told: Collector) -> None:
    page = chromium.new_page()
    page.goto(f"http://{told.address}/?since=7d&service=support-bot")
    plot = page.locator(".u-over").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 40, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile(r"[?&]from=.*[?&]to="))
    assert "service=support-bot" in page.url
    assert "since=" not in page.url
    page.close()
