"""The one table of frameworks and LLM libraries: what is imported, who can trace it, in which order, what to install."""

from __future__ import annotations

from typing import NamedTuple

# How an instrumentor is told whether content is recorded, and by whom it is published.
OFFICIAL, OPENINFERENCE, OPENLLMETRY = "official", "OpenInference", "OpenLLMetry"


class Instrumentor(NamedTuple):
    """A published package with an `opentelemetry_instrumentor` entry point."""

    package: str
    family: str


class Framework(NamedTuple):
    """One framework or library: its import is what switches its instrumentor on."""

    name: str
    package: str
    """Distribution that has the release."""
    module: str
    """Switched on when this has been imported ..."""
    instrumentors: tuple[Instrumentor, ...] = ()
    """Best first."""
    native: bool = False
    """Traces itself; `native.py` says how it is switched on."""
    through: tuple[str, ...] = ()
    """... and none of these is still being imported: the instrumentor patches them, too."""
    extra: str = ""
    """`evalspan[extra]` brings what is missing."""
    carries_calls: bool = True
    """Whether calls are lost without it; else they are traced one by one, without the tree around them."""
    proof: str = ""
    """`module:Class.method` that has a wrapper once the instrumentor is attached."""
    scope: str = ""
    """Beginning of the scope of its own spans, where it traces itself."""


def release_of(name: str, package: str, version: str) -> str:
    """Name and release; the distribution as well where that has another name."""
    return f"{name} {version}" if name == package else f"{name} ({package} {version})"


def _official(name: str) -> Instrumentor:
    return Instrumentor(f"opentelemetry-instrumentation-genai-{name}", OFFICIAL)


def _openinference(name: str) -> Instrumentor:
    return Instrumentor(f"openinference-instrumentation-{name}", OPENINFERENCE)


def _openllmetry(name: str) -> Instrumentor:
    return Instrumentor(f"opentelemetry-instrumentation-{name}", OPENLLMETRY)


