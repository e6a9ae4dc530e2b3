"""Spans of other instrumentations: masked, bounded or bare as ours are, whichever processor was added first."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import evalspan
from evalspan.instrument.foreign_content import is_content

MAIL = "ada@example.org"
# One of each dialect: its marker, the attribute that holds text, and whether that is JSON.
CONTENT = {
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"I am {MAIL} é\n"}]}]),
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": MAIL}]}]),
    "gen_ai.tool.call.arguments": json.dumps({"to": MAIL}),
    "gen_ai.prompt.0.content": f"I am {MAIL}",
    "gen_ai.completion.0.content": MAIL,
    "llm.input_messages.0.message.content": MAIL,
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": json.dumps({"to": MAIL}),
    "input.value": json.dumps({"question": MAIL}),
    "output.value": MAIL,
    "retrieval.documents.0.document.content": MAIL,
    "embedding.embeddings.0.embedding.text": MAIL,
    "traceloop.entity.input": json.dumps({"inputs": MAIL}),
    "ai.prompt.messages": json.dumps([{"role": "user", "content": MAIL}]),
    "ai.response.text": MAIL,
    "pydantic_ai.all_messages": json.dumps([{"role": "user", "parts": [{"content": MAIL}]}]),
    "final_result": MAIL,
    "mlflow.spanInputs": json.dumps({"q": MAIL}),
    "langfuse.observation.input": MAIL,
    "tool.parameters": json.dumps({"to": MAIL}),
}


class Seen:
    """A provider whose exporter was added before `init`, as an app's own is."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def span(self, attributes: dict[str, Any], scope: str = "theirs", events: Any = ()) -> ReadableSpan:
        span = self.provider.get_tracer(scope).start_span("x", attributes=attributes)
        for name, held in events:
            span.add_event(name, held)
        span.end()
        return self.exporter.get_finished_spans()[-1]


@pytest.fixture
def seen():
    yield Seen()
    evalspan.uninstrument()


@pytest.mark.parametrize("name", CONTENT)
def test_redaction_reaches_content_of_every_dialect(name: str, seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, redact=["email"])
    found = seen.span({"gen_ai.operation.name": "chat", name: CONTENT[name]})
    text = str((found.attributes or {})[name])
    assert MAIL not in text
    assert "[EMAIL]" in text
    if CONTENT[name].startswith(("[", "{")):
        json.loads(text)


