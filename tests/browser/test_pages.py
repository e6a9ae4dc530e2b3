"""Every page in a real browser: drawn, silent on the console, at home in both widths, light enough, with a JSON twin."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from playwright.sync_api import Browser, expect

from ..collector.serving import Collector, serving
from .conftest import Watched, document
from .seed import Shop

pytestmark = pytest.mark.browser

PAGES = [
    "/",
    "/traces",
    "/traces?where=region!=x&sort=cost&columns=cost,model,region&rows=compact&tz=Asia/Tokyo",
    "/explore?measure=errors&by=model",
    "/explore?measure=score.faithfulness&by=version",
    "/difference?status=ERROR",
    "/sessions",
    "/sessions/session-3",
    "/scores",
    "/drift",
    "/alerts",
    "/review",
    "/annotate",
    "/datasets",
    "/datasets/support",
    "/annotate?queue=picked",
    "/experiments?compare=exp-v7,exp-v8",
    "/sql",
    "/status",
]
MAX_BYTES = 200_000


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_a_json_twin_with_its_sql_and_stays_small(served: Collector, path: str) -> None:
    shown = served.request("GET", path)
    assert shown.status == 200
    assert len(shown.body) < MAX_BYTES, f"{path} has {len(shown.body)} bytes"
    place, _, query = path.partition("?")
    twin = document(served, f"{'/overview' if place == '/' else place}.json?{query}")
    assert twin["queries"], "as SQL is empty"
    assert twin["data"]


def test_the_addresses_that_commands_print_lead_to_what_they_printed(served: Collector, shop: Shop) -> None:
    trace = shop.traces[-1]["id"].hex()
    commands = {
        ("traces", "list", "--since", "14d", "--model", "gpt-5-mini"): "gpt-5-mini",
        ("traces", "show", trace[:12], "--no-messages"): trace,
        ("drift", "--since", "7d", "--by", "environment"): "What moved",
        ("alert", "list"): "Faithfulness fell",
    }
    environment = {**os.environ, "EVALSPAN_STORE": f"chdb://{served.path}"}
    for command, shown in commands.items():
        done = subprocess.run(
            [sys.executable, "-m", "evalspan", *command],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        address = re.search(r"dashboard: http://[^/]+(/\S+)", done.stderr)
        assert address, (command, done.stderr)
        # What takes long comes after the page; with wait=1 the page comes whole.
        answer = served.request("GET", f"{address[1]}{'&' if '?' in address[1] else '?'}wait=1")
        assert answer.status == 200, address[1]
        assert shown in html.unescape(answer.body.decode()), command


def test_the_vendored_files_are_the_published_ones() -> None:
    from hashlib import sha256

    import evalspan.dashboard as dashboard

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


def test_a_trace_of_2000_spans_opens_folded_stays_small_and_unfolds(browser_page: Watched, served: Collector) -> None:
    trace, start = b"\x77" * 16, int((time.time() - 3 * 86400) * 1e9)
    spans = [
        Span(
            trace_id=trace,
            span_id=number.to_bytes(8, "big"),
            parent_span_id=b"" if number == 1 else max(1, number // 100).to_bytes(8, "big"),
            name=f"step {number}",
            start_time_unix_nano=start + number * 10**6,
            end_time_unix_nano=start + (number + 40) * 10**6,
        )
        for number in range(1, 2001)
    ]
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
    assert served.post(request.SerializeToString()).status == 200
    deadline = time.monotonic() + 20
    while (answer := served.request("GET", f"/traces/{trace.hex()}")).status == 404 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(answer.body) < MAX_BYTES
    page = browser_page.open(f"/traces/{trace.hex()}")
    expect(page.locator(".facts").first).to_contain_text("2,000 spans")
    shown = page.locator("#waterfall li[data-row]:visible").count()
    assert 3 < shown < 400
    page.locator("#waterfall li.fold button").last.click()
    expect(page.locator("#waterfall li[data-row]:visible").nth(shown + 5)).to_be_visible()
    page.locator("#waterfall button.toggle").first.click()
    expect(page.locator("#waterfall li[data-row]:visible")).to_have_count(1)
    assert browser_page.wrong == []


def test_an_empty_store_says_why_and_what_helps(chromium: Browser, tmp_path: Path) -> None:
    helps = {
        "/traces": "evalspan.init()",
        "/sessions": "evalspan.context",
        "/scores": "evalspan score",
        "/drift?wait=1": "evalspan score",
        "/review?wait=1": "evalspan export failures",
        "/annotate": "evalspan annotate",
        "/datasets": "evalspan dataset push",
        "/experiments": "evalspan experiment run",
        "/status": "evalspan status",
    }
    with serving(tmp_path / "empty") as collector:
        for path, command in helps.items():
            answer = collector.request("GET", path)
            assert answer.status == 200, path
            assert command in html.unescape(answer.body.decode()), path
        page = chromium.new_page()
        page.goto(f"http://{collector.address}/")
        expect(page.locator(".empty")).to_contain_text("nothing has arrived yet")
        page.close()
