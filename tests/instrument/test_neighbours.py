"""Others who trace the same calls: the anthropic SDK itself, other instrumentations; and taking ours out again."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider

import evalspan
from evalspan.instrument import semconv
from evalspan.instrument.libraries import coexistence
from evalspan.instrument.libraries.hooks import HOOKS

from ..scripted import ScriptedServer
from .conftest import Spans
from .scenarios import MESSAGE, SCENARIOS, Scenario, client_of, run

CHAT_CREATE = next(s for s in SCENARIOS if s.name == "chat.create")
MESSAGES = [s for s in SCENARIOS if s.sdk == "anthropic" and s.operation]


def native(spans: Spans, **traces: Any) -> dict[str, Any]:
    """The option that makes an anthropic client send its own spans to the same provider."""
    return {"open_telemetry": {"tracer_provider": spans.provider, "traces": traces}}


@pytest.mark.parametrize("scenario", MESSAGES, ids=lambda s: s.name.replace(" ", "_"))
def test_the_sdks_own_tracing_does_not_double_a_call(scenario: Scenario, server, spans: Spans) -> None:
    run(scenario, client_of(scenario, server, **native(spans)))
    span = spans.one()
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "evalspan.anthropic"
    assert "traceparent" not in server.requests[0].headers


def test_a_client_that_records_content_natively_keeps_its_spans(server: ScriptedServer, spans: Spans) -> None:
    scenario = MESSAGES[0]
    run(scenario, client_of(scenario, server, **native(spans, enabled=True, content_mode="content")))
    span = spans.one()
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name.startswith("com.anthropic.sdk")
    assert semconv.OUTPUT_MESSAGES in (span.attributes or {})


def test_calls_that_we_leave_alone_keep_the_sdks_own_span(server: ScriptedServer, spans: Spans) -> None:
    scenario = next(s for s in SCENARIOS if s.name == "messages.count_tokens")
    run(scenario, client_of(scenario, server, **native(spans)))
    assert spans.one().name == "anthropic.messages.count_tokens"


def test_suppress_silences_the_sdks_own_tracing_too(server: ScriptedServer, spans: Spans) -> None:
    with evalspan.suppress():
        run(MESSAGES[0], client_of(MESSAGES[0], server, **native(spans)))
    assert spans.all() == []


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module that looks like OpenInference's, switched on."""
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

    class OpenAIInstrumentor(BaseInstrumentor):  # type: ignore[misc]
        def instrumentation_dependencies(self) -> tuple[str, ...]:
            return ()

        def _instrument(self, **kwargs: Any) -> None:
            pass

        def _uninstrument(self, **kwargs: Any) -> None:
            pass

    module = ModuleType("openinference.instrumentation.openai")
    module.OpenAIInstrumentor = OpenAIInstrumentor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(coexistence, "_said", set())
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument()
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def test_we_stand_back_while_another_instrumentation_is_on_and_say_so_once(server, spans, another, caplog) -> None:
    client = client_of(CHAT_CREATE, server)
    with caplog.at_level(logging.WARNING):
        CHAT_CREATE.start(client)
        CHAT_CREATE.start(client)
    assert spans.all() == []
    assert [record.message for record in caplog.records if "already traces" in record.message] == [
        "openinference.instrumentation.openai already traces openai: evalspan adds no spans of its own for it"
    ]
    another.uninstrument()
    CHAT_CREATE.start(client)
    assert len(spans.all()) == 1


