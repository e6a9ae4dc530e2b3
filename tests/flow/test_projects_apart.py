"""A running service with keys of two projects: sessions, live lists, forms, numbers and pages of other sites."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from evalspan.__main__ import cli
from evalspan.errors import UsageError

from ..collector.serving import JSON, Collector, serving

ALPHA, BETA, OPERATOR = "a" * 24, "b" * 24, "o" * 24
MARK = "beta-secret"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    settings = f"""
[auth]
operator_keys = ["{OPERATOR}"]
[auth.keys]
{ALPHA} = "alpha"
{BETA} = "beta"
[dashboard]
trusted_proxies = ["127.0.0.1"]
[limits]
live_listeners_per_project = 1
sql_sessions_per_project = 3
"""
    with serving(tmp_path_factory.mktemp("apart") / "store", "--sql-port", "0", settings=settings) as running:
        yield running


def send(service: Collector, key: str, text: str) -> tuple[str, str]:
    trace, span = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    now = time.time_ns()
    attributes = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
        {"key": "gen_ai.input.messages", "value": {"stringValue": json.dumps([{"role": "user", "content": text}])}},
    ]
    sent = {
        "traceId": trace, "spanId": span, "name": text, "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**6),
        "attributes": attributes,
    }  # fmt: skip
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [sent]}]}]}).encode()
    assert service.post(body, JSON, Authorization=f"Bearer {key}").status == 200
    return trace, span


def signed_in(service: Collector, key: str, **headers: str) -> tuple[str, dict[str, str]]:
    """The cookie of a new session, and the answer's headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    page = service.request("GET", "/login", headers=named)
    token = re.search(rb'name="csrf" value="([0-9a-f]+)"', page.body)
    assert token is not None
    form = urlencode({"key": key, "csrf": token[1].decode(), "next": "/"})
    answer = service.request(
        "POST", "/login", form.encode(), {"Content-Type": "application/x-www-form-urlencoded", **named}
    )
    return answer.headers.get("Set-Cookie", "").partition(";")[0], {"status": str(answer.status), **answer.headers}


def csrf(service: Collector, cookie: str) -> str:
    found = re.search(rb'name="csrf" value="([0-9a-f]+)"', service.request("GET", "/", headers={"Cookie": cookie}).body)
    assert found is not None
    return found[1].decode()


def sign_out(service: Collector, cookie: str, token: str) -> None:
    form = urlencode({"csrf": token}).encode()
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    assert service.request("POST", "/logout", form, headers).status == 303


def test_a_live_list_ends_with_its_session_and_never_widens(service: Collector) -> None:
    cookie, _ = signed_in(service, ALPHA)
    token = csrf(service, cookie)
    connection = http.client.HTTPConnection(service.address, timeout=10)
    connection.request("GET", "/traces/live", headers={"Cookie": cookie})
    stream = connection.getresponse()
    assert stream.status == 200
    assert service.request("GET", "/traces/live", headers={"Cookie": cookie}).status == 503  # one list for one project
    send(service, ALPHA, "alpha-shown")
    seen = b""
    until = time.monotonic() + 8
    while b"alpha-shown" not in seen and time.monotonic() < until:
        seen += stream.read1(4096)
    assert b"alpha-shown" in seen
    sign_out(service, cookie, token)
    send(service, BETA, MARK)
    rest = stream.read()  # ends by itself
    assert MARK.encode() not in seen + rest
    connection.close()