@pytest.mark.parametrize("name", CONTENT)
def test_content_switched_off_is_off_for_spans_of_others(name: str, seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, capture_content=False)
    found = seen.span({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", name: CONTENT[name]})
    assert dict(found.attributes or {}) == {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


@pytest.mark.parametrize("name", CONTENT)
def test_content_of_others_is_bounded_and_marked(name: str, seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, max_content_bytes=1000)
    value = CONTENT[name].replace(MAIL, "words " * 1000)
    found = dict(seen.span({"gen_ai.operation.name": "chat", name: value}).attributes or {})
    assert len(str(found[name]).encode()) <= 1000
    assert found["evalspan.truncated"] == (name,)
    if value.startswith(("[", "{")):
        json.loads(str(found[name]))


EVENTS = [
    ("gen_ai.user.message", {"content": f"I am {MAIL}", "role": "user"}),
    ("gen_ai.choice", {"message": json.dumps({"content": MAIL}), "finish_reason": "stop"}),
    ("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": CONTENT["gen_ai.input.messages"]}),
    ("exception", {"exception.message": f"no mail for {MAIL}", "exception.type": "ValueError"}),
]


DETAILS = "gen_ai.client.inference.operation.details"
BODIES = {
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": MAIL}]),
    "gen_ai.input.messages": CONTENT["gen_ai.input.messages"],
    "gen_ai.output.messages": CONTENT["gen_ai.output.messages"],
    "gen_ai.tool.definitions": json.dumps([{"type": "function", "name": "f", "description": MAIL}]),
}


@pytest.mark.parametrize("settings", ["masked", "off", "bounded"])
@pytest.mark.parametrize("name", BODIES)
def test_every_body_of_the_event_of_the_conventions_follows_the_policy(name: str, settings: str, seen: Seen) -> None:
    policies: dict[str, dict[str, Any]] = {
        "masked": {"redact": ["email"]},
        "off": {"capture_content": False},
        "bounded": {"max_content_bytes": 1000},
    }
    evalspan.init(tracer_provider=seen.provider, **policies[settings])
    value = BODIES[name].replace(MAIL, "words " * 1000) if settings == "bounded" else BODIES[name]
    held = {name: value, "gen_ai.request.model": "m"}
    found = dict(seen.span({"gen_ai.operation.name": "chat"}, events=[(DETAILS, held)]).events[0].attributes or {})
    assert found["gen_ai.request.model"] == "m"
    if settings == "off":
        assert found == {"gen_ai.request.model": "m"}
    else:
        json.loads(str(found[name]))
        assert MAIL not in str(found[name])
        assert len(str(found[name]).encode()) <= 1000


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event[0])
def test_events_are_masked(event: Any, seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, redact=True)
    found = seen.span({"gen_ai.operation.name": "chat"}, events=[event]).events[0]
    assert MAIL not in str(dict(found.attributes or {}))
    assert (found.attributes or {}).keys() == event[1].keys()


@pytest.mark.parametrize("event", EVENTS[:3], ids=lambda event: event[0])
def test_events_hold_no_content_where_it_is_off(event: Any, seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, capture_content=False)
    found = seen.span({"gen_ai.operation.name": "chat"}, events=[event]).events[0]
    assert MAIL not in str(dict(found.attributes or {}))


def test_identifiers_and_spans_that_are_not_of_models_stay_as_they_are(seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, redact=True)
    http = {"url.full": f"https://x.example/?m={MAIL}", "http.request.method": "GET"}
    assert dict(seen.span(http).attributes or {}) == http
    ids = {
        "gen_ai.operation.name": "chat",
        "gen_ai.conversation.id": "+49 170 1234567",
        "gen_ai.agent.name": "a@b.example",
    }
    assert dict(seen.span(ids).attributes or {}) == ids


def test_what_cannot_be_masked_does_not_leave(seen: Seen, monkeypatch) -> None:
    evalspan.init(tracer_provider=seen.provider, redact=["email"])
    from evalspan.instrument import foreign_content

    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(foreign_content.ForeignContent, "_text", broken)
    found = seen.span({"gen_ai.operation.name": "chat", "input.value": MAIL}, events=[EVENTS[0]])
    assert MAIL not in found.to_json()
    assert (found.attributes or {})["gen_ai.operation.name"] == "chat"


def test_names_bytes_and_keys_of_model_spans_are_masked(seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, redact=["email"])
    told: dict[str, Any] = {
        f"k {MAIL}": 1,
        "gen_ai.raw": b"mail " + MAIL.encode(),
        "gen_ai.map": {MAIL: {"id": MAIL}},
        "gen_ai.list": [MAIL],
    }
    span = seen.provider.get_tracer("theirs").start_span(
        f"chat {MAIL}", attributes={"gen_ai.operation.name": "chat", **told}
    )
    span.add_event(f"gen_ai.{MAIL}", {f"k {MAIL}": MAIL, "body": MAIL.encode()})
    span.end()
    found = seen.exporter.get_finished_spans()[-1]
    assert MAIL not in repr(
        (found.name, dict(found.attributes or {}), [(e.name, dict(e.attributes or {})) for e in found.events])
    )
    assert found.name == "chat [EMAIL]"


def test_a_rule_that_masks_what_names_are_made_of_leaves_the_dialects_readable(seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, redact=[r"\d", "prompt"])
    found = seen.span({"gen_ai.prompt.0.content": "a 7 in a prompt", "gen_ai.operation.name": "chat"})
    assert (found.attributes or {})["gen_ai.prompt.0.content"] == "a [REDACTED] in a [REDACTED]"


def test_a_rule_that_fails_withholds_the_text(seen: Seen) -> None:
    def rule(text: str) -> str:
        raise ValueError(text)

    evalspan.init(tracer_provider=seen.provider, redact=rule)
    assert MAIL not in seen.span({"gen_ai.operation.name": "chat", "input.value": MAIL}).to_json()


def test_after_uninstrument_spans_of_others_are_left_alone(seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, redact=True)
    evalspan.uninstrument()
    assert (seen.span({"input.value": MAIL}).attributes or {})["input.value"] == MAIL


def test_limits_of_the_provider_still_hold(seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, redact=["email"])
    many = {"gen_ai.operation.name": "chat", **{f"app.{n}": MAIL for n in range(400)}}
    assert len(seen.span(many).attributes or {}) == 128


def test_names_of_attributes_that_are_no_content() -> None:
    for name in (
        "gen_ai.operation.name",
        "gen_ai.usage.input_tokens",
        "llm.model_name",
        "openinference.span.kind",
        "session.id",
    ):
        assert not is_content(name)


@pytest.mark.parametrize("holder", ["gen_ai.conversation.id", "session.id"])
def test_spans_inside_inherit_conversation_and_user(holder: str, seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider)
    tracer = seen.provider.get_tracer("theirs")
    with tracer.start_as_current_span("agent", attributes={holder: "thread-7", "user.id": "u-1"}):
        with tracer.start_as_current_span("tool"), evalspan.span("ours"):
            pass
        with tracer.start_as_current_span("other", attributes={"session.id": "its own"}):
            pass
    tool, ours, other = (seen.exporter.get_finished_spans()[i].attributes or {} for i in (1, 0, 2))
    assert (tool["gen_ai.conversation.id"], tool["user.id"]) == ("thread-7", "u-1")
    assert (ours["gen_ai.conversation.id"], ours["user.id"]) == ("thread-7", "u-1")
    assert "gen_ai.conversation.id" not in other


@pytest.mark.parametrize(("kind", "wanted"), [(SpanKind.SERVER, "m-1"), (SpanKind.CLIENT, None)])
def test_what_an_mcp_server_does_has_its_session_as_conversation(
    kind: SpanKind, wanted: str | None, seen: Seen
) -> None:
    evalspan.init(tracer_provider=seen.provider)
    tracer = seen.provider.get_tracer("mcp-python-sdk")
    with (
        tracer.start_as_current_span("tools/call", kind=kind, attributes={"mcp.session.id": "m-1"}),
        tracer.start_as_current_span("chat"),
        evalspan.span("inner"),
    ):
        pass
    inner, chat, _ = seen.exporter.get_finished_spans()
    assert [(one.attributes or {}).get("gen_ai.conversation.id") for one in (inner, chat)] == [wanted, wanted]


def test_the_id_of_a_response_is_no_conversation(seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider)
    tracer = seen.provider.get_tracer("agent_framework")
    with tracer.start_as_current_span("chat", attributes={"gen_ai.conversation.id": "resp_17"}), evalspan.span("inner"):
        pass
    assert all("gen_ai.conversation.id" not in (span.attributes or {}) for span in seen.exporter.get_finished_spans())


@pytest.mark.parametrize("settings", [{"capture_content": False}, {"redact": True}], ids=["no content", "masked"])
def test_errors_of_others_that_quote_the_request_follow_the_policy(settings: dict[str, Any], seen: Seen) -> None:
    evalspan.init(tracer_provider=seen.provider, **settings)
    tracer = seen.provider.get_tracer("openinference.instrumentation.langchain")
    with (
        pytest.raises(ValueError, match="ada"),
        tracer.start_as_current_span("x", attributes={"openinference.span.kind": "LLM"}),
    ):
        raise ValueError(f"cannot read: {MAIL}")
    span = seen.exporter.get_finished_spans()[-1]
    assert span.status.status_code.name == "ERROR"
    assert MAIL not in repr((span.status.description, [dict(event.attributes or {}) for event in span.events]))
    assert (span.events[0].attributes or {})["exception.type"] == "ValueError"