# Scopes whose names begin like those of instrumentations of the SDKs, and others.
SCOPES = (
    "openinference.instrumentation.openai_agents",
    "opentelemetry.instrumentation.openai_agents",
    "opentelemetry.instrumentation.anthropic_agents",
    "opentelemetry.util.genai.handler",
    "strands.telemetry.tracer",
    "my.app",
)
NO_CALLS: list[dict[str, Any]] = [
    {},
    *(
        {"gen_ai.operation.name": name}
        for name in ("invoke_agent", "execute_tool", "invoke_workflow", "retrieval", "plan")
    ),
    *({"openinference.span.kind": kind} for kind in ("AGENT", "TOOL", "CHAIN", "RETRIEVER", "GUARDRAIL")),
    {"traceloop.span.kind": "workflow"},
]
CALLS: list[dict[str, Any]] = [
    *({"gen_ai.operation.name": name} for name in ("chat", "text_completion", "generate_content")),
    {"openinference.span.kind": "LLM"},
    {"langfuse.observation.type": "generation"},
]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("attributes", NO_CALLS, ids=str)
def test_no_span_but_that_of_a_model_call_changes_what_is_traced_inside(
    scope: str, attributes: dict[str, Any], server: ScriptedServer, spans: Spans
) -> None:
    tracer = spans.provider.get_tracer(scope)
    with tracer.start_as_current_span("outer", attributes=attributes):
        CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    ours, outer = spans.all()
    assert (ours.attributes or {})[semconv.INPUT_TOKENS] == 1234
    assert ours.parent is not None
    assert ours.parent.span_id == outer.context.span_id
    assert dict(outer.attributes or {}) == attributes


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("attributes", CALLS, ids=str)
def test_a_frameworks_span_of_the_call_keeps_its_place_and_loses_its_role(
    scope: str, attributes: dict[str, Any], server: ScriptedServer, spans: Spans
) -> None:
    tracer = spans.provider.get_tracer(scope)
    with tracer.start_as_current_span("outer", attributes=attributes):
        CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    ours, outer = spans.all()
    assert (ours.attributes or {})[semconv.INPUT_TOKENS] == 1234
    assert ours.parent is not None
    assert ours.parent.span_id == outer.context.span_id
    assert dict(outer.attributes or {}) == {**attributes, semconv.ROLE: semconv.ROLE_OTHER}


@pytest.mark.parametrize(
    "attributes", [{"gen_ai.operation.name": "embeddings"}, {"openinference.span.kind": "EMBEDDING"}]
)
def test_a_call_of_another_kind_inside_a_frameworks_call_is_another_call(
    attributes: dict[str, Any], server: ScriptedServer, spans: Spans
) -> None:
    embed = next(s for s in SCENARIOS if s.name == "embeddings.create")
    tracer = spans.provider.get_tracer("my.app")
    with tracer.start_as_current_span("embed", attributes=attributes):
        CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    assert semconv.ROLE not in (spans.all()[-1].attributes or {})
    with tracer.start_as_current_span("embed", attributes=attributes):
        embed.start(client_of(embed, server))
    assert (spans.all()[-1].attributes or {})[semconv.ROLE] == semconv.ROLE_OTHER


class Handler:
    """A tracer of callbacks that makes none of its spans current, as OpenInference's for LangChain."""

    def __init__(self) -> None:
        self.open: dict[str, Any] = {}

    def get_span(self, run_id: str) -> Any:
        return self.open.get(run_id)


class CallbackManagerForLLMRun:
    def __init__(self, run_id: str, handler: Handler) -> None:
        self.run_id, self.handlers = run_id, [handler]


class CallbackManagerForToolRun(CallbackManagerForLLMRun):
    pass


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Handler:
    module = "openinference.instrumentation.langchain"
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    return Handler()


def test_a_framework_span_that_is_never_current_is_the_parent_of_the_call_made_for_its_run(
    handler: Handler, server: ScriptedServer, spans: Spans
) -> None:
    theirs = spans.provider.get_tracer("openinference.instrumentation.langchain")

    def generate(run_manager: Any) -> None:
        CHAT_CREATE.start(client_of(CHAT_CREATE, server))

    with evalspan.span("request"):
        handler.open["run"] = theirs.start_span("ChatOpenAI")
        generate(CallbackManagerForLLMRun("run", handler))
        handler.open["run"].end()
        # Its run is over: nothing of it is the parent of anything.
        generate(CallbackManagerForLLMRun("run", handler))
    first, outer, second, request = spans.all()
    assert [span.parent and span.parent.span_id for span in (first, outer, second)] == [
        outer.context.span_id,
        request.context.span_id,
        request.context.span_id,
    ]
    assert dict(outer.attributes or {}) == {semconv.ROLE: semconv.ROLE_OTHER}


