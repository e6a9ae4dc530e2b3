"""Everything from spans is untrusted, and pages behind keys stay behind them: an XSS corpus and forged requests, for real."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status
from playwright.sync_api import Browser, expect

from evalspan.dashboard.routes import PAGES

from ..collector.serving import Collector, serving
from .conftest import Watched, rows
from .seed import attributes

pytestmark = pytest.mark.browser

KEY, OTHER_KEY = "hostile-project-key-0001", "another-project-key-0002"
PROJECT = "<script>pwned()</script>"
CORPUS = [
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '"><svg onload=window.pwned=1>',
    "' autofocus onfocus=window.pwned=1 x='",
    "javascript:window.pwned=1",
    "</textarea></title></script><script>window.pwned=1</script>",
    "{{ 7*7 }}${7*7}<%= 7*7 %>",
    "</script><!--<script>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    '<a href="javascript:window.pwned=1" hx-get="/login" hx-trigger="load">x</a>',
    "\u2028\u2029\u202e<b onmouseover=window.pwned=1>",
    '<hx-partial hx-target="body"><h1>owned</h1></hx-partial>',
]  # fmt: skip
TRACES = [bytes([number + 1]) * 16 for number in range(len(CORPUS))]


def hostile_request() -> bytes:
    found = []
    for trace, text in zip(TRACES, CORPUS, strict=True):
        message = [
            {
                "role": text,
                "parts": [
                    {"type": "text", "content": text},
                    {"type": "tool_call", "name": text, "id": text, "arguments": text},
                ],
            }
        ]
        image = {"type": "blob", "mime_type": "image/svg+xml", "content": text}
        remote = {"type": "uri", "uri": "https://attacker.example/pixel.png"}
        values: dict[str, Any] = {
            "gen_ai.operation.name": "chat", "gen_ai.request.model": text, "gen_ai.prompt.name": text, "gen_ai.prompt.version": text,
            "gen_ai.conversation.id": text, "user.id": text, "error.type": text, "gen_ai.tool.name": text, text: text,
            "gen_ai.input.messages": json.dumps([*message, {"role": "user", "parts": [image, remote]}]),
            "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": text}]),
        }  # fmt: skip
        now = int((time.time() - 60) * 1e9)
        span = Span(
            trace_id=trace, span_id=trace[:8], name=text, start_time_unix_nano=now, end_time_unix_nano=now + 10**9,
            attributes=attributes(values), status=Status(code=Status.STATUS_CODE_ERROR, message=text),
            events=[Span.Event(name=text, time_unix_nano=now, attributes=attributes({text: text}))],
        )  # fmt: skip
        resource = Resource(attributes=attributes({"service.name": text, "deployment.environment.name": text}))
        found.append(ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=[span])]))
    return ExportTraceServiceRequest(resource_spans=found).SerializeToString()


def hostile_rows(collector: Collector) -> None:
    now = datetime.now(UTC)
    judged = [
        {
            "project": PROJECT, "evaluation_id": f"00000000-0000-0000-0000-{number:012d}", "name": text, "evaluator_version": text, "source": "human", "author": text,
            "trace_id": trace.hex(), "span_id": trace[:8].hex(), "label": text, "passed": "fail", "explanation": text, "score": 0.1,
            "judge_model": text, "span_time": now - timedelta(minutes=1), "segment": text, "prompt_version": text,
        }
        for number, (trace, text) in enumerate(zip(TRACES, CORPUS, strict=True))
    ]  # fmt: skip
    rows(collector, "evaluations", judged)
    for row in judged:
        row |= {"source": "llm_judge", "evaluation_id": str(row["evaluation_id"]).replace("0000-0", "0001-0", 1)}
    rows(collector, "evaluations", judged)
    kept = [
        {"project": PROJECT, "dataset": "hostile", "example_id": text, "partition": "golden", "input": json.dumps({"question": text}),
         "expected_output": text, "tags": [text], "root_cause": text, "reviewers": [text], "reason": text}
        for text in CORPUS
    ]  # fmt: skip
    kept += [{**row, "dataset": row["example_id"]} for row in kept]
    rows(collector, "examples", kept)
    rules = [
        {"project": PROJECT, "rule_id": text, "name": text, "query": text, "condition": text, "severity": text}
        for text in CORPUS
    ]
    rows(collector, "alert_rules", rules)
    fired = [
        {"project": PROJECT, "alert_id": str(number), "rule_id": text, "name": text, "severity": text, "state": "firing", "message": text,
         "labels": {text: text}, "window_from": now, "window_to": now}
        for number, text in enumerate(CORPUS)
    ]  # fmt: skip
    rows(collector, "alerts", fired)
    runs = [
        {"project": PROJECT, "experiment_id": f"r{number}", "name": text, "dataset": text, "model": text}
        for number, text in enumerate(CORPUS[:2])
    ]
    rows(collector, "experiments", runs)
    results = [
        {"project": PROJECT, "experiment_id": f"r{run}", "example_id": text, "output": text + str(run), "passed": ("pass", "fail")[run], "failure_reason": text, "scores": {text: run}}
        for text in CORPUS for run in (0, 1)
    ]  # fmt: skip
    rows(collector, "experiment_results", results)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    keys = f'[auth.keys]\n{KEY} = "{PROJECT}"\n{OTHER_KEY} = "quiet"\n'
    with serving(tmp_path_factory.mktemp("hostile") / "store", settings=keys) as collector:
        assert collector.post(hostile_request(), Authorization=f"Bearer {KEY}").status == 200
        hostile_rows(collector)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = collector.request("GET", "/traces.json", headers={"Authorization": f"Bearer {KEY}"})
            if len(json.loads(found.body)["data"]["traces"]) == len(CORPUS):
                break
            time.sleep(0.2)
        yield collector


def signed_in(chromium: Browser, collector: Collector, key: str) -> Watched:
    page = Watched(chromium.new_context().new_page(), f"http://{collector.address}")
    page.open("/scores")
    page.page.locator("input[name=key]").fill(key)
    page.page.get_by_role("button", name="Sign in").click()
    expect(page.page.locator("h1")).to_have_text("Scores")
    return page


def test_nothing_of_a_span_a_label_or_a_case_runs_or_loads_on_any_page(chromium: Browser, hostile: Collector) -> None:
    watched = signed_in(chromium, hostile, KEY)
    page = watched.page
    paths = [
        "/traces",
        "/sessions",
        "/drift",
        "/alerts",
        "/review",
        "/annotate",
        "/annotate?queue=picked",
        "/datasets",
        "/datasets/hostile",
        "/experiments?compare=r0,r1",
        "/status",
        "/sql?query=SELECT+*+FROM+evaluations",
    ]
    paths += [f"/traces/{trace.hex()}" for trace in TRACES]
    paths += [f"/traces/{old.hex()}/against/{new.hex()}" for old, new in pairwise(TRACES)]
    paths += [f"/sessions/{quote(text, safe='')}" for text in CORPUS]
    for text in CORPUS:
        asked = urlencode(
            {"name": text, "q": text, "service": text, "query": text, "rule": text, "kind": text, "since": "1h"}
        )
        paths += [f"/scores?{asked}", f"/traces?{asked}"] if text in CORPUS[:3] else [f"/sql?{asked}"]
    for path in paths:
        page.goto(watched.base + path)
        if path == "/traces":
            expect(page.locator("#rows tr")).to_have_count(len(CORPUS))
            expect(page.locator(".facets")).to_contain_text("onerror")
        assert page.evaluate("window.pwned") is None, path
        assert not page.locator(
            "main img[src=x], main iframe, main svg[onload], main script:not(#words, [src^='/static/'])"
        ).count(), path
    page.goto(f"{watched.base}/traces/{TRACES[0].hex()}")
    expect(page.locator(".message").first).to_contain_text(CORPUS[0])
    assert not [wrong for wrong in watched.wrong if "remote load" in wrong or "Content Security" in wrong], (
        watched.wrong
    )
    assert not [wrong for wrong in watched.wrong if wrong.startswith("500")]
    page.context.close()


def test_without_a_key_nothing_is_shown_and_the_key_stays_out_of_urls_and_cookies(
    chromium: Browser, hostile: Collector
) -> None:
    for path in ("/traces.json", "/sql.csv?query=SELECT+1", "/metrics"):
        assert hostile.request("GET", path).status == 401, path
    for path in ("/", "/traces?q=x", "/sql", "/status"):
        refused = hostile.request("GET", path)
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        assert f'name="next" value="{path}"' in refused.body.decode()
    assert hostile.request("GET", f"/traces.json?key={KEY}").status == 401
    watched = signed_in(chromium, hostile, KEY)
    assert KEY not in watched.page.url
    (session,) = [cookie for cookie in watched.page.context.cookies() if cookie["name"] == "evalspan_session"]
    assert KEY not in session["value"]
    assert session["httpOnly"]
    assert session["sameSite"] == "Strict"
    watched.page.get_by_role("button", name="Sign out").click()
    watched.page.goto(f"{watched.base}/traces")
    expect(watched.page.locator("h1")).to_contain_text("Sign in")
    watched.page.context.close()


def test_a_wrong_key_opens_nothing_and_the_sign_in_leads_nowhere_else(hostile: Collector) -> None:
    login = hostile.request("GET", "/login?next=//attacker.example").body.decode()
    token = login.split('name="csrf" value="')[1].split('"')[0]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    wrong = hostile.request("POST", "/login", urlencode({"csrf": token, "key": "x" * 20}), form)
    assert wrong.status == 401
    right = hostile.request(
        "POST", "/login", urlencode({"csrf": token, "key": KEY, "next": "//attacker.example"}), form
    )
    assert (right.status, right.headers["Location"]) == (303, "/")


def test_a_project_sees_its_own_rows_only_also_by_sql_and_by_address(hostile: Collector) -> None:
    key = {"Authorization": f"Bearer {OTHER_KEY}"}
    trace = TRACES[0].hex()
    asked = f"/traces.json?project={urlencode({'p': PROJECT})[2:]}"
    assert json.loads(hostile.request("GET", asked, headers=key).body)["data"]["traces"] == []
    assert hostile.request("GET", f"/traces/{trace}.json", headers=key).status == 404
    answer = hostile.request("GET", "/sql.json?query=SELECT+count()+FROM+evaluations", headers=key)
    assert json.loads(answer.body)["data"]["answer"]["rows"] == [[0]]


PLACES = {
    "trace": TRACES[0].hex(), "other": TRACES[1].hex(), "span": TRACES[0][:8].hex(), "session": "%7B%7B", "dataset": "hostile",
    "rule": "x", "name": "app.js", "prompt": "%7B%7B", "alert": "0", "view": "x",
}  # fmt: skip


def routes(method: str) -> list[str]:
    """The address of every route of the dashboard, with ids of the hostile project in it: no new one can be forgotten."""
    listed = [route for module in PAGES for route in module.routes if route.method == method]
    return sorted(
        {re.sub(r"\{(\w+)(?::(?:[^{}]|\{[^{}]*\})*)?\}", lambda part: PLACES[part[1]], route.path) for route in listed}
    )


def test_every_route_also_twins_and_the_stream_asks_for_a_key(hostile: Collector) -> None:
    found = routes("GET")
    assert {"/traces/live", "/traces.json", "/sql.csv", "/datasets/hostile.json"} <= set(found)
    for path in found:
        answer = hostile.request("GET", path)
        assert answer.status == 401, path
        assert b"pwned" not in answer.body, path
    for path in routes("POST"):
        assert (
            hostile.request("POST", path, "x=1", {"Content-Type": "application/x-www-form-urlencoded"}).status == 401
        ), path


def test_a_key_of_another_project_reads_nothing_on_any_page_or_twin_not_even_by_id(hostile: Collector) -> None:
    ours, theirs = ({"Authorization": f"Bearer {key}"} for key in (KEY, OTHER_KEY))
    more = ["/experiments.json?compare=r0,r1", "/annotate.json?queue=picked", "/alerts.json?rule=x&test=1", "/why.json?metric=polite", "/sql.json?query=SELECT+*+FROM+spans", "/sql.json?query=SELECT+*+FROM+examples", "/sql.csv?query=SELECT+*+FROM+evaluations", "/sql.json?explain=1&query=SELECT+*+FROM+spans"]  # fmt: skip
    seen = 0
    for path in [*(path for path in routes("GET") if path != "/traces/live"), *more]:
        if path == "/sql.csv":
            continue
        answer = hostile.request("GET", path, headers=theirs)
        assert b"pwned" not in answer.body, path
        # A change cannot be explained without a metric that the project has.
        assert answer.status in ({400} if path in ("/why", "/why.json") else {200, 404}), (path, answer.status)
        seen += b"pwned" in hostile.request("GET", path, headers=ours).body
    assert seen > 20, "nothing was there to be kept from them"


@pytest.fixture
def stranger() -> Iterator[Callable[[str], int]]:
    """Serves one page from another site; returns its port."""
    pages: list[bytes] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(pages[-1])

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def shows(page: str) -> int:
        pages.append(page.encode())
        return server.server_port

    yield shows
    server.shutdown()
    server.server_close()


def test_a_stranger_s_page_cannot_write_by_form_or_fetch_and_a_rebound_name_reads_nothing(
    chromium: Browser, tmp_path: Path, stranger: Callable[[str], int]
) -> None:
    with serving(tmp_path / "open") as collector:
        assert collector.post(hostile_request()).status == 200
        base = f"http://{collector.address}"
        targets = [path for path in routes("POST") if path != "/logout"]
        forms = "".join(f'<form id="f{at}" method="post" action="{base}{path}" target="frame{at}"><input name="csrf"><input name="author" value="eve"></form><iframe name="frame{at}"></iframe>' for at, path in enumerate(targets))  # fmt: skip
        page = chromium.new_context().new_page()
        page.goto(f"http://localhost:{stranger(forms)}/")  # another site than 127.0.0.1
        answered: list[tuple[str, int]] = []
        page.on("response", lambda answer: answered.append((answer.request.method, answer.status)))
        for at, path in enumerate(targets):
            page.evaluate(f"document.getElementById('f{at}').submit()")
            page.evaluate(
                "url => fetch(url, {method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body: 'csrf=&author=eve'}).catch(() => 0)",
                base + path,
            )
        page.wait_for_timeout(1500)
        page.context.close()
        assert [one for one in answered if one[0] == "POST" and one[1] < 400] == []
        assert sum(method == "POST" for method, _ in answered) >= len(targets), "the browser sent nothing"
        for path in ("/", "/traces.json", "/traces/live", "/sql.json?query=SELECT+1", "/login"):
            answer = collector.request("GET", path, headers={"Host": "rebound.example"})
            assert answer.status == 403, path
            assert b"pwned" not in answer.body
        counted = collector.request("GET", "/sql.json?query=SELECT+count()+FROM+evaluations").body
        assert json.loads(counted)["data"]["answer"]["rows"] == [[0]]


@pytest.mark.parametrize(
    "path",
    [
        "/review",
        "/annotate",
        "/annotate/queue",
        "/traces/compare",
        "/traces/evaluate",
        "/datasets/from-traces",
        "/datasets/hostile/approve",
        "/alerts/x/silence",
        "/logout",
    ],
)
def test_a_write_without_this_session_s_token_is_refused(hostile: Collector, path: str) -> None:
    login = hostile.request("GET", "/login").body.decode()
    token = login.split('name="csrf" value="')[1].split('"')[0]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    opened = hostile.request("POST", "/login", urlencode({"csrf": token, "key": KEY}), form)
    cookie = opened.headers["Set-Cookie"].split(";")[0]
    forged = hostile.request("POST", path, urlencode({"csrf": token}), {**form, "Cookie": cookie})
    assert forged.status == 403, "the token of another session was taken"


def test_pages_carry_a_policy_that_allows_no_inline_script_or_style(hostile: Collector) -> None:
    headers = hostile.request("GET", "/login").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
