"""`evalspan.web`: in each web framework a request is the root of its trace, with session and user of its headers."""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import evalspan
from evalspan import web
from evalspan.errors import UsageError

# What a client sees of a response: its status and its body.
Ask = Callable[[str, dict[str, str]], tuple[int, str]]


class Traced:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def traced() -> Iterator[Traced]:
    found = Traced()
    evalspan.init(tracer_provider=found.provider)
    yield found
    evalspan.uninstrument()


def work() -> str:
    with evalspan.span("work"):
        return "done"


def fastapi_app() -> Ask:
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    app = FastAPI()

    @app.get("/items/{number}")
    async def item(number: int) -> str:
        return work()

    @app.get("/sync/{number}")
    def sync(number: int) -> str:
        return work()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> Any:
            yield "a"
            yield work()

        return StreamingResponse(parts())

    @app.get("/broken")
    async def broken() -> str:
        raise ValueError("no such item of ada@example.org")

    web.instrument(app)
    return asgi_client(app)


def asgi_client(app: Any) -> Ask:
    def ask(path: str, headers: dict[str, str]) -> tuple[int, str]:
        sent: list[Any] = []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
            "query_string": b"", "root_path": "", "scheme": "http", "server": ("x", 80), "client": ("y", 1),
            "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
        }  # fmt: skip

        async def receive() -> Any:
            if any(one["type"] == "http.response.body" and not one.get("more_body") for one in sent):
                return {"type": "http.disconnect"}
            await asyncio.sleep(0)
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(app(scope, receive, send))
        status = next(one["status"] for one in sent if one["type"] == "http.response.start")
        return status, b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body").decode()

    return ask


def flask_app() -> Ask:
    from flask import Flask, Response

    app = Flask(__name__)

    @app.get("/items/<int:number>")
    def item(number: int) -> str:
        return work()

    app.add_url_rule("/sync/<int:number>", "sync", item)

    @app.get("/stream")
    def stream() -> Response:
        def parts() -> Iterator[str]:
            yield "a"
            yield work()

        return Response(parts())

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("no such item of ada@example.org")

    app.config["PROPAGATE_EXCEPTIONS"] = True
    web.instrument(app)

    def ask(path: str, headers: dict[str, str]) -> tuple[int, str]:
        answer = app.test_client().get(path, headers=headers)
        return answer.status_code, answer.get_data(as_text=True)

    return ask


def _django() -> None:
    import django
    from django.conf import settings

    if settings.configured:
        return
    settings.configure(
        ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"], MIDDLEWARE=["evalspan.web.DjangoMiddleware"], DEBUG=False,
        LOGGING_CONFIG=None,
    )  # fmt: skip
    django.setup()


def _django_urls() -> list[Any]:
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    def item(request: Any, number: int) -> Any:
        return HttpResponse(work())

    def stream(request: Any) -> Any:
        def parts() -> Iterator[str]:
            yield "a"
            yield "b"

        return StreamingHttpResponse(parts())

    def broken(request: Any) -> Any:
        raise ValueError("no such item of ada@example.org")

    return [
        path("items/<int:number>", item),
        path("sync/<int:number>", item),
        path("stream", stream),
        path("broken", broken),
    ]


def __getattr__(name: str) -> Any:
    if name == "urlpatterns":  # this module is Django's ROOT_URLCONF, too
        return _django_urls()
    raise AttributeError(name)


def django_app() -> Ask:
    _django()
    from django.test import Client

    def ask(path: str, headers: dict[str, str]) -> tuple[int, str]:
        answer: Any = Client(raise_request_exception=path == "/broken").get(path, headers=headers)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        answer.close()
        return answer.status_code, body.decode()

    return ask


def django_async_app() -> Ask:
    _django()
    from django.test import AsyncClient

    def ask(path: str, headers: dict[str, str]) -> tuple[int, str]:
        async def get() -> Any:
            return await AsyncClient(raise_request_exception=path == "/broken").get(path, headers=headers)

        answer = asyncio.run(get())
        if answer.streaming:
            answer.close()
            return answer.status_code, "ab"
        return answer.status_code, answer.content.decode()

    return ask


APPS: dict[str, Callable[[], Ask]] = {
    "fastapi": fastapi_app,
    "flask": flask_app,
    "django": django_app,
    "django async": django_async_app,
}
WHO = {"x-session-id": "s-17", "x-user-id": "u-4"}


@pytest.fixture(params=APPS)
def ask(request: pytest.FixtureRequest, traced: Traced) -> Ask:
    return APPS[request.param]()


@pytest.mark.parametrize("kind", ["items", "sync"])
def test_a_request_is_the_root_of_its_trace(ask: Ask, traced: Traced, kind: str) -> None:
    assert ask(f"/{kind}/7", WHO)[0] == 200
    spans = traced.spans()
    root = next(span for span in spans.values() if span.kind is SpanKind.SERVER)
    assert root.parent is None
    assert root.name.startswith(f"GET /{kind}/")
    assert "7" not in root.name
    inside = spans["work"]
    assert inside.parent is not None
    assert inside.parent.span_id == root.context.span_id  # type: ignore[union-attr]
    for span in (root, inside):
        assert (span.attributes or {})["gen_ai.conversation.id"] == "s-17"
        assert (span.attributes or {})["user.id"] == "u-4"
    assert (root.attributes or {})["http.response.status_code"] == 200


