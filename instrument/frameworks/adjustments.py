"""What single frameworks need beside their instrumentor, each told with the fault of theirs that it mends."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib import import_module
from typing import Any

from opentelemetry import trace
from opentelemetry.context import attach, get_current

from .. import semconv
from ..decorators import observe
from ..import_hooks import when_imported
from ..safe_call import safe_call
from .claude_messages import ClaudeCalls
from .embedding_calls import async_embeddings_hook, embeddings_hook
from .gemini_calls import trace_requests
from .patches import Patches
from .policy import set_content

Adjustment = Callable[[Any, Patches], None]


# What LiteLLM's functions take by position, as far as apps do that.
_LITELLM = {
    "completion": ("model", "messages"),
    "acompletion": ("model", "messages"),
    "text_completion": ("prompt", "model"),
    "atext_completion": ("prompt", "model"),
    "embedding": ("model", "input"),
    "aembedding": ("model", "input"),
    "responses": ("input", "model"),
    "aresponses": ("input", "model"),
    "image_generation": ("prompt", "model"),
    "aimage_generation": ("prompt", "model"),
}


def litellm(instrumentor: Any, patches: Patches) -> None:
    """OpenInference reads model and messages by name only: what was given by position is passed on by name."""
    module = import_module("litellm")
    for name, leading in _LITELLM.items():
        patches.wrap(module, name, partial(_by_name, leading))
    patches.wrap(module, "stream_chunk_builder", _estimating)
    when_imported("litellm.integrations.opentelemetry", partial(_litellm_repeats, instrumentor, patches))


def _estimating(original: Any) -> Any:
    """It counts tokens itself where the stream brought no usage: the span that takes them over says so."""

    def stream_chunk_builder(chunks: Any, *args: Any, **kwargs: Any) -> Any:
        if not any(getattr(chunk, "usage", None) for chunk in chunks or ()):
            safe_call(trace.get_current_span().set_attribute, semconv.USAGE_ESTIMATED, True)
        return original(chunks, *args, **kwargs)

    return stream_chunk_builder


def _litellm_repeats(instrumentor: Any, patches: Patches, module: Any) -> None:
    """Its own telemetry, through a provider of its own, tells afterwards what has a span already: its spans count nothing."""

    def hook(original: Any) -> Any:
        def set_attributes(telemetry: Any, span: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(telemetry, span, *args, **kwargs)
            scope = getattr(getattr(span, "instrumentation_scope", None), "name", "")
            if scope == "litellm" and getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
                safe_call(span.set_attribute, semconv.ROLE, semconv.ROLE_OTHER)
            return result

        return set_attributes

    patches.wrap(module.OpenTelemetry, "set_attributes", hook)


def _by_name(names: tuple[str, ...], function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        if 0 < len(args) <= len(names) and not kwargs.keys() & set(names[: len(args)]):
            return function(**dict(zip(names, args, strict=False)), **kwargs)
        return function(*args, **kwargs)

    return call


def openai_agents(instrumentor: Any, patches: Patches) -> None:
    """`set_trace_processors([])` is how apps keep traces from OpenAI's backend: it does not switch ours off."""
    processor = getattr(instrumentor, "_processor", None)
    if processor is None:
        return

    def set_processors(original: Any) -> Any:
        def keep(processors: Any) -> Any:
            ours = getattr(instrumentor, "_processor", None)
            kept = [] if ours is None or ours in processors else [ours]
            return original([*processors, *kept])

        return keep

    patches.wrap(import_module("agents.tracing").get_trace_provider(), "set_processors", set_processors)


def smolagents(instrumentor: Any, patches: Patches) -> None:  # noqa: ARG001
    """OpenInference leaves the span of a failed run open, and current for whatever comes after."""

    def run(original: Any) -> Any:
        def run_and_end(agent: Any, *args: Any, **kwargs: Any) -> Any:
            before = get_current()
            try:
                return original.__get__(agent, type(agent))(*args, **kwargs)
            except BaseException:
                left = trace.get_current_span()
                if left is not trace.get_current_span(before):
                    safe_call(left.end)
                    attach(before)
                raise

        return run_and_end

    patches.wrap(import_module("smolagents").MultiStepAgent, "run", run)


def llama_index(instrumentor: Any, patches: Patches) -> None:  # noqa: ARG001
    """The official instrumentor has no span for a query engine: retrieval and answer would be traces of their own."""
    engine = import_module("llama_index.core.base.base_query_engine").BaseQueryEngine
    for name in ("query", "aquery"):
        patches.wrap(engine, name, observe(kind="workflow", name="query_engine"))