def test_a_form_that_outlives_its_session_writes_where_it_was_allowed_to(service: Collector) -> None:
    trace, span = send(service, BETA, MARK)
    time.sleep(1.5)
    cookie, _ = signed_in(service, ALPHA)
    token = csrf(service, cookie)
    form = urlencode({"csrf": token, "label": "good", "name": "quality", "passed": "pass"}).encode()
    host, _, port = service.address.partition(":")
    with socket.create_connection((host, int(port)), 10) as slow:
        head = (
            f"POST /traces/{trace}/spans/{span}/annotate HTTP/1.1\r\nHost: {service.address}\r\nCookie: {cookie}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
        ).encode()
        slow.sendall(head + form[: len(form) // 2])
        time.sleep(0.3)
        sign_out(service, cookie, token)
        slow.sendall(form[len(form) // 2 :])
        answer = slow.recv(4096)
    assert not answer.startswith(b"HTTP/1.1 200")
    found = sql(service, OPERATOR, f"SELECT count() FROM evaluations WHERE trace_id = '{trace}'")
    assert found == "0\n"


def sql(service: Collector, key: str, statement: str, **query: str) -> str:
    address = service.owner["sql"].removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("POST", f"/?{urlencode(query)}", statement.encode(), {"X-ClickHouse-Key": key})
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_wrong_keys_are_slowed_and_the_cookie_is_secure_behind_a_tls_proxy(service: Collector) -> None:
    _, plain = signed_in(service, ALPHA)
    _, proxied = signed_in(service, ALPHA, X_Forwarded_Proto="https", X_Forwarded_For="198.51.100.7")
    assert "Secure" not in plain["Set-Cookie"]
    assert "Secure" in proxied["Set-Cookie"]
    answers = [signed_in(service, "x" * 24, X_Forwarded_For="198.51.100.9")[1] for _ in range(11)]
    assert [answer["status"] for answer in answers] == ["401"] * 10 + ["429"]
    assert int(answers[-1]["Retry-After"]) > 0
    assert signed_in(service, ALPHA, X_Forwarded_For="198.51.100.8")[1]["status"] == "303"  # others are not held up


def test_numbers_of_a_key_are_its_projects_and_an_operator_sees_all(service: Collector) -> None:
    for key in (ALPHA, BETA, BETA):
        send(service, key, "counted")
    texts = {
        key: service.request("GET", "/metrics", headers={"Authorization": f"Bearer {key}"}).body.decode()
        for key in (ALPHA, BETA, OPERATOR)
    }
    assert 'project="beta"' not in texts[ALPHA]
    assert 'project="alpha"' in texts[ALPHA]
    assert "log_backlog_bytes" not in texts[ALPHA]  # what all have together is nobody's
    assert 'project="alpha"' in texts[OPERATOR]
    assert 'project="beta"' in texts[OPERATOR]
    status = {
        key: json.loads(service.request("GET", "/status.json", headers={"Authorization": f"Bearer {key}"}).body)["data"]
        for key in (ALPHA, OPERATOR)
    }
    accepted = {key: page["counters"]["accepted"] for key, page in status.items()}
    assert 0 < accepted[ALPHA] < accepted[OPERATOR]
    until = time.monotonic() + 15
    counted = "SELECT uniq(project) FROM spans WHERE name = 'counted'"
    while sql(service, OPERATOR, counted) != "2\n":
        assert time.monotonic() < until
        time.sleep(0.2)
    assert sql(service, ALPHA, counted) == "1\n"


def test_sessions_of_one_project_leave_places_for_others_and_say_which_setting_binds(service: Collector) -> None:
    answers = [sql(service, ALPHA, "SELECT 1", session_id=f"s{n}", session_timeout="3600") for n in range(5)]
    assert answers[:3] == ["1\n"] * 3
    assert all("[limits] sql_sessions_per_project" in answer for answer in answers[3:])
    assert sql(service, BETA, "SELECT 1", session_id="s", session_timeout="10") == "1\n"
    huge = sql(service, ALPHA, f"SET input_format_zz1 = '{'x' * 5000}'", session_id="s0")
    assert "longer than 1000 characters" in huge


@pytest.mark.parametrize("port", ["http", "sql"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_no_route_answers_a_page_of_another_site(service: Collector, port: str, headers: dict[str, str]) -> None:
    address = service.owner[port].removeprefix("http://")
    paths = (
        ["/", "/?query=SELECT+1"] if port == "sql" else ["/", "/sql.json?query=SELECT+1", "/metrics", "/static/x.js"]
    )
    for path in paths:
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", path, headers={**headers, "Authorization": f"Bearer {ALPHA}"})
        answer = connection.getresponse()
        assert answer.status == 403, path
        assert b"SELECT" not in answer.read()
        connection.close()
    assert service.request("GET", "/healthz", headers=headers).status == 200


def test_a_link_on_another_site_leads_to_a_page_that_asks_nothing(service: Collector) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = service.request("GET", "/traces?q=%22%3E%3Cscript%3E", headers=followed)
    assert answer.status == 403
    assert b'href="/traces?q=' in answer.body
    assert b"<script>" not in answer.body
    outside = service.request("GET", "//evil.example/", headers=followed)
    assert b'href="/"' in outside.body or outside.status in (400, 404)


# What an assistant or a colleague runs elsewhere: the store is this service's SQL port, the key the password.
READING = [
    ["traces", "list"], ["sql", "SELECT name FROM spans"], ["status"], ["drift"], ["queries", "run", "latest_traces"],
    ["experiment", "list"], ["export", "spans", "--to", "spans"], ["alert", "list"], ["why", "latency"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: " ".join(arguments[:2]))
def test_commands_read_a_service_elsewhere_with_its_key_and_see_its_project_alone(
    service: Collector, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    send(service, ALPHA, "alpha-question")
    send(service, BETA, MARK)
    address = service.owner["sql"].replace("http://", f"http://any:{ALPHA}@")
    done = CliRunner().invoke(cli, [*arguments, "--store", address])
    said = done.output + str(done.exception)
    assert done.exit_code in (0, 4) or isinstance(done.exception, UsageError), said
    assert "READONLY" not in said
    assert MARK not in said
