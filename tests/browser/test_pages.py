"""Every page in a real browser: drawn, silent on the console, at home in both widths, light enough, with a JSON twin."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from ..collector.serving import Collector
from .conftest import Watched, document
from .seed import Shop

pytestmark = pytest.mark.browser

PAGES = [
    "/",
    "/traces",
    "/sessions",
    "/sessions/session-3",
    "/scores",
    "/drift",
    "/alerts",
    "/review",
    "/annotate",
    "/datasets",
    "/datasets/support",
    "/experiments?compare=exp-v7,exp-v8",
    "/sql",
    "/status",
]
MOST_BYTES = 200_000


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_a_json_twin_with_its_sql_and_stays_small(served: Collector, path: str) -> None:
    html = served.request("GET", path)
    assert html.status == 200
    assert len(html.body) < MOST_BYTES, f"{path} has {len(html.body)} bytes"
    place, _, query = path.partition("?")
    twin = document(served, f"{'/traces' if place == '/' else place}.json?{query}")
    assert twin["queries"], "as SQL is empty"
    assert twin["data"]


def test_the_vendored_files_are_the_published_ones() -> None:
    from hashlib import sha256

    import evalspan.collector.dashboard as dashboard

    static = Path(dashboard.__file__).parent / "static"
    lines = [
        line.split("|")
        for line in (static / "VENDORED.md").read_text().splitlines()
        if ".min." in line or ".woff2" in line
    ]
    listed = {cells[1].strip(): cells[5].strip() for cells in lines if len(cells) > 5}
    there = {path.name for path in static.iterdir() if ".min." in path.name or path.suffix == ".woff2"}
    assert set(listed) == there
    for name, checksum in listed.items():
        assert sha256((static / name).read_bytes()).hexdigest() == checksum, f"{name} is not what VENDORED.md says"


def test_pages_do_not_scroll_sideways_on_a_phone(chromium: Browser, served: Collector) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    wide = {}
    for path in PAGES:
        page.goto(f"http://{served.address}{path}")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[path] = width
    context.close()
    assert not wide


def test_a_trace_shows_messages_tool_results_and_scores(browser_page: Watched, served: Collector, shop: Shop) -> None:
    trace = next(trace for trace in shop.traces if trace["tool"] and not trace["failed"])
    page = browser_page.open(f"/traces/{trace['id'].hex()}")
    expect(page.locator("#waterfall li")).to_have_count(6)
    expect(page.locator(".message.user")).to_contain_text(trace["question"])
    call = page.locator(".call").first
    expect(call).to_contain_text("lookup_order")
    expect(call).to_contain_text("shipped")
    expect(page.locator(".judged")).to_contain_text("faithfulness")
    page.get_by_role("link", name="retrieval help-centre").click()
    expect(page.locator(".documents")).to_contain_text("terms.md")
    assert browser_page.wrong == []
