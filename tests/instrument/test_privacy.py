"""What may not leave does not: errors that quote prompts, keys, names, bytes, and redactors that fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan

import evalspan
from evalspan.instrument import semconv
from evalspan.instrument.redact import WITHHELD, make_redactor

from ..scripted import Reply, ScriptedServer
from .conftest import Spans
from .scenarios import SCENARIOS, client_of

SECRET = "jane@corp.example"
CHAT_CREATE = next(s for s in SCENARIOS if s.name == "chat.create")
MESSAGE_CREATE = next(s for s in SCENARIOS if s.name == "messages.create")
QUOTED = {"message": f"cannot read: {SECRET}", "type": "invalid_request_error", "code": "bad_input"}


def everything(span: ReadableSpan) -> str:
    """All that an exporter gets of a span, as text."""
    events = [(event.name, dict(event.attributes or {})) for event in span.events]
    return repr((span.name, span.status.description, dict(span.attributes or {}), events))


def leaks(spans: Spans, secret: str = SECRET) -> list[str]:
    return [span.name for span in spans.all() if secret in everything(span)]


@pytest.fixture
def bare(bare_spans: Spans) -> Spans:
    return bare_spans


@evalspan.observe
def asks(call: Callable[[], Any]) -> Any:
    return call()


# Errors that quote what was sent


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500])
@pytest.mark.parametrize("scenario", [CHAT_CREATE, MESSAGE_CREATE], ids=lambda s: s.name)
def test_an_error_that_quotes_the_prompt_keeps_it_here_without_content(
    scenario: Any, status: int, server: ScriptedServer, bare: Spans
) -> None:
    evalspan.init(tracer_provider=bare.provider, capture_content=False)
    server.then(Reply(status=status, body=json.dumps({"type": "error", "error": QUOTED}).encode()))
    client = client_of(scenario, server)
    with pytest.raises(Exception, match="jane@"), evalspan.span("block"):
        asks(lambda: scenario.start(client))
    assert len(bare.all()) == 3
    assert leaks(bare) == []
    call = bare.all()[0]
    assert call.status.status_code.name == "ERROR"
    assert str((call.attributes or {})[semconv.ERROR_TYPE]).endswith("Error")
    assert f"HTTP {status}" in str(call.status.description)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_inside_a_200_that_quotes_the_prompt_keeps_it_here_without_content(
    stream: bool, server: ScriptedServer, bare: Spans
) -> None:
    evalspan.init(tracer_provider=bare.provider, capture_content=False)
    failed = {
        "id": "r",
        "object": "response",
        "status": "failed",
        "model": "m",
        "output": [],
        "error": {"code": SECRET, "message": SECRET},
    }
    if stream:
        event = json.dumps({"type": "response.failed", "sequence_number": 0, "response": failed})
        server.then(
            Reply(
                body=f"event: response.failed\ndata: {event}\n\n".encode(),
                headers={"content-type": "text/event-stream"},
            )
        )
        list(openai.OpenAI(base_url=server.url, api_key="k").responses.create(model="m", input=SECRET, stream=True))
    else:
        server.then(Reply(body=json.dumps(failed).encode()))
        openai.OpenAI(base_url=server.url, api_key="k").responses.create(model="m", input=SECRET)
    assert leaks(bare) == []
    assert bare.one().status.status_code.name == "ERROR"
    # A code that is no code is not taken for one.
    assert bare.attributes()[semconv.ERROR_TYPE] == "failed"


def test_an_error_message_is_masked_where_content_may_leave(server: ScriptedServer, bare: Spans) -> None:
    evalspan.init(tracer_provider=bare.provider, redact=True)
    server.then(Reply(status=400, body=json.dumps({"error": QUOTED}).encode()))
    with pytest.raises(openai.BadRequestError):
        asks(lambda: CHAT_CREATE.start(client_of(CHAT_CREATE, server)))
    assert leaks(bare) == []
    assert all("[EMAIL]" in str(span.status.description) for span in bare.all())


# What the redactor sees of the app's own spans


@dataclass
class Customer:
    email: str = SECRET


class Printed:
    def __repr__(self) -> str:
        return f"<customer {SECRET}>"


VALUES: dict[str, Any] = {
    "key": {SECRET: 1},
    "nested key": {"a": [{"b": {SECRET: 1}}]},
    "id": {"id": SECRET},
    "type": {"type": SECRET},
    "role": {"role": SECRET, "finish_reason": SECRET, "modality": SECRET, "mime_type": SECRET, "sha256": SECRET},
    "deep": {"rows": [{"id": SECRET, "meta": {"type": SECRET}}]},
    "bytes": SECRET.encode(),
    "bytes in a list": [bytearray(SECRET.encode())],
    "bytes that are no text": b"\xff" + SECRET.encode(),
    "set": {SECRET},
    "tuple": (SECRET,),
    "object": Customer(),
    "printed": Printed(),
    "path": Path("/home") / SECRET,
}


@pytest.mark.parametrize("kind", ["span", "tool", "retriever", "agent"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_arguments_results_and_documents_are_masked_wherever_a_text_stands(kind: str, value: Any, bare: Spans) -> None:
    evalspan.init(tracer_provider=bare.provider, redact=True)

    @evalspan.observe(kind=kind, name="f")
    def f(query: Any) -> Any:
        return [query]

    f(value)
    text = everything(bare.one())
    assert SECRET not in text
    assert "amFuZUBjb3Jw" not in text  # the same, as base64
    assert len(bare.attributes()) >= 2


@pytest.mark.parametrize("kind", ["span", "tool", "agent"])
def test_names_of_spans_are_masked(kind: str, bare: Spans) -> None:
    evalspan.init(tracer_provider=bare.provider, redact=True)
    with evalspan.span(f"block {SECRET}", **{f"app.{SECRET}": SECRET, "app.bytes": SECRET.encode()}):
        evalspan.observe(name=f"f {SECRET}", kind=kind)(lambda: None)()
    assert leaks(bare) == []
    assert len(bare.all()) == 2


def test_ids_and_words_of_requests_are_masked_where_they_are_not_the_apis(server: ScriptedServer, bare: Spans) -> None:
    evalspan.init(tracer_provider=bare.provider, redact=True)
    call = {"id": SECRET, "type": "function", "function": {"name": SECRET, "arguments": json.dumps({SECRET: SECRET})}}
    client_of(CHAT_CREATE, server).chat.completions.create(
        model="gpt",
        stop=[SECRET],
        messages=[
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": SECRET, "content": SECRET},
            {"role": SECRET, "content": [{"type": SECRET, "id": SECRET, SECRET: SECRET}]},
        ],
        tools=[
            {"type": "function", "function": {"name": "f", "parameters": {"properties": {SECRET: {"type": SECRET}}}}}
        ],
    )  # type: ignore[call-overload]
    assert leaks(bare) == []
    parts = [part for message in bare.content(semconv.INPUT_MESSAGES) for part in message["parts"]]
    assert [part["type"] for part in parts][:2] == ["tool_call", "tool_call_response"]


def test_keys_that_look_alike_once_they_are_masked_keep_their_values() -> None:
    redactor = make_redactor(["email"])
    assert redactor is not None
    masked = redactor.value({"a@x.example": 1, "b@x.example": 2, "c@x.example": 3})
    assert sorted(masked.values()) == [1, 2, 3]
    assert not [key for key in masked if "@" in key]


# A redactor that fails


def raising(text: str) -> str:
    raise RuntimeError(text)


def leaving(text: str) -> str:
    raise SystemExit(text)


def silent(text: str) -> Any:
    return None


@pytest.mark.parametrize("rule", [raising, leaving, silent])
def test_a_redactor_that_fails_withholds_in_every_place(
    rule: Any, server: ScriptedServer, bare: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = InMemoryLogRecordExporter()
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    evalspan.init(tracer_provider=bare.provider, logger_provider=logs, redact=rule)
    client = client_of(CHAT_CREATE, server)
    client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": SECRET}], stop=[SECRET])
    server.then(Reply(status=400, body=json.dumps({"error": QUOTED}).encode()))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": SECRET}])
    with evalspan.span(f"block {SECRET}", **{SECRET: SECRET}):
        evalspan.observe(name="f")(lambda x: x)({SECRET: Customer()})
        evalspan.score("why", label=SECRET, explanation=SECRET)
    assert len(bare.all()) == 4
    assert leaks(bare) == []
    assert SECRET not in str([item.log_record.attributes for item in exporter.get_finished_logs()])
    assert SECRET not in caplog.text
    assert WITHHELD in everything(bare.all()[0])


def test_what_no_redactor_can_walk_through_is_withheld(bare: Spans) -> None:
    evalspan.init(tracer_provider=bare.provider, redact=["email"])
    nested: Any = SECRET
    for _ in range(500):
        nested = [nested]

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError(SECRET)

    evalspan.observe(name="f")(lambda x: None)(nested)
    evalspan.observe(name="g")(lambda x: None)([SECRET, Broken()])
    with evalspan.span("h", **{"app.deep": nested}):
        pass
    assert len(bare.all()) == 3
    assert leaks(bare) == []
