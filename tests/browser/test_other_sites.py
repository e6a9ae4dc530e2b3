"""A page of another site, in a real browser, tries every route of an open service on this machine: nothing answers it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Response

from evalspan.dashboard import routes as dashboard_routes

from ..collector.serving import Collector, serving
from ..collector.traffic import request_of

pytestmark = pytest.mark.browser

OPEN = ("/healthz", "/readyz")
OTHERS = (
    "/metrics",
    "/v1/traces",
    "/v1/logs",
    "/v1/metrics",
    "/api/v1/rows/evaluations",
    "/api/v1/erase",
    "/api/v1/replay",
)
SQL = ("/ping", "/replicas_status", "/?query=SELECT+count()+FROM+spans", "/?query=SELECT+sleep(1)")
TRIES = """
async ({addresses, patience}) => {
  const read = [];
  const settle = (promise) => Promise.race([promise, new Promise((done) => setTimeout(done, patience))]).catch(() => 0);
  for (const address of addresses) {
    for (const init of [{}, {mode: 'no-cors'}, {credentials: 'include'}, {method: 'POST', mode: 'no-cors', body: 'query=SELECT+1'},
                        {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}}, {method: 'DELETE'}]) {
      await settle(fetch(address, init).then(async (answer) => {
        const text = await answer.text();
        if (text) read.push(`${address} ${JSON.stringify(init)}: ${text.slice(0, 80)}`);
      }));
    }
    for (const [tag, name] of [['img', 'src'], ['script', 'src'], ['iframe', 'src'], ['link', 'href'], ['video', 'src'], ['object', 'data']]) {
      const element = document.createElement(tag);
      if (tag === 'link') element.rel = 'stylesheet';
      const over = new Promise((done) => { element.onload = () => done(1); element.onerror = () => done(0); });
      element[name] = address;
      document.body.append(element);
      if (await settle(over) === 1 && !['iframe', 'object'].includes(tag)) read.push(`${address} as ${tag}`);
      element.remove();
    }
    navigator.sendBeacon(address, new Blob(['x'], {type: 'text/plain'}));
    const events = new EventSource(address);
    events.onmessage = (message) => read.push(`${address} as events: ${message.data}`);
    await settle(new Promise((done) => { events.onerror = done; }));
    events.close();
  }
  return read;
}
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title><body>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def another_site() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Without keys: open to the programs of this machine."""
    path: Path = tmp_path_factory.mktemp("open") / "store"
    with serving(path, "--sql-port", "0") as running:
        assert running.post(request_of(3).SerializeToString()).status == 200
        yield running


def paths() -> list[str]:
    """One address for each route of the dashboard, taken from its own tables, with something put into its variables."""
    found = {route.path for module in dashboard_routes.PAGES for route in module.routes}
    filled = {re.sub(r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", "abc", path) for path in found}
    return sorted({*filled, "/", "/login", "/logout", "/static/app.js", "/favicon.ico", *OTHERS})


# Another host is another site; another port of the same host is another origin of the same site.
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_route_at_either_port_answers_a_page_of_another_site(
    host: str, chromium: Browser, service: Collector, another_site: int, request: pytest.FixtureRequest
) -> None:
    soak = request.config.getoption("--soak")
    every = paths()
    assert len(every) > 50
    chosen = every if soak else [*every[:: max(1, len(every) // 8)], "/sql.json", *OTHERS[:2]]
    addresses = [f"{service.owner['http']}{path}" for path in chosen]
    addresses += [f"{service.owner['sql']}{path}" for path in SQL]
    ports = {urlsplit(address).port for address in (service.owner["http"], service.owner["sql"])}
    answers: list[tuple[int, str, str]] = []

    def note(response: Response) -> None:
        where = urlsplit(response.url)
        if where.port in ports and where.path not in OPEN:
            answers.append((response.status, response.request.method, response.url))

    context = chromium.new_context()
    try:
        page = context.new_page()
        page.on("response", note)
        page.goto(f"http://{host}:{another_site}/")
        read = page.evaluate(TRIES, {"addresses": addresses, "patience": 3000})
    finally:
        context.close()
    assert read == []
    let_in = [one for one in answers if one[0] not in (403, 405)]
    assert not let_in, let_in[:5]
    assert len(answers) >= 5 * len(addresses), "the page hardly tried"
    print(json.dumps({"host": host, "addresses": len(addresses), "answers": len(answers)}))
    stored = service.request("GET", "/sql.json?query=SELECT+count()+FROM+evaluations")
    assert stored.status == 200


def test_a_link_from_another_site_asks_first_and_shows_nothing(
    chromium: Browser, service: Collector, another_site: int
) -> None:
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(f"http://localhost:{another_site}/")
        page.evaluate("(address) => { location.href = address }", f"{service.owner['http']}/traces")
        page.wait_for_url("**/traces")
        assert "You come from another site" in page.inner_text("body")
        page.click("a")
        page.wait_for_selector("nav")
    finally:
        context.close()