def test_calls_and_blocks_inside_a_tool_whose_span_is_never_current_are_inside_it(
    handler: Handler, server: ScriptedServer, spans: Spans
) -> None:
    handler.open["run"] = spans.provider.get_tracer("openinference.instrumentation.langchain").start_span("search")

    def tool(run_manager: Any) -> None:
        with evalspan.span("rank"):
            CHAT_CREATE.start(client_of(CHAT_CREATE, server))

    tool(CallbackManagerForToolRun("run", handler))
    handler.open["run"].end()
    call, rank, outer = spans.all()
    assert [span.parent and span.parent.span_id for span in (call, rank)] == [
        rank.context.span_id,
        outer.context.span_id,
    ]
    assert dict(outer.attributes or {}) == {}


@pytest.mark.parametrize("kind", [CallbackManagerForLLMRun, CallbackManagerForToolRun])
@pytest.mark.parametrize("told", ["at the start", "at the end", "never"])
def test_spans_of_others_inside_a_run_whose_span_is_never_current_are_inside_it(
    kind: Any, told: str, handler: Handler, spans: Spans
) -> None:
    """Bedrock's, Gemini's or a database's instrumentor under LangChain: one trace, and a call in a model's run is one call."""
    handler.open["run"] = spans.provider.get_tracer("openinference.instrumentation.langchain").start_span("run")
    theirs = spans.provider.get_tracer("openinference.instrumentation.bedrock")

    def generate(run_manager: Any) -> None:
        says = {"openinference.span.kind": "LLM"}
        with theirs.start_as_current_span("converse", attributes=says if told == "at the start" else {}) as span:
            if told == "at the end":
                span.set_attributes(says)
            spans.provider.get_tracer("http").start_span("POST").end()

    generate(kind("run", handler))
    handler.open["run"].end()
    post, inner, outer = spans.all()
    assert {span.context.trace_id for span in (post, inner)} == {outer.context.trace_id}
    assert inner.parent is not None
    assert post.parent is not None
    assert (inner.parent.span_id, post.parent.span_id) == (outer.context.span_id, inner.context.span_id)
    is_one_call = told != "never" and kind is CallbackManagerForLLMRun
    assert dict(outer.attributes or {}) == ({semconv.ROLE: semconv.ROLE_OTHER} if is_one_call else {})


def test_init_twice_is_one_span(server: ScriptedServer, spans: Spans) -> None:
    assert evalspan.init() is evalspan.init(tracer_provider=TracerProvider(shutdown_on_exit=False))
    CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    assert len(spans.all()) == 1


def test_uninstrument_restores_the_sdks_exactly_and_init_works_again(server: ScriptedServer, bare_spans: Spans) -> None:
    def functions() -> list[int]:
        # By identity: a wrapper says that it equals what it wraps.
        return [
            id(vars(owner).get(name))
            for sdk in (openai, anthropic)
            for owner in (sdk._base_client.SyncAPIClient, sdk._base_client.AsyncAPIClient, sdk.Stream, sdk.AsyncStream)
            for name in ("request", "_sleep_for_retry", "__stream__", "close")
        ]

    before = functions()
    evalspan.init(tracer_provider=bare_spans.provider)
    assert functions() != before
    evalspan.uninstrument()
    assert functions() == before
    client = client_of(CHAT_CREATE, server)
    CHAT_CREATE.start(client)
    assert bare_spans.all() == []
    evalspan.init(tracer_provider=bare_spans.provider)
    CHAT_CREATE.start(client)
    assert len(bare_spans.all()) == 1


