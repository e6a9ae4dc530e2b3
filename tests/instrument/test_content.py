"""What content leaves the process: switched off, masked, cut; media by hash; never more than was allowed."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import evalspan
from evalspan.errors import ConfigError
from evalspan.instrument import semconv
from evalspan.instrument.content import to_json
from evalspan.instrument.personal_data import iban_valid, luhn_valid
from evalspan.instrument.redact import BUILT_IN, WITHHELD, make_redactor

from ..scripted import ScriptedServer
from .conftest import Spans
from .scenarios import CHAT, SCENARIOS, Scenario, client_of
from .schemas import check_messages

CHAT_CREATE = next(s for s in SCENARIOS if s.name == "chat.create")
MESSAGES_CREATE = next(s for s in SCENARIOS if s.name == "messages.create")
VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def chat(server: ScriptedServer, content: Any, scenario: Scenario = CHAT_CREATE) -> None:
    messages = [{"role": "user", "content": content}]
    if scenario.sdk == "openai":
        client_of(scenario, server).chat.completions.create(model="gpt", messages=messages)
    else:
        client_of(scenario, server).messages.create(model="claude", max_tokens=9, messages=messages)


@pytest.mark.slow
@pytest.mark.parametrize("value", ["false", "False", "NO_CONTENT", "no_content", "tru", "EVENT_ONLY"])
def test_the_variable_keeps_content_off_the_span(value, server, bare_spans: Spans, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    evalspan.init(tracer_provider=bare_spans.provider)
    CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    found = bare_spans.attributes()
    assert not any("Pro" in str(item) for item in found.values())
    assert found[semconv.INPUT_TOKENS] == 1234


@pytest.mark.parametrize("value", ["true", "SPAN_ONLY", "span_and_event", "", None])
def test_content_is_captured_unless_the_variable_says_otherwise(value, server, bare_spans, monkeypatch) -> None:
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    evalspan.init(tracer_provider=bare_spans.provider, logger_provider=LoggerProvider(shutdown_on_exit=False))
    CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    assert bare_spans.content(semconv.INPUT_MESSAGES)[1]["parts"][0]["content"] == "What does Pro cost?"


@pytest.mark.parametrize("mode", ["EVENT_ONLY", "SPAN_AND_EVENT"])
def test_content_goes_to_an_event_where_that_was_asked_for(mode: str, server, bare_spans: Spans) -> None:
    exporter = InMemoryLogRecordExporter()
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    evalspan.init(tracer_provider=bare_spans.provider, logger_provider=logs, capture_content=mode)
    CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    (event,) = [item.log_record for item in exporter.get_finished_logs()]
    assert event.event_name == "gen_ai.client.inference.operation.details"
    assert event.attributes is not None
    assert event.attributes[semconv.OUTPUT_MESSAGES][0]["role"] == "assistant"  # type: ignore[index,call-overload]
    assert event.span_id == bare_spans.one().context.span_id


def test_an_argument_that_is_no_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="capture_content='yes please'"):
        evalspan.init(capture_content="yes please")


PERSONAL = {
    "email": ("write to ann.lee+x@mail.example.co.uk now", "write to [EMAIL] now"),
    "phone": ("call +49 30 901820 or (212) 555-0123", "call [PHONE] or [PHONE]"),
    "card": ("pay with 4111 1111 1111 1111 please", "pay with [CARD] please"),
    "iban": ("to DE89 3704 0044 0532 0130 00.", "to [IBAN]."),
    "api_key": ("key sk-proj-abcdefghijklmnop1234 here", "key [API_KEY] here"),
}


@pytest.mark.parametrize("rule", PERSONAL)
def test_built_in_rules_mask_what_they_name(rule: str) -> None:
    redactor = make_redactor([rule])
    assert redactor is not None
    assert redactor.text(PERSONAL[rule][0]) == PERSONAL[rule][1]


@pytest.mark.parametrize(
    "text",
    [
        "order 4111111111111112 has 16 digits",
        "from 2026-11-23 to 2026-11-30, see 2019-2024",
        "version 1.2.3, port 8080, 12345678 rows, 20 euros",
        "DE00 3704 0044 0532 0130 00 is no account",
        "user at example dot com",
    ],
)
def test_built_in_rules_leave_ordinary_text_alone(text: str) -> None:
    redactor = make_redactor(True)
    assert redactor is not None
    assert redactor.text(text) == text


def test_check_digits_are_those_of_the_standards() -> None:
    assert luhn_valid("79927398713")
    assert not luhn_valid("79927398710")
    assert iban_valid("GB82 WEST 1234 5698 7654 32")
    assert not iban_valid("GB83 WEST 1234 5698 7654 32")


def test_redaction_reaches_every_place_that_text_can_be(server: ScriptedServer, bare_spans: Spans) -> None:
    evalspan.init(tracer_provider=bare_spans.provider, redact=True)
    secret = "ann@example.com"
    server.answer = lambda body: f"I wrote to {secret}"
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "mail", "arguments": json.dumps({"to": secret, "card": 4111111111111111})},
    }
    client_of(CHAT_CREATE, server)
    server.answer = lambda body: f"I wrote to {secret}"
    client_of(CHAT_CREATE, server).chat.completions.create(
        model="gpt",
        messages=[
            {"role": "system", "content": f"The admin is {secret}"},
            {"role": "user", "content": [{"type": "text", "text": secret}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": f"sent to {secret}"},
        ],
    )
    text = str(bare_spans.attributes())
    assert "ann@" not in text
    assert "4111111111111111" not in text
    assert text.count("[EMAIL]") == 5
    check_messages(bare_spans.attributes())
    assert server.requests[-1].raw.count(b"ann@") == 4


def test_what_the_app_says_of_its_own_spans_and_answers_is_masked_too(bare_spans: Spans) -> None:
    exporter = InMemoryLogRecordExporter()
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    evalspan.init(tracer_provider=bare_spans.provider, logger_provider=logs, redact=["email"])
    note = "write to ann@example.com"
    own: dict[str, Any] = {"app.note": note}
    observed = evalspan.observe(name="b", **own)(lambda: None)
    with evalspan.span("a", **{"app.note": note, "app.list": [note, note], "app.count": 3, semconv.CONTEXT: note}):
        evalspan.score("why", label=note, explanation=note)
        observed()
    inner, outer = bare_spans.all()
    assert dict(outer.attributes or {}) == {
        "app.note": "write to [EMAIL]",
        "app.list": ("write to [EMAIL]",) * 2,
        "app.count": 3,
        semconv.CONTEXT: "write to [EMAIL]",
    }
    assert (inner.attributes or {})["app.note"] == "write to [EMAIL]"
    (record,) = exporter.get_finished_logs()
    assert "ann@" not in str(record.log_record.attributes)


def test_content_among_the_apps_own_attributes_follows_the_policy(bare_spans: Spans) -> None:
    evalspan.init(tracer_provider=bare_spans.provider, capture_content=False)
    with evalspan.span("a", **{semconv.CONTEXT: "secret", semconv.INPUT_MESSAGES: "secret", "app.count": 3}):
        pass
    assert dict(bare_spans.attributes()) == {"app.count": 3}


def test_a_rule_that_fails_withholds_the_text_and_not_the_span(server, bare_spans: Spans) -> None:
    def broken(text: str) -> str:
        raise RuntimeError("no")

    evalspan.init(tracer_provider=bare_spans.provider, redact=broken)
    chat(server, "secret plan")
    assert bare_spans.content(semconv.INPUT_MESSAGES)[0]["parts"][0]["content"] == WITHHELD
    assert bare_spans.attributes()[semconv.INPUT_TOKENS] == 1234


def test_patterns_and_functions_of_the_users_own_are_rules(server, bare_spans: Spans) -> None:
    evalspan.init(tracer_provider=bare_spans.provider, redact=[r"ACME-\d+", str.upper, "email"])
    chat(server, "ticket ACME-17 of a@b.example")
    assert bare_spans.content(semconv.INPUT_MESSAGES)[0]["parts"][0]["content"] == "TICKET [REDACTED] OF [EMAIL]"


def test_the_variable_names_rules_too(server, bare_spans: Spans, monkeypatch) -> None:
    monkeypatch.setenv("EVALSPAN_REDACT", "email, card")
    evalspan.init(tracer_provider=bare_spans.provider)
    chat(server, "a@b.example +49 30 901820")
    assert bare_spans.content(semconv.INPUT_MESSAGES)[0]["parts"][0]["content"] == "[EMAIL] +49 30 901820"


@pytest.mark.parametrize("option", ["(unclosed", 7, [object()]])
def test_a_rule_that_is_none_is_refused(option: Any) -> None:
    with pytest.raises(ConfigError, match="redact"):
        make_redactor(option)


@pytest.mark.parametrize("rule", BUILT_IN)
@given(text=st.text(max_size=300))
def test_no_text_breaks_a_rule(rule: str, text: str) -> None:
    assert isinstance(BUILT_IN[rule](text), str)


def test_long_content_is_cut_visibly_and_stays_json(server: ScriptedServer, bare_spans: Spans) -> None:
    evalspan.init(tracer_provider=bare_spans.provider, max_content_bytes=4000)
    history = [{"role": "user" if n % 2 else "assistant", "content": f"turn {n} " + "x" * 900} for n in range(40)]
    messages = [{"role": "system", "content": "Be brief."}, *history, {"role": "user", "content": "the last question"}]
    client_of(CHAT_CREATE, server).chat.completions.create(model="gpt", messages=messages)  # type: ignore[arg-type]
    found = bare_spans.attributes()
    assert len(found[semconv.INPUT_MESSAGES].encode()) <= 4000
    kept = json.loads(found[semconv.INPUT_MESSAGES])
    assert kept[0]["parts"][0]["content"] == "Be brief."
    assert kept[-1]["parts"][0]["content"] == "the last question"
    assert "earlier items cut" in str(kept)
    assert found[semconv.TRUNCATED] == (semconv.INPUT_MESSAGES,)
    check_messages(found)


def test_one_long_message_keeps_its_beginning_and_end(server: ScriptedServer, bare_spans: Spans) -> None:
    evalspan.init(tracer_provider=bare_spans.provider, max_content_bytes=2000)
    chat(server, "BEGIN " + "é" * 50_000 + " END")
    text = bare_spans.content(semconv.INPUT_MESSAGES)[0]["parts"][0]["content"]
    assert text.startswith("BEGIN ")
    assert text.endswith(" END")
    assert "characters cut]" in text


@given(
    st.lists(st.builds(lambda role, text: {"role": role, "parts": [{"type": "text", "content": text}]},
                       st.sampled_from(["system", "user"]), st.text(max_size=4000)), max_size=30),
    st.integers(300, 5000),
)  # fmt: skip
def test_no_content_is_longer_than_allowed(messages: list[Any], limit: int) -> None:
    text, cut = to_json(messages, limit)
    assert len(text.encode()) <= limit or not messages
    json.loads(text)
    assert cut == (len(json.dumps(messages, ensure_ascii=False, separators=(",", ":")).encode()) > limit) or cut


def test_a_limit_of_the_provider_does_not_leave_half_a_json(server: ScriptedServer, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1500")
    limited = Spans()
    evalspan.init(tracer_provider=limited.provider)
    chat(server, "x" * 9000)
    assert json.loads(limited.attributes()[semconv.INPUT_MESSAGES])
    evalspan.uninstrument()


@pytest.mark.parametrize("scenario", [CHAT_CREATE, MESSAGES_CREATE], ids=lambda s: s.sdk)
def test_images_are_recorded_by_size_and_hash(scenario: Scenario, server: ScriptedServer, spans: Spans) -> None:
    picture = b"\x89PNG" + bytes(100_000)
    encoded = base64.b64encode(picture).decode()
    if scenario.sdk == "openai":
        block = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
    else:
        block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded}}
    chat(server, [{"type": "text", "text": "What is this?"}, block], scenario)
    part = spans.content(semconv.INPUT_MESSAGES)[0]["parts"][1]
    assert part["byte_size"] == len(picture)
    assert part["sha256"] == hashlib.sha256(picture).hexdigest()
    assert part["mime_type"] == "image/png"
    assert len(spans.attributes()[semconv.INPUT_MESSAGES]) < 500
    assert encoded.encode() in server.requests[0].raw


def test_what_the_app_changes_later_is_not_what_it_sent(server: ScriptedServer, spans: Spans) -> None:
    messages: list[Any] = [{"role": "user", "content": "before"}]
    stream = client_of(CHAT_CREATE, server).chat.completions.create(model="gpt", messages=messages, stream=True)
    messages[0]["content"] = "after"
    list(stream)
    assert spans.content(semconv.INPUT_MESSAGES)[0]["parts"][0]["content"] == "before"


def test_nothing_is_recorded_that_was_not_sent(server: ScriptedServer, spans: Spans) -> None:
    client_of(CHAT_CREATE, server).chat.completions.create(**CHAT)
    asked = {name for name in spans.attributes() if name.startswith("gen_ai.request.")}
    assert asked == {semconv.REQUEST_MODEL, semconv.REQUEST_TEMPERATURE}