# The order is official, OpenInference, OpenLLMetry, but where the official one sees less: that of smolagents makes no
# spans of tools. docs/frameworks.md has the releases that were tried.
FRAMEWORKS = (
    Framework(
        "langchain",
        "langchain-core",
        "langchain_core",
        (_official("langchain"), _openinference("langchain"), _openllmetry("langchain")),
        through=("langgraph.pregel",),
        extra="langchain",
        carries_calls=False,
        proof="langchain_core.callbacks:BaseCallbackManager.__init__",
    ),
    Framework(
        "openai-agents",
        "openai-agents",
        "agents",
        (_official("openai-agents"), _openinference("openai-agents"), _openllmetry("openai-agents")),
        extra="openai-agents",
        carries_calls=False,
    ),
    Framework(
        "llama-index",
        "llama-index-core",
        "llama_index.core",
        (_official("llama-index"), _openinference("llama-index"), _openllmetry("llamaindex")),
        extra="llama-index",
        carries_calls=False,
    ),
    Framework(
        "crewai",
        "crewai",
        "crewai",
        (_openinference("crewai"), _openllmetry("crewai")),
        extra="crewai",
        carries_calls=False,
    ),
    Framework(
        "dspy",
        "dspy",
        "dspy",
        (_official("dspy"), _openinference("dspy")),
        extra="dspy",
        carries_calls=False,
    ),
    Framework(
        "smolagents",
        "smolagents",
        "smolagents",
        (_openinference("smolagents"), _official("smolagents")),
        extra="smolagents",
        carries_calls=False,
        proof="smolagents:MultiStepAgent.run",
    ),
    Framework(
        "haystack",
        "haystack-ai",
        "haystack",
        (_openinference("haystack"), _openllmetry("haystack")),
        extra="haystack",
        carries_calls=False,
    ),
    Framework("litellm", "litellm", "litellm", (_openinference("litellm"),), extra="litellm"),
    Framework(
        "google-genai",
        "google-genai",
        "google.genai",
        (
            Instrumentor("opentelemetry-instrumentation-google-genai", OFFICIAL),
            _openinference("google-genai"),
            _openllmetry("google-generativeai"),
        ),
        extra="google-genai",
    ),
    Framework(
        "bedrock",
        "botocore",
        "botocore.client",
        (_openinference("bedrock"), _official("bedrock"), _openllmetry("bedrock")),
        extra="bedrock",
    ),
    Framework(
        "mistral",
        "mistralai",
        "mistralai.client",
        (_openinference("mistralai"), _openllmetry("mistralai")),
        extra="mistral",
        proof="mistralai.client.chat:Chat.complete",
    ),
    Framework(
        "claude-agent-sdk",
        "claude-agent-sdk",
        "claude_agent_sdk",
        (_openinference("claude-agent-sdk"),),
        extra="claude-agent-sdk",
    ),
    Framework(
        "instructor",
        "instructor",
        "instructor",
        (_openinference("instructor"), _openllmetry("instructor")),
        extra="instructor",
        carries_calls=False,
    ),
    Framework("mcp", "mcp", "mcp", (_openinference("mcp"),), carries_calls=False),
    Framework(
        "pydantic-ai",
        "pydantic-ai-slim",
        "pydantic_ai",
        native=True,
        extra="pydantic-ai",
        scope="pydantic-ai",
        carries_calls=False,
    ),
    Framework("strands", "strands-agents", "strands", native=True, extra="strands", scope="strands"),
    Framework(
        "agent-framework",
        "agent-framework-core",
        "agent_framework",
        native=True,
        extra="agent-framework",
        scope="agent_framework",
    ),
    Framework(
        "autogen",
        "autogen-agentchat",
        "autogen_agentchat.agents",
        native=True,
        through=("autogen_agentchat.teams",),
        extra="autogen",
        carries_calls=False,
        scope="autogen",
    ),
    Framework(
        "semantic-kernel",
        "semantic-kernel",
        "semantic_kernel",
        native=True,
        extra="semantic-kernel",
        scope="semantic_kernel",
    ),
    Framework("cohere", "cohere", "cohere", (_openinference("cohere"), _openllmetry("cohere"))),
    Framework("groq", "groq", "groq", (_openinference("groq"), _openllmetry("groq"))),
    Framework("ollama", "ollama", "ollama", (_openinference("ollama"), _openllmetry("ollama"))),
    Framework("together", "together", "together", (_openinference("together"), _openllmetry("together"))),
    Framework(
        "vertexai", "google-cloud-aiplatform", "vertexai", (_openinference("vertexai"), _openllmetry("vertexai"))
    ),
    Framework("agno", "agno", "agno", (_official("agno"), _openinference("agno")), carries_calls=False),
    Framework("google-adk", "google-adk", "google.adk", (_openinference("google-adk"),), carries_calls=False),
    Framework("vllm", "vllm", "vllm"),
    Framework("replicate", "replicate", "replicate", (_openllmetry("replicate"),)),
    Framework("writer", "writer-sdk", "writerai", (_openllmetry("writer"),)),
    Framework("watsonx", "ibm-watsonx-ai", "ibm_watsonx_ai", (_openllmetry("watsonx"),)),
    Framework("aleph-alpha", "aleph-alpha-client", "aleph_alpha_client", (_openllmetry("alephalpha"),)),
    Framework(
        "google-generativeai", "google-generativeai", "google.generativeai", (_openllmetry("google-generativeai"),)
    ),
    Framework("portkey", "portkey-ai", "portkey_ai", (_openinference("portkey"),)),
    Framework("cerebras", "cerebras-cloud-sdk", "cerebras.cloud.sdk"),
    Framework("fireworks", "fireworks-ai", "fireworks"),
    Framework("ai21", "ai21", "ai21"),
    Framework("openrouter", "openrouter", "openrouter"),
    Framework("voyageai", "voyageai", "voyageai"),
)
BY_NAME = {framework.name: framework for framework in FRAMEWORKS}
# Traced by our own hooks; never by an instrumentor of others that we would switch on.
OUR_SDKS = ("openai", "anthropic")