def test_a_release_that_we_do_not_know_is_left_alone(server, bare_spans: Spans, monkeypatch, caplog) -> None:
    monkeypatch.delattr(openai.AsyncStream, "__stream__")
    with caplog.at_level(logging.WARNING):
        evalspan.init(tracer_provider=bare_spans.provider)
    assert "cannot trace openai" in caplog.text
    assert HOOKS["openai"]._placed == []
    assert CHAT_CREATE.start(client_of(CHAT_CREATE, server)).id == "chatcmpl-1"
    assert bare_spans.all() == []


def test_only_the_named_library_is_traced(server: ScriptedServer, bare_spans: Spans) -> None:
    evalspan.init(tracer_provider=bare_spans.provider, instrument=("anthropic",))
    CHAT_CREATE.start(client_of(CHAT_CREATE, server))
    assert bare_spans.all() == []
    with pytest.raises(evalspan.errors.UsageError, match="instrument='opena'"):  # type: ignore[attr-defined]
        evalspan.init(instrument=("opena",))


@pytest.mark.parametrize(
    ("client", "provider"),
    [
        (lambda http: openai.AzureOpenAI(azure_endpoint="https://x.openai.azure.com", api_version="2025-01-01", api_key="k", http_client=http), "azure.ai.openai"),
        (lambda http: openai.OpenAI(base_url="https://api.groq.com/openai/v1", api_key="k", http_client=http), "groq"),
        (lambda http: openai.OpenAI(base_url="https://api.deepseek.com", api_key="k", http_client=http), "deepseek"),
    ],
    ids=["azure", "groq", "deepseek"],
)  # fmt: skip
def test_the_provider_is_whose_host_it_is(client: Any, provider: str, spans: Spans) -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=body))
    client(httpx2.Client(transport=transport)).chat.completions.create(model="m", messages=[])
    assert spans.attributes()[semconv.PROVIDER] == provider


CLOUDS: dict[str, tuple[dict[str, Any], str]] = {
    "AnthropicVertex": ({"region": "us-east5", "project_id": "p", "access_token": "t"}, "gcp.vertex_ai"),
    "AnthropicBedrock": ({"aws_region": "us-east-1", "api_key": "k"}, "aws.bedrock"),
    "AnthropicBedrockMantle": ({"aws_region": "us-east-1", "api_key": "k"}, "aws.bedrock"),
    # Anthropic's own service behind the doors of others.
    "AnthropicAWS": ({"aws_region": "us-east-1", "api_key": "k", "workspace_id": "w"}, "anthropic"),
    "AnthropicGoogleCloud": ({"project": "p", "location": "us", "workspace_id": "w", "skip_auth": True}, "anthropic"),
    "AnthropicFoundry": ({"resource": "r", "api_key": "k"}, "anthropic"),
}


@pytest.mark.parametrize("kind", CLOUDS)
def test_messages_on_other_clouds_are_traced(kind: str, spans: Spans) -> None:
    given, provider = CLOUDS[kind]
    body: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": "end_turn",
    }
    body["usage"] = {"input_tokens": 1, "output_tokens": 1}
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json=body)))
    client = getattr(anthropic, kind)(http_client=http, **given)
    client.messages.create(**MESSAGE)
    assert spans.attributes()[semconv.PROVIDER] == provider
    assert spans.attributes()[semconv.REQUEST_MODEL] == "claude-sonnet-5"


def test_every_client_class_of_anthropic_is_one_that_is_tested_here() -> None:
    known = {"Anthropic", "AnthropicError", *CLOUDS}
    assert {name for name in dir(anthropic) if name.startswith("Anthropic")} == known


@pytest.mark.parametrize("clone", [copy.copy, lambda client: client.copy(), lambda client: client.with_options()])
def test_a_clone_of_a_client_is_traced_once(clone: Any, server: ScriptedServer, spans: Spans) -> None:
    assert CHAT_CREATE.start(clone(client_of(CHAT_CREATE, server))).id == "chatcmpl-1"
    assert len(spans.all()) == 1
