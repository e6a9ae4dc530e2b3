"""One name for each provider: instrumentors write `aws`, `bedrock` and `amazon-bedrock`, the conventions `aws.bedrock`."""

from __future__ import annotations

_NAMES = {
    "openai": "openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "az.ai.openai": "azure.ai.openai",
    "azure.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "azure_ai_inference": "azure.ai.inference",
    "azure_ai": "azure.ai.inference",
    "anthropic": "anthropic",
    "claude": "anthropic",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "amazon": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google-genai": "gcp.gemini",
    "google_generativeai": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "google-vertex": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
    "gcp.vertex.agent": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "grok": "x_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "ibm": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "groq": "groq",
    "perplexity": "perplexity",
    # Below: as they are with every separator as "_".
    "azureopenai": "azure.ai.openai",
    "openai_azure": "azure.ai.openai",
    "azure_ai_openai": "azure.ai.openai",
    "azure_ai_foundry": "azure.ai.inference",
    "azure_inference": "azure.ai.inference",
    "anthropic_claude": "anthropic",
    "anthropic_vertex": "gcp.vertex_ai",
    "anthropic_bedrock": "aws.bedrock",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "googleai": "gcp.gemini",
    "google_ai": "gcp.gemini",
    "google_ai_studio": "gcp.gemini",
    "google_gemini": "gcp.gemini",
    "gemini_api": "gcp.gemini",
    "google_vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "gcp_vertex": "gcp.vertex_ai",
    "mistral_ai": "mistral_ai",
    "x_ai": "x_ai",
    "xai_grok": "x_ai",
    "deep_seek": "deepseek",
    "deepseek_ai": "deepseek",
    "cohere_chat": "cohere",
    "groq_cloud": "groq",
    "groqcloud": "groq",
    "perplexity_ai": "perplexity",
    "ibm_watsonx": "ibm.watsonx.ai",
    "watsonx_ai": "ibm.watsonx.ai",
}
# The Vercel AI SDK and others put the kind of API behind the provider: openai.responses, anthropic.messages.
_APIS = ("chat", "responses", "completion", "completions", "messages", "embedding", "textembedding", "image", "text", "speech", "transcription")  # fmt: skip


def canonical(name: str) -> str:
    """The conventions' name of a provider, in lower case; one that is not known stays itself."""
    lower = name.strip().lower()
    if lower in _NAMES:
        return _NAMES[lower]
    joined = lower.replace("-", "_").replace(" ", "_").replace(".", "_")
    if joined in _NAMES:
        return _NAMES[joined]
    maker, _, api = lower.rpartition(".")
    if maker and api.replace("-", "") in _APIS:
        return canonical(maker)
    return lower