def claude_agent_sdk(instrumentor: Any, patches: Patches) -> None:  # noqa: ARG001
    """The package may have imported the bare `query`; and the calls that its program makes are told by its messages."""
    package, module = sys.modules["claude_agent_sdk"], sys.modules["claude_agent_sdk.query"]
    if package.query is not module.query:
        patches.wrap(package, "query", lambda _: module.query)
    parser = import_module("claude_agent_sdk._internal.message_parser")
    calls = ClaudeCalls()
    original = parser.parse_message
    for user in [one for one in list(sys.modules.values()) if getattr(one, "parse_message", None) is original]:
        patches.wrap(user, "parse_message", calls.hook)


def mistral(instrumentor: Any, patches: Patches) -> None:  # noqa: ARG001
    """OpenInference leaves embeddings out: they would be calls without a span."""
    embeddings = import_module("mistralai.client.embeddings").Embeddings
    patches.wrap(embeddings, "create", embeddings_hook("mistral_ai"))
    patches.wrap(embeddings, "create_async", async_embeddings_hook("mistral_ai"))


def autogen(instrumentor: Any, patches: Patches) -> None:  # noqa: ARG001
    """Its spans hold no content, and a team's messages are traces of their own without a span around the run."""
    teams = import_module("autogen_agentchat.teams").BaseGroupChat
    patches.wrap(teams, "run_stream", observe(kind="workflow", name="team"))
    agent = import_module("autogen_agentchat.agents").AssistantAgent
    patches.wrap(agent, "on_messages_stream", _autogen_agent)
    patches.wrap(import_module("autogen_core.tools").FunctionTool, "run", _autogen_tool)


def _autogen_agent(original: Any) -> Any:
    async def on_messages_stream(self: Any, messages: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        span = trace.get_current_span()
        asked = [{"role": "user", "parts": [_text(message)]} for message in messages or ()]
        safe_call(set_content, span, semconv.OPERATION_AGENT, {semconv.INPUT_MESSAGES: asked})
        async for item in original(self, messages, *args, **kwargs):
            if (said := getattr(item, "chat_message", None)) is not None:
                answer = [{"role": "assistant", "parts": [_text(said)], "finish_reason": "stop"}]
                safe_call(set_content, span, semconv.OPERATION_AGENT, {semconv.OUTPUT_MESSAGES: answer})
            yield item

    return on_messages_stream


def _autogen_tool(original: Any) -> Any:
    async def run(self: Any, args: Any, *rest: Any, **kwargs: Any) -> Any:
        span = trace.get_current_span()
        safe_call(set_content, span, semconv.OPERATION_TOOL, {semconv.TOOL_ARGUMENTS: safe_call(args.model_dump)})
        result = await original(self, args, *rest, **kwargs)
        safe_call(set_content, span, semconv.OPERATION_TOOL, {semconv.TOOL_RESULT: result})
        return result

    return run


def _text(message: Any) -> dict[str, str]:
    return {"type": "text", "content": str(safe_call(message.to_text) or "")}


def haystack(instrumentor: Any, patches: Patches) -> None:  # noqa: ARG001
    """OpenInference has no span for an agent, whose model calls would be traces of their own, nor for its tools."""
    agent = import_module("haystack.components.agents").Agent
    for name in ("run", "run_async"):
        patches.wrap(agent, name, observe(kind="agent", name="agent"))
    patches.wrap(import_module("haystack.tools").Tool, "invoke", _haystack_tool)


def _haystack_tool(original: Any) -> Any:
    def invoke(tool: Any, **arguments: Any) -> Any:
        def call(**given: Any) -> Any:
            return original(tool, **given)

        return observe(str(tool.name), kind="tool")(call)(**arguments)

    return invoke


def google_genai(instrumentor: Any, patches: Patches) -> None:  # noqa: ARG001
    """OpenInference has one span for all requests of an automatic function call."""
    trace_requests(patches)


ADJUSTMENTS: dict[str, Adjustment] = {
    "litellm": litellm,
    "mistral": mistral,
    "google-genai": google_genai,
    "openai-agents": openai_agents,
    "smolagents": smolagents,
    "llama-index": llama_index,
    "claude-agent-sdk": claude_agent_sdk,
    "autogen": autogen,
    "haystack": haystack,
}
