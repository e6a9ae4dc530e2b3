"""How pages look and read: axe-core finds no serious violation, light and dark; a picture of each for the documentation."""

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
UNSEEN = {"plan", "named", "picked", "login", "added", "filtered"}
"""Looked at, but no picture of the documentation."""
SERIOUS = {"serious", "critical"}
RUN = "(rules) => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Between the two schemes only colours differ.
RULES = {"light": {"type": "tag", "values": TAGS}, "dark": {"type": "rule", "values": ["color-contrast"]}}


@pytest.fixture(scope="module")
def looking(chromium: Browser, served: Collector) -> Iterator[Watched]:
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, base_url=f"http://{served.address}")
    yield Watched(context.new_page(), f"http://{served.address}")
    context.close()


@pytest.fixture(scope="module")
def on_phone(chromium: Browser, served: Collector) -> Iterator[Watched]:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, base_url=f"http://{served.address}")
    yield Watched(context.new_page(), f"http://{served.address}")
    context.close()


@pytest.mark.parametrize("name", [*PAGES, "trace", "diff"])
def test_a_page_draws_in_silence_is_accessible_in_light_and_dark_and_has_its_picture(
    looking: Watched, axe: str, shop: Shop, name: str, tmp_path: Path
) -> None:
    page, wrong = looking.page, dict[str, list[str]]()
    looking.wrong.clear()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        show(looking, shop, name)
        folder = Path(PICTURES) if PICTURES and name not in UNSEEN else tmp_path
        picture = folder / f"{name}-{scheme}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 10_000, "an empty page"
        wrong |= violations(page, axe, scheme)
    assert not wrong
    assert looking.wrong == []


@pytest.mark.parametrize("name", [*PAGES, "trace", "diff"])
def test_a_page_is_accessible_on_a_phone_and_legible_on_paper_whatever_the_scheme(
    on_phone: Watched, axe: str, shop: Shop, name: str
) -> None:
    page = on_phone.page
    page.emulate_media(color_scheme="dark", media="screen")
    show(on_phone, shop, name)
    wrong = violations(page, axe, "light")
    page.emulate_media(color_scheme="dark", media="print")
    wrong |= violations(page, axe, "dark")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (wrong, ground) == ({}, "rgb(255, 255, 255)")


def show(looking: Watched, shop: Shop, name: str) -> None:
    """Opens a page of the table above, or a trace, or two, and waits until it stands."""
    trace = next(trace for trace in reversed(shop.traces) if trace["tool"] and not trace["failed"])
    other = next(trace for trace in shop.traces if trace["version"] == "v7" and not trace["failed"])
    single = f"/traces/{trace['id'].hex()}?span={trace['spans'][2].hex()}"
    pages = {**PAGES, "trace": single, "diff": f"/traces/{other['id'].hex()}/against/{trace['id'].hex()}"}
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
