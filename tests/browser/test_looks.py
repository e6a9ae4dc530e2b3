"""How every page and state looks and reads: no serious violation of axe-core, nothing that jumps, fit for a phone; and its picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from ..collector.serving import Collector
from .conftest import Watched
from .seed import Shop

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent
# Set to docs/screenshots to renew the pictures that the documentation shows; without it they are made and looked at only.
PICTURES = os.environ.get("EVALSPAN_SCREENSHOTS", "")
PAGES = {
    "overview": "/?since=14d",
    "explore": "/explore?since=14d&measure=score.faithfulness&by=version",
    "cost": "/cost?since=14d&by=model",
    "prompts": "/prompts?since=14d",
    "why": "/why?metric=faithfulness&since=14d",
    "traces": "/traces?since=14d",
    "sessions": "/sessions?since=14d",
    "session": "/sessions/session-3",
    "scores": "/scores?since=14d&name=faithfulness&source=llm_judge",
    "drift": "/drift?since=7d",
    "alerts": "/alerts",
    "review": "/review?since=14d",
    "annotate": "/annotate?since=14d&name=faithfulness",
    "datasets": "/datasets",
    "dataset": "/datasets/support",
    "experiments": "/experiments?compare=exp-v7,exp-v8",
    "sql": "/sql?query=SELECT+toStartOfDay(start_time)+AS+day,+count()+AS+spans,+round(sum(cost_usd),+3)+AS+dollars%0AFROM+spans%0AGROUP+BY+day%0AORDER+BY+day",
    "status": "/status?since=14d",
    "plan": "/sql?explain=1&query=SELECT+count()+FROM+spans+WHERE+start_time+%3E+now()",
    "named": "/sql?named=score_trend",
    "picked": "/annotate?queue=picked",
    "login": "/login",
    "added": "/datasets/support?add=1",
    "filtered": "/sessions?since=14d&where=service%3Dsupport",
}  # fmt: skip
NOBODY = "service=nobody-sends-as-this&since=1h"
STATES = {
    "chips": "/traces?since=7d&where=region!%3Deu&columns=duration,cost,model,region&rows=compact&tz=Asia/Tokyo",
    "explored": "/explore?since=7d&measure=errors&by=model",
    "different": "/difference?since=14d&status=ERROR",
    "badly": "/sessions?since=14d&show=bad&sort=score",
    "tenants": "/cost?since=14d&by=tenant.id",
    "views": "/views",
    "prompt": "/prompts/answer?since=14d",
    "alert": "/alerts/a1",
    **{f"empty {path}": f"{path}{'&' if '?' in path else '?'}{NOBODY}" for path in (
        "/", "/traces", "/sessions", "/explore", "/cost", "/prompts", "/scores", "/drift?wait=1", "/review?wait=1", "/annotate", "/difference",
        "/why?metric=none", "/status", "/traces?q=nothing-like-this",
    )},
    "failed sort": "/traces?sort=sideways",
    "failed range": "/scores?from=2026-02-02&to=2026-01-01",
    "failed zone": "/cost?tz=Mars/Base",
    "failed sql": "/sql?query=SELECT+FROM+nothing",
    "no trace": "/traces/ffffffffffffffffffffffffffffffff",
    "no conversation": "/sessions/there-is-none",
    "no dataset": "/datasets/there-is-none",
    "no alert": "/alerts/there-is-none",
    "no page": "/nothing-here",
}  # fmt: skip
"""What else a page may show: filtered, empty, failed. Looked at without a picture."""
UNSEEN = {"plan", "named", "picked", "login", "added", "filtered"}
"""Looked at, but no picture of the documentation."""
MOVES = 0.05
"""The most that a layout may shift: half of what is called good."""
WATCHES = (
    "window.moved = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) if (!e.hadRecentInput) window.moved += e.value; })"
    ".observe({ type: 'layout-shift', buffered: true })"
)
SERIOUS = {"serious", "critical"}
RUN = "(rules) => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Between the two schemes only colours differ.
RULES = {"light": {"type": "tag", "values": TAGS}, "phone": {"type": "tag", "values": TAGS}, "dark": {"type": "rule", "values": ["color-contrast"]}}  # fmt: skip


@pytest.fixture(scope="module")
def looking(chromium: Browser, served: Collector) -> Iterator[Watched]:
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, base_url=f"http://{served.address}")
    context.add_init_script(WATCHES)
    yield Watched(context.new_page(), f"http://{served.address}")
    context.close()


EVERY = [*PAGES, "trace", "diff", *STATES]


@pytest.mark.parametrize("name", EVERY)
def test_a_page_is_silent_accessible_and_still_on_each_screen_in_each_scheme_and_on_paper(
    looking: Watched, axe: str, shop: Shop, name: str, tmp_path: Path
) -> None:
    page, wrong = looking.page, dict[str, Any]()
    looking.wrong.clear()
    pictured = name not in UNSEEN and name not in STATES
    for scheme, width in (("light", 1280), ("dark", 1280 if PICTURES and pictured else 1440), ("phone", 390)):
        page.set_viewport_size({"width": width, "height": 844 if width == 390 else 860})
        page.emulate_media(color_scheme="light" if scheme == "light" else "dark", media="screen")
        show(looking, shop, name)
        if scheme != "phone":
            picture = (Path(PICTURES) if PICTURES and pictured else tmp_path) / f"{name.replace('/', '')}-{scheme}.png"
            page.screenshot(path=picture)
            assert picture.stat().st_size > 10_000, "an empty page"
        wrong |= violations(page, axe, scheme) | jumps(page, scheme)
    page.emulate_media(color_scheme="dark", media="print")
    wrong |= violations(page, axe, "dark")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (wrong, ground) == ({}, "rgb(255, 255, 255)")
    # An error is answered as one; nothing else may be.
    assert [said for said in looking.wrong if not (name.startswith(("failed ", "no ")) and " 40" in f" {said}")] == []


def jumps(page: Page, scheme: str) -> dict[str, float]:
    """How far the layout shifted while the page came, and what is wider than a phone, where that is too much."""
    moved, over = page.evaluate("[window.moved, document.documentElement.scrollWidth - innerWidth]")
    found = {f"{scheme} moved": moved} if moved > MOVES else {}
    return found | ({f"{scheme} wider than the screen": over} if over > 0 else {})


def show(looking: Watched, shop: Shop, name: str) -> None:
    """Opens a page of the table above, or a trace, or two, and waits until it stands."""
    trace = next(trace for trace in reversed(shop.traces) if trace["tool"] and not trace["failed"])
    other = next(trace for trace in shop.traces if trace["version"] == "v7" and not trace["failed"])
    single = f"/traces/{trace['id'].hex()}?span={trace['spans'][2].hex()}"
    pages = {**PAGES, **STATES, "trace": single, "diff": f"/traces/{other['id'].hex()}/against/{trace['id'].hex()}"}
    looking.open(pages[name])
    looking.page.wait_for_selector(
        {
            "traces": ".facets",
            "drift": "svg.twins",
            "review": ".case",
            "overview": "#needs > .needs, #needs > .good",
        }.get(name, "main"),
        state="attached",
    )
    looking.page.wait_for_load_state("networkidle")
    expect(looking.page.locator("h1")).not_to_be_empty()


def violations(page: Page, axe: str, scheme: str) -> dict[str, list[str]]:
    """What axe-core finds serious or worse, by rule."""
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate(RUN, RULES[scheme])
    return {
        f"{scheme} {violation['id']}": [node["html"][:160] for node in violation["nodes"][:4]]
        for violation in found["violations"]
        if violation["impact"] in SERIOUS
    }
