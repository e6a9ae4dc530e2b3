"""The frameworks that are run for real: what is installed for each, and what its traces must show."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Case(NamedTuple):
    """One framework's app and its truth."""

    packages: tuple[str, ...]
    extra: str
    """The extra that a reader of the docs installs beside them."""
    version_of: str
    """Distribution whose release the table names."""
    agents: int = 0
    """Spans of agents at least, of tools, of retrieval."""
    tools: int = 0
    retrieval: int = 0
    conversations: tuple[str, ...] = ()
    lost: int = 0
    """Requests that no span counts, each explained in `note`."""
    inexact: int = 0
    """Calls whose own tokens are not the request's, though their sum is."""
    untold: int = 0
    """Calls whose tokens their instrumentor leaves out, though the API reports them."""
    silent_errors: bool = False
    """Its instrumentor has no span of a call that fails."""
    apart: tuple[str, ...] = ()
    """Steps that are several traces, because the framework's own run is."""
    note: str = ""


# Programs of tests/frameworks/javascript: their own telemetry alone, over plain OTLP.
JAVASCRIPT: dict[str, Case] = {
    "vercel_ai_4": Case((), "", "ai4", tools=2, agents=7, conversations=("sess-1",)),
    "vercel_ai_5": Case((), "", "ai5", tools=2, agents=7, conversations=("sess-1",)),
    "vercel_ai": Case((), "", "ai", tools=2, agents=7, conversations=("sess-1",)),
    "vercel_ai_7": Case((), "", "ai7", tools=2, agents=6, conversations=("sess-1",), note="with @ai-sdk/otel 1.0.173"),
    "openinference_js": Case(
        (),
        "",
        "@arizeai/openinference-instrumentation-openai",
        untold=2,
        silent_errors=True,
        note="it tells no tokens of streams and embeddings, and has no span of a call that fails",
    ),
    "traceloop_js": Case(
        (), "", "@traceloop/node-server-sdk", tools=1, silent_errors=True, note="it has no span of a call that fails"
    ),
}
CASES: dict[str, Case] = {
    "langchain": Case(
        ("langchain", "langgraph", "langchain-openai", "langchain-anthropic", "numpy"), "langchain", "langchain",
        agents=5, tools=4, retrieval=1, conversations=("thread-7", "thread-8", "thread-9"),
    ),
    "openai_agents": Case(("openai-agents",), "openai-agents", "openai-agents", agents=8, tools=5, conversations=("group-5",)),
    "pydantic_ai": Case(("pydantic-ai-slim[openai,anthropic]",), "pydantic-ai", "pydantic-ai-slim", agents=8, tools=4, conversations=("conv-3",)),
    "llama_index": Case(
        ("llama-index-core", "llama-index-llms-openai", "llama-index-embeddings-openai"), "llama-index", "llama-index-core",
        agents=2, tools=2, retrieval=1,
    ),
    "crewai": Case(("crewai",), "crewai", "crewai", agents=2, tools=2),
    "dspy": Case(("dspy", "numpy", "anthropic"), "dspy", "dspy", agents=1, tools=1, note="a stream has tokens with `track_usage=True`"),
    "smolagents": Case(("smolagents[openai,litellm]",), "smolagents", "smolagents", agents=4, tools=3),
    "haystack": Case(("haystack-ai",), "haystack", "haystack-ai", agents=1, tools=1, retrieval=1),
    "litellm": Case(("litellm", "anthropic"), "litellm", "litellm", note="a stream has tokens with `stream_options={'include_usage': True}`"),
    "google_genai": Case(("google-genai",), "google-genai", "google-genai", agents=8, tools=8),
    "bedrock": Case(("boto3", "langchain-aws"), "bedrock", "boto3"),
    "mistral": Case(("mistralai",), "mistral", "mistralai"),
    "claude_agent_sdk": Case(("claude-agent-sdk",), "claude-agent-sdk", "claude-agent-sdk", agents=1, tools=1, inexact=2, note="its program tells the output tokens of a run only: the sum is exact, the last call has what the others lack"),
    "strands": Case(("strands-agents>=1.60", "openai", "anthropic"), "strands", "strands-agents", agents=3, tools=2, conversations=("sess-1",)),
    "agent_framework": Case(("agent-framework-core", "agent-framework-openai"), "agent-framework", "agent-framework-core", agents=3, tools=2),
    "autogen": Case(("autogen-agentchat", "autogen-ext[openai]"), "autogen", "autogen-agentchat", agents=5, tools=2, apart=("agent", "stream", "team"), note="making an agent is a trace of its own"),
    "semantic_kernel": Case(("semantic-kernel",), "semantic-kernel", "semantic-kernel", agents=3, tools=1),
    "instructor": Case(("instructor", "anthropic"), "instructor", "instructor"),
}  # fmt: skip


def packages_of(name: str) -> list[str]:
    """What the environment of a framework holds beside what our instrumentation needs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    case = CASES[name]
    return [*case.packages, *extras[case.extra]]
