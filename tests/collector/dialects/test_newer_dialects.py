"""Attributes that instrumentors' newest releases write, and what the columns make of them: one table per dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.dialects import normalise
from evalspan.collector.dialects.messages import messages
from evalspan.collector.dialects.providers import canonical
from evalspan.collector.log import framing

START = 1_790_000_000_000_000_000
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "weather?"}]}]
SAID = [{"role": "assistant", "parts": [{"type": "text", "content": "sunny"}]}]
GPT = {"gen_ai.request.model": "gpt-4.1-mini", "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
OI = "llm.output_messages.0.message."
PROMPT = [{"role": "user", "content": [{"type": "text", "text": "weather?"}]}]
DETAILS = "gen_ai.client.inference.operation.details"


def said(*parts: dict[str, Any], role: str = "assistant") -> list[dict[str, Any]]:
    return [{"role": role, "parts": list(parts)}]


CALL = {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {"city": "Lisbon"}}
# name -> (scope, attributes, events, columns)
SPANS: dict[str, tuple[str, dict[str, Any], list[tuple[str, dict[str, Any]]], dict[str, Any]]] = {
    "AI SDK, the whole": (
        "ai",
        {"ai.operationId": "ai.generateText", "ai.prompt": {"system": "be kind", "prompt": "weather?"}, "ai.response.text": "sunny", "ai.telemetry.functionId": "forecast", "ai.telemetry.metadata.sessionId": "s-1", "ai.telemetry.metadata.userId": "u-1", "ai.telemetry.metadata.plan": "gold", "ai.usage.promptTokens": 1000, "ai.model.provider": "openai.chat"},
        [],
        {"operation": "invoke_agent", "role": "agent", "agent_name": "forecast", "conversation_id": "s-1", "user_id": "u-1", "provider": "openai", "input_tokens": None, "input": [*said({"type": "text", "content": "be kind"}, role="system"), *ASKED], "output": SAID, "tags": {"plan": "gold"}},
    ),
    "AI SDK 4, a call": (
        "ai",
        {"ai.operationId": "ai.generateText.doGenerate", "ai.prompt.messages": PROMPT, "ai.response.text": "sunny", "ai.model.id": "gpt-4o", "ai.model.provider": "openai.responses", "ai.usage.promptTokens": 1000, "ai.usage.completionTokens": 100, "ai.response.finishReason": "stop"},
        [],
        {"operation": "chat", "role": "call", "provider": "openai", "request_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100, "input": ASKED, "output": SAID},
    ),
    "AI SDK 6, a call with tools and a cache": (
        "ai",
        {"ai.operationId": "ai.streamText.doStream", "ai.prompt.messages": [*PROMPT, {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "get_weather", "input": {"city": "Lisbon"}}]}, {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "toolName": "get_weather", "output": {"type": "text", "value": "18 C"}}]}], "ai.response.toolCalls": [{"toolCallId": "c1", "toolName": "get_weather", "input": {"city": "Lisbon"}}], "gen_ai.system": "anthropic.messages", "ai.usage.inputTokens": 1000, "ai.usage.outputTokens": 100, "ai.usage.inputTokenDetails.noCacheTokens": 400, "ai.usage.cachedInputTokens": 600, "ai.usage.reasoningTokens": 7, "ai.response.msToFirstChunk": 250.0, **GPT},
        [],
        {"operation": "chat", "provider": "anthropic", "cached_tokens": 600, "reasoning_tokens": 7, "ttft_s": 0.25, "input_tokens": 1000, "output": said(CALL), "input": [*ASKED, *said(CALL), {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "18 C"}]}]},
    ),
    "AI SDK, a tool": (
        "ai",
        {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "get_weather", "ai.toolCall.id": "c1", "ai.toolCall.args": '{"city":"Lisbon"}', "ai.toolCall.result": '"sunny"'},
        [],
        {"operation": "execute_tool", "role": "tool", "tool_name": "get_weather", "input": '{"city":"Lisbon"}', "output": "sunny"},
    ),
    "AI SDK, an embedding": (
        "ai",
        {"ai.operationId": "ai.embedMany.doEmbed", "ai.values": ['"weather?"'], "ai.embeddings": ["[0.1,0.2]"], "ai.usage.tokens": 3, "ai.model.id": "text-embedding-3-small", "ai.model.provider": "openai.embedding"},
        [],
        {"operation": "embeddings", "role": "call", "provider": "openai", "input_tokens": 3, "input": ASKED, "output": ""},
    ),
    "AI SDK 7, an embedding with what the conventions lack": (
        "gen_ai",
        {"gen_ai.operation.name": "embeddings", "gen_ai.provider.name": "openai", "gen_ai.request.model": "text-embedding-3-small", "gen_ai.usage.input_tokens": 3, "ai.values": ['"weather?"'], "ai.embeddings": ["[0.1]"], "ai.settings.context.sessionId": "s-1", "ai.settings.context.userId": "u-1", "ai.settings.context.plan": "gold"},
        [],
        {"role": "call", "input": ASKED, "output": "", "conversation_id": "s-1", "user_id": "u-1", "tags": {"plan": "gold"}, "input_tokens": 3},
    ),
    "AI SDK 7, reasoning": (
        "gen_ai",
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "ai.usage.outputTokenDetails.reasoningTokens": 7, **GPT},
        [],
        {"role": "call", "reasoning_tokens": 7},
    ),
    "MCP, a server's session": (
        "mcp-python-sdk",
        {"mcp.method.name": "tools/call", "mcp.session.id": "m-1", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "kind": 2},
        [],
        {"role": "tool", "conversation_id": "m-1", "tool_name": "get_weather"},
    ),
    "MCP, a client's connection": (
        "mcp-python-sdk",
        {"mcp.method.name": "tools/call", "mcp.session.id": "m-1", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "kind": 3},
        [],
        {"role": "tool", "conversation_id": ""},
    ),
    "tokens that a library estimates": (
        "opentelemetry.instrumentation.genai.dspy",
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "evalspan.usage.estimated": True, **GPT},
        [],
        {"role": "call", "input_tokens": None, "output_tokens": None, "unpriced_reason": "no token counts were sent"},
    ),
    "AI SDK 5, Anthropic's total without its cache": (
        "ai",
        {"ai.operationId": "ai.streamText.doStream", "ai.model.id": "claude-sonnet-4-5", "ai.model.provider": "anthropic.messages", "gen_ai.system": "anthropic.messages", "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100, "ai.usage.inputTokens": 1000, "ai.usage.cachedInputTokens": 300, "ai.response.providerMetadata": {"anthropic": {"usage": {"input_tokens": 1000}, "cacheCreationInputTokens": 200}}},
        [],
        {"operation": "chat", "provider": "anthropic", "input_tokens": 1500, "cached_tokens": 300, "output_tokens": 100},
    ),
    "AI SDK 4, Anthropic's cache in the provider's own words": (
        "ai",
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "claude-sonnet-4-5", "ai.model.provider": "anthropic.messages", "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100, "ai.response.providerMetadata": {"anthropic": {"cacheCreationInputTokens": None, "cacheReadInputTokens": 300}}},
        [],
        {"input_tokens": 1300, "cached_tokens": 300},
    ),
    "AI SDK 5, Bedrock": (
        "ai",
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "x", "ai.model.provider": "amazon-bedrock", "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100, "ai.usage.cachedInputTokens": 300, "ai.response.providerMetadata": {"bedrock": {"usage": {"cacheWriteInputTokens": 200}}}},
        [],
        {"input_tokens": 1500, "cached_tokens": 300, "provider": "aws.bedrock"},
    ),
    "AI SDK 4, OpenAI's total has its cache": (
        "ai",
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "gpt-4o", "ai.model.provider": "openai.chat", "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100, "ai.response.providerMetadata": {"openai": {"cachedPromptTokens": 300, "reasoningTokens": 7}}},
        [],
        {"input_tokens": 1000, "cached_tokens": 300, "reasoning_tokens": 7},
    ),
    "AI SDK 6, Anthropic's total with its cache": (
        "ai",
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "claude-sonnet-4-5", "ai.model.provider": "anthropic.messages", "gen_ai.usage.input_tokens": 1500, "gen_ai.usage.output_tokens": 100, "ai.usage.inputTokenDetails.noCacheTokens": 1000, "ai.usage.inputTokenDetails.cacheReadTokens": 300, "ai.usage.inputTokenDetails.cacheWriteTokens": 200, "ai.response.providerMetadata": {"anthropic": {"cacheCreationInputTokens": 200}}},
        [],
        {"input_tokens": 1500, "cached_tokens": 300},
    ),
    "AI SDK 7's older telemetry, an object": (
        "ai",
        {"ai.operationId": "ai.generateObject.doGenerate", "ai.model.id": "claude-sonnet-4-5", "ai.model.provider": "anthropic.messages", "gen_ai.usage.input_tokens": 1300, "ai.usage.inputTokens": 1300, "ai.usage.outputTokens": 100, "ai.usage.cachedInputTokens": 300, "ai.response.providerMetadata": {"anthropic": {"usage": {"input_tokens": 1000, "cache_read_input_tokens": 300}}}},
        [],
        {"input_tokens": 1300, "cached_tokens": 300},
    ),
    "Strands with Claude: the total of all proves that the input is without its cache": (
        "strands.telemetry.tracer",
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "strands-agents", "gen_ai.request.model": "claude-sonnet-4-5", "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100, "gen_ai.usage.total_tokens": 1600, "gen_ai.usage.cache_read.input_tokens": 300, "gen_ai.usage.cache_creation.input_tokens": 200},
        [],
        {"input_tokens": 1500, "cached_tokens": 300},
    ),
    "Strands with OpenAI: the total proves nothing to add": (
        "strands.telemetry.tracer",
        {"gen_ai.operation.name": "chat", "gen_ai.usage.total_tokens": 1100, "gen_ai.usage.cache_read.input_tokens": 300, **GPT},
        [],
        {"input_tokens": 1000, "cached_tokens": 300},
    ),
    "OpenInference with Bedrock: the total of all proves it, too": (
        "openinference.instrumentation.bedrock",
        {"openinference.span.kind": "LLM", "llm.model_name": "x", "llm.token_count.prompt": 1000, "llm.token_count.completion": 100, "llm.token_count.total": 1400, "llm.token_count.prompt_details.cache_read": 300},
        [],
        {"input_tokens": 1300, "cached_tokens": 300, "output_tokens": 100},
    ),
    "Pydantic AI's cost beside the computed one": ("pydantic-ai", {"gen_ai.operation.name": "chat", "operation.cost": 0.5, **GPT}, [], {"reported_cost_usd": 0.5, "cost_usd": 0.5}),
    "OpenInference's cost": ("openinference.instrumentation.litellm", {"openinference.span.kind": "LLM", "llm.cost.total": 0.5, **GPT}, [], {"reported_cost_usd": 0.5, "cost_usd": 0.5}),
    "a cost of nothing is none": ("openinference.instrumentation.litellm", {"openinference.span.kind": "LLM", "llm.cost.total": 0.0, **GPT}, [], {"reported_cost_usd": None}),
    "MLflow's cost": ("mlflow", {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.cost": {"input_cost": 0.25, "output_cost": 0.25, "total_cost": 0.5}, **GPT}, [], {"reported_cost_usd": 0.5, "cost_usd": 0.5}),
    "Langfuse's cost": ("langfuse-sdk", {"langfuse.observation.type": "generation", "langfuse.observation.cost_details": {"total": 0.5}, **GPT}, [], {"reported_cost_usd": 0.5, "cost_usd": 0.5}),
    "LiteLLM's proxy": (
        "litellm",
        {"llm.request.type": "acompletion", "gen_ai.provider.name": "openai", "gen_ai.cost.total_cost": 0.25, "gen_ai.usage.total_tokens": 1100, **GPT},
        [],
        {"operation": "chat", "role": "call", "reported_cost_usd": 0.25, "cost_usd": 0.25},
    ),
    "LiteLLM's proxy, a failed call": (
        "litellm",
        {"llm.request.type": "aanthropic_messages", "gen_ai.request.model": "claude-sonnet-4-5"},
        [],
        {"operation": "chat", "role": "call", "input_tokens": None},
    ),
    "messages in the event of the conventions": (
        "strands.telemetry.tracer",
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "strands-agents", **GPT},
        [(DETAILS, {"gen_ai.input.messages": json.dumps(ASKED), "gen_ai.system_instructions": [{"type": "text", "content": "be kind"}]}), (DETAILS, {"gen_ai.output.messages": json.dumps(SAID)})],
        {"input": ASKED, "output": SAID, "role": "call", "events": []},
    ),
    "a tool's events": (
        "strands.telemetry.tracer",
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather"},
        [("gen_ai.tool.message", {"role": "tool", "content": '{"city":"Lisbon"}', "id": "c1"}), ("gen_ai.choice", {"message": '[{"text": "sunny"}]', "id": "c1"})],
        {"role": "tool", "input": '{"city":"Lisbon"}', "output": '[{"text": "sunny"}]'},
    ),
    "Bedrock's blocks": (
        "strands.telemetry.tracer",
        {"gen_ai.operation.name": "chat", **GPT},
        [("gen_ai.user.message", {"content": '[{"text": "weather?"}]'}), ("gen_ai.choice", {"message": '[{"text": "let me see"}, {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Lisbon"}}}]', "finish_reason": "tool_use"})],
        {"input": ASKED, "output": said({"type": "text", "content": "let me see"}, CALL)},
    ),
    "OpenInference, output_text": (
        "@arizeai/openinference-instrumentation-openai",
        {"openinference.span.kind": "LLM", f"{OI}role": "assistant", f"{OI}contents.0.message_content.type": "output_text", f"{OI}contents.0.message_content.text": "sunny", "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.contents.0.message_content.type": "input_text", "llm.input_messages.0.message.contents.0.message_content.text": "weather?", "output.value": "{}", "llm.provider": "aws"},
        [],
        {"operation": "chat", "role": "call", "provider": "aws.bedrock", "input": ASKED, "output": SAID},
    ),
    "OpenInference, content and contents": (
        "openinference.instrumentation.openai_agents",
        {"openinference.span.kind": "LLM", f"{OI}role": "assistant", f"{OI}content": "sunny", f"{OI}contents.0.message_content.type": "text", f"{OI}contents.0.message_content.text": "sunny", "llm.provider": "google"},
        [],
        {"output": SAID, "provider": "gcp.gemini"},
    ),
    "OpenInference, an agent named for its method": (
        "openinference.instrumentation.crewai",
        {"openinference.span.kind": "AGENT", "span": "Forecaster._execute_core"},
        [],
        {"role": "agent", "agent_name": "Forecaster"},
    ),
    "Pydantic AI, an agent": (
        "pydantic-ai",
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "weather", "logfire.msg": "weather run", "logfire.json_schema": "{}", "final_result": "sunny", "pydantic_ai.all_messages": json.dumps([*ASKED, *SAID])},
        [],
        {"operation": "invoke_agent", "role": "agent", "agent_name": "weather", "input": ASKED, "output": SAID},
    ),
    "Pydantic AI 1, an agent": (
        "pydantic-ai",
        {"agent_name": "weather", "logfire.msg": "weather run", "final_result": "sunny", "all_messages_events": json.dumps([{"role": "user", "content": "weather?", "event.name": "gen_ai.user.message"}])},
        [],
        {"operation": "invoke_agent", "role": "agent", "agent_name": "weather", "input": ASKED, "output": SAID},
    ),
    "Pydantic AI, a tool": (
        "pydantic-ai",
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.arguments": "{}", "logfire.msg": "running tool"},
        [],
        {"operation": "execute_tool", "role": "tool", "input": "{}"},
    ),
    "Logfire, the opening of a stream": (
        "logfire.openai",
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "logfire.msg": "streaming"},
        [],
        {"operation": "", "role": "other"},
    ),
    "ADK, a call": (
        "gcp.vertex.agent",
        {"gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-flash", "gcp.vertex.agent.llm_request": {"model": "gemini-2.5-flash", "config": {"system_instruction": "be kind"}, "contents": [{"role": "user", "parts": [{"text": "weather?"}]}]}, "gcp.vertex.agent.llm_response": {"content": {"role": "model", "parts": [{"text": "sunny"}]}, "usage_metadata": {"prompt_token_count": 20, "candidates_token_count": 3, "thoughts_token_count": 2}}, "gcp.vertex.agent.session_id": "s-1"},
        [],
        {"operation": "generate_content", "role": "call", "provider": "gcp.vertex_ai", "conversation_id": "s-1", "input_tokens": 20, "output_tokens": 5, "input": [*said({"type": "text", "content": "be kind"}, role="system"), *ASKED], "output": SAID},
    ),
    "Langfuse, buckets": (
        "langfuse-sdk",
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o", "langfuse.observation.usage_details": {"input": 500, "input_cached_tokens": 1000, "output": 50}},
        [],
        {"input_tokens": 1500, "cached_tokens": 1000, "output_tokens": 50},
    ),
    "Logfire, Anthropic's names": (
        "logfire.anthropic",
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": 50, "gen_ai.usage.raw": {"input_tokens": 500, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 200, "output_tokens": 50}, "logfire.msg": "call"},
        [],
        {"input_tokens": 1000, "cached_tokens": 300},
    ),
    "MLflow, an older release": (
        "mlflow",
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.chat.tokenUsage": {"input_tokens": 500, "output_tokens": 50, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200}},
        [],
        {"input_tokens": 1700, "cached_tokens": 1000},
    ),
    "a search in a vector store": ("opentelemetry.instrumentation.langchain", {"gen_ai.operation.name": "vector_db_retrieve"}, [], {"role": "retrieval"}),
    "OpenLIT's search": ("openlit.otel.tracing", {"gen_ai.operation.name": "vectordb", "gen_ai.system": "chroma"}, [], {"role": "retrieval", "operation": "retrieval"}),
    "a workflow of the conventions": ("x", {"gen_ai.operation.name": "invoke_workflow", "gen_ai.agent.name": "triage", "gen_ai.retrieval.top_k": 3}, [], {"role": "workflow", "agent_name": "triage"}),
    "memory": ("x", {"gen_ai.operation.name": "search_memory"}, [], {"role": "retrieval", "operation": "search_memory"}),
    "a plan": ("x", {"gen_ai.operation.name": "plan", **GPT}, [], {"role": "other", "operation": "plan", "input_tokens": None}),
    "an operation of one's own": ("x", {"gen_ai.operation.name": "execute_event_loop_cycle", **GPT}, [], {"role": "other", "input_tokens": None}),
    "an official instrumentor's older provider": ("opentelemetry.instrumentation.vertexai", {"gen_ai.operation.name": "chat", "gen_ai.system": "vertex_ai", **GPT}, [], {"provider": "gcp.vertex_ai"}),
    "another name of the provider alone": ("x", {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "azure", **GPT}, [], {"provider": "azure.ai.openai"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(store) -> dict[str, dict[str, Any]]:
    segments = []
    for number, (name, (scope_name, attributes, events, _)) in enumerate(SPANS.items(), 1):
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add().scope_spans.add()
        scope.scope.name = scope_name
        span = scope.spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name=str(attributes.get("span", name)),
            kind=attributes.get("kind", 0),
            start_time_unix_nano=START,
            end_time_unix_nano=START + 10**9,
        )
        told: list[tuple[Any, dict[str, Any]]] = [(span.events.add(name=kind), values) for kind, values in events]
        for target, values in [(span, attributes), *told]:
            for key, value in values.items():
                put(target.attributes.add(key=key).value, value)
        normalise(request)
        segments.append(b"".join(framing.frame(request.SerializeToString(), "dialects-newer", 1)))
    store.insert_otlp(b"".join(segments), token="dialects-newer")
    found = store.query("SELECT * FROM spans WHERE project = 'dialects-newer' ORDER BY trace_id").dicts()
    return dict(zip(SPANS, found, strict=True))


def put(target: Any, value: Any) -> None:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        for one in value:
            target.array_value.values.add().string_value = one
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    else:
        target.string_value = value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("name", SPANS)
def test_columns_hold_what_the_dialect_says(rows: dict[str, dict[str, Any]], name: str) -> None:
    row = rows[name]
    for column, wanted in SPANS[name][3].items():
        if column == "tags":
            found: Any = {key: row["attributes"].get(f"evalspan.tag.{key}") for key in wanted}
        else:
            found = row[column]
        if column in ("input", "output") and isinstance(wanted, list):
            found = json.loads(found) if found else found
            wanted = [*wanted]
            for message in found:
                message.pop("finish_reason", None)
        assert found == wanted, (name, column, found)


def test_no_text_is_a_python_repr(rows: dict[str, dict[str, Any]]) -> None:
    for name, row in rows.items():
        assert "{'" not in row["input"] + row["output"], name


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("aws", "aws.bedrock"),
        ("Bedrock", "aws.bedrock"),
        ("amazon-bedrock", "aws.bedrock"),
        ("aws.bedrock", "aws.bedrock"),
        ("google", "gcp.gemini"),
        ("google.generative-ai", "gcp.gemini"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("gcp.gemini", "gcp.gemini"),
        ("openai.responses", "openai"),
        ("azure.chat", "azure.ai.openai"),
        ("az.ai.inference", "azure.ai.inference"),
        ("Langchain", "langchain"),
        ("our-gateway", "our-gateway"),
        ("our.gateway", "our.gateway"),
        ("AWS Bedrock", "aws.bedrock"),
        ("amazon.bedrock", "aws.bedrock"),
        ("aws-bedrock", "aws.bedrock"),
        ("Azure OpenAI", "azure.ai.openai"),
        ("AzureOpenAI", "azure.ai.openai"),
        ("azure-ai", "azure.ai.inference"),
        ("Google AI Studio", "gcp.gemini"),
        ("google-vertex-ai", "gcp.vertex_ai"),
        ("vertex-ai", "gcp.vertex_ai"),
        ("mistral-ai", "mistral_ai"),
        ("Mistral AI", "mistral_ai"),
        ("x.ai", "x_ai"),
        ("deepseek.chat", "deepseek"),
        ("ibm.watsonx.ai", "ibm.watsonx.ai"),
        ("gcp.gen_ai", "gcp.gen_ai"),
        ("", ""),
    ],
)
def test_a_provider_has_one_name(name: str, wanted: str) -> None:
    assert canonical(name) == wanted


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ([{"text": "a"}, {"toolResult": {"toolUseId": "c1", "content": [{"text": "18 C"}]}}], [{"type": "text", "content": "a"}, {"type": "tool_call_response", "id": "c1", "response": "18 C"}]),
        ([{"reasoningContent": {"reasoningText": {"text": "hm"}}}], [{"type": "reasoning", "content": "hm"}]),
        ([{"function_call": {"name": "f", "args": {"a": 1}}}], [{"type": "tool_call", "name": "f", "arguments": {"a": 1}}]),
        ([{"type": "text", "text": "a"}], [{"type": "text", "content": "a"}]),
        ({"role": "user", "content": {"odd": [1]}}, [{"type": "text", "content": '{"odd":[1]}'}]),
    ],
)  # fmt: skip
def test_blocks_without_a_type_are_read_by_their_key(sent: Any, wanted: Any) -> None:
    assert messages(sent)[0]["parts"] == wanted


def test_the_spans_of_a_run_have_its_conversation_and_user_whatever_their_order() -> None:
    """The AI SDK 7 says them on the run; a circle of parents ends, and what a span says itself stays."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    scope.scope.name = "gen_ai"
    parents = {5: 4, 4: 3, 3: 1, 2: 1, 1: 0, 6: 7, 7: 6, 8: 1}
    own = {1: {"sessionId": "s-1", "userId": "u-1"}, 8: {"sessionId": "s-8"}}
    for number, parent in parents.items():
        span = scope.spans.add(span_id=number.to_bytes(8, "big"), parent_span_id=parent.to_bytes(8, "big"))
        for name, value in own.get(number, {}).items():
            span.attributes.add(key=f"ai.settings.context.{name}").value.string_value = value
    normalise(request)
    found = {
        int.from_bytes(span.span_id, "big"): tuple(
            next((pair.value.string_value for pair in span.attributes if pair.key == key), None)
            for key in ("gen_ai.conversation.id", "user.id")
        )
        for span in scope.spans
    }
    of_the_run = ("s-1", "u-1")
    assert found == {**dict.fromkeys((1, 2, 3, 4, 5), of_the_run), 6: (None, None), 7: (None, None), 8: ("s-8", "u-1")}