def test_one_request_leaves_nothing_for_the_next(ask: Ask, traced: Traced) -> None:
    ask("/items/7", WHO)
    ask("/items/8", {})
    last = traced.exporter.get_finished_spans()[-1]
    assert last.parent is None
    assert "gen_ai.conversation.id" not in (last.attributes or {})


def test_a_streamed_response_ends_its_span(ask: Ask, traced: Traced) -> None:
    status, body = ask("/stream", WHO)
    assert (status, body[0]) == (200, "a")
    roots = [span for span in traced.exporter.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert len(roots) == 1
    if "work" in traced.spans():
        assert traced.spans()["work"].parent.span_id == roots[0].context.span_id  # type: ignore[union-attr]


def test_an_exception_of_the_app_stays_as_it_is_and_marks_the_request(ask: Ask, traced: Traced) -> None:
    with pytest.raises(ValueError, match="no such item"):
        ask("/broken", {})
    root = next(span for span in traced.exporter.get_finished_spans() if span.kind is SpanKind.SERVER)
    assert not root.status.is_ok


def test_a_path_that_is_not_there_is_no_error(ask: Ask, traced: Traced) -> None:
    assert ask("/nothing", {})[0] == 404
    root = next(span for span in traced.exporter.get_finished_spans() if span.kind is SpanKind.SERVER)
    assert root.status.is_unset


def test_the_callers_trace_goes_on(traced: Traced) -> None:
    fastapi_app()("/items/7", {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    root = next(span for span in traced.exporter.get_finished_spans() if span.kind is SpanKind.SERVER)
    assert format(root.context.trace_id, "x") == "a" * 32  # type: ignore[union-attr]


def test_a_request_that_another_instrumentation_traces_gets_no_second_span(traced: Traced) -> None:
    app = web.ASGIMiddleware(plain_asgi)

    async def theirs(scope: Any, receive: Any, send: Any) -> None:
        with traced.provider.get_tracer("theirs").start_as_current_span("GET", kind=SpanKind.SERVER):
            await app(scope, receive, send)

    asgi_client(theirs)("/x", WHO)
    spans = traced.exporter.get_finished_spans()
    assert [span.name for span in spans] == ["work", "GET"]
    assert (spans[0].attributes or {})["gen_ai.conversation.id"] == "s-17"


async def plain_asgi(scope: Any, receive: Any, send: Any) -> None:
    work()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


@pytest.mark.parametrize(
    ("options", "headers", "session"),
    [
        ({}, {"x-conversation-id": "c"}, "c"),
        ({}, {"mcp-session-id": "m"}, "m"),
        ({"session": "X-Thread"}, {"x-thread": "t", "x-session-id": "no"}, "t"),
        ({"session": lambda headers: headers["cookie"].split("=")[1]}, {"cookie": "sid=k"}, "k"),
        ({"session": lambda headers: headers["not there"]}, {"x-session-id": "no"}, None),
        ({}, {"x-session-id": "line\x07 break" + "x" * 999}, "line break" + "x" * 189),
    ],
)
def test_where_the_session_comes_from(
    options: Any, headers: dict[str, str], session: str | None, traced: Traced
) -> None:
    assert asgi_client(web.instrument(plain_asgi, **options))("/x", headers)[0] == 200
    for span in traced.exporter.get_finished_spans():
        assert (span.attributes or {}).get("gen_ai.conversation.id") == session


def test_health_checks_and_websockets_pass_through(traced: Traced) -> None:
    asgi_client(web.instrument(plain_asgi))("/healthz", {})
    assert [span.name for span in traced.exporter.get_finished_spans()] == ["work"]
    heard: list[Any] = []

    async def socket(scope: Any, receive: Any, send: Any) -> None:
        heard.append(scope["type"])

    asyncio.run(web.ASGIMiddleware(socket)({"type": "websocket", "path": "/"}, None, None))
    assert heard == ["websocket"]


def test_instrument_twice_is_one_span_and_no_app_is_an_error(traced: Traced) -> None:
    from fastapi import FastAPI

    app = FastAPI()
    assert web.instrument(web.instrument(app)) is app
    assert [getattr(one.cls, "__name__", "") for one in app.user_middleware] == ["ASGIMiddleware"]
    with pytest.raises(UsageError, match="is no web application"):
        web.instrument(17)


def test_a_fault_of_ours_never_costs_a_request(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalspan.instrument.web import request_span

    def broken(*args: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(request_span.RequestSpan, "__init__", broken)
    assert fastapi_app()("/items/7", {}) == (200, '"done"')
    assert flask_app()("/items/7", {}) == (200, "done")


def test_without_init_requests_are_served_all_the_same() -> None:
    logging.getLogger("evalspan").setLevel(logging.INFO)
    assert asgi_client(web.instrument(plain_asgi))("/x", WHO)[0] == 200


def test_threads_of_a_server_do_not_share_a_request(traced: Traced) -> None:
    ask = flask_app()
    threads = [threading.Thread(target=ask, args=(f"/items/{n}", {"x-session-id": f"s-{n}"})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = traced.exporter.get_finished_spans()
    by_trace: dict[int, set[Any]] = {}
    for span in spans:
        by_trace.setdefault(span.context.trace_id, set()).add((span.attributes or {})["gen_ai.conversation.id"])  # type: ignore[union-attr]
    assert sorted(len(found) for found in by_trace.values()) == [1] * 8
    importlib.invalidate_caches()
