"""A real service with two weeks of traffic in its store, and Debian's chromium in front of it; one of each a session."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ..collector.serving import JSON, Collector
from .seed import Shop

CHROMIUM = "/usr/bin/chromium"
HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def rows(collector: Collector, table: str, found: list[dict[str, Any]]) -> None:
    """Writes through the service's own route."""
    lines = "\n".join(json.dumps(row, default=str) for row in found)
    answer = collector.post(
        lines.encode(),
        "application/x-ndjson",
        f"/api/v1/rows/{table}",
        Authorization=f"Bearer {collector.owner['token']}",
    )
    assert answer.status < 300, answer.body


def document(collector: Collector, path: str) -> dict[str, Any]:
    """A page's `.json` twin."""
    answer = collector.request("GET", path)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


@pytest.fixture(scope="session")
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[Collector]:
    """The service over the shop's two weeks, with everything inserted."""
    place = tmp_path_factory.mktemp("browser") / "store"
    collector = Collector(place, "--sql-port", "0", settings='[dashboard]\nsince = "14d"\n[sampling]\nrate = 1.0\n')
    try:
        for body in shop.requests():
            assert collector.post(body).status == 200
        rows(collector, "evaluations", shop.evaluations())
        rows(collector, "examples", shop.examples())
        runs, results = shop.experiments()
        rows(collector, "experiments", runs)
        rows(collector, "experiment_results", results)
        rules, alerts = shop.alerts()
        rows(collector, "alert_rules", rules)
        rows(collector, "alerts", alerts)
        arrived(collector, "/traces.json", 50)
        yield collector
    finally:
        collector.kill()


def arrived(collector: Collector, path: str, least: int, seconds: float = 30) -> list[dict[str, Any]]:
    """Waits until the list of traces holds `least` rows."""
    deadline = time.monotonic() + seconds
    while True:
        found: list[dict[str, Any]] = document(collector, path)["data"]["traces"]
        if len(found) >= least:
            return found
        assert time.monotonic() < deadline, f"{len(found)} traces instead of {least}"
        time.sleep(0.2)


# One a module, not a session: while it runs, its thread has an event loop, and no other test could start one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), "chromium is missing: run `make browser`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """A page whose console errors and failed requests are kept."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.wrong: list[str] = []
        # A drift report is seconds of work: on a busy machine the page takes its time.
        page.set_default_navigation_timeout(90_000)
        page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on(
            "response",
            lambda answer: self.wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
        )
        page.on("request", lambda asked: self._stays(asked.url))

    def _stays(self, url: str) -> None:
        if not url.startswith((self.base, "data:")):
            self.wrong.append(f"remote load: {url}")

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        self.page.wait_for_load_state("load")
        return self.page


@pytest.fixture
def browser_page(chromium: Browser, served: Collector) -> Iterator[Watched]:
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    yield Watched(context.new_page(), f"http://{served.address}")
    context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source, installed from the registry on the first run."""
    if not AXE.exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=True, timeout=120)
    return AXE.read_text()


__all__ = ["JSON", "Watched", "arrived", "document", "rows"]
