"""Which calls of the openai SDK become spans: from a request's path to the surface that can read it."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ..surface import Surface
from .chat import Chat, Completion
from .media import Embeddings, Images, Moderations, Speech, Transcriptions
from .responses import FetchResponse, Responses

NAME = "openai"

SURFACES: dict[str, Surface] = {
    "/chat/completions": Chat(),
    "/completions": Completion(),
    "/responses": Responses(),
    "/embeddings": Embeddings(),
    "/images/generations": Images(),
    "/images/edits": Images(),
    "/images/variations": Images(),
    "/audio/transcriptions": Transcriptions(),
    "/audio/translations": Transcriptions(),
    "/audio/speech": Speech(),
    "/moderations": Moderations(),
}
_FETCH = FetchResponse()

# Many providers speak this API; the host says whose it is.
_HOSTS = {
    "api.openai.com": "openai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
}
_SUFFIXES = (
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".amazonaws.com", "aws.bedrock"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
)


def surface(method: str, url: str) -> Surface | None:
    """The surface of a request, None for one that is passed through untouched."""
    found = SURFACES.get(url)
    if found is not None:
        return found if method != "get" else None
    path = url.partition("?")[0]
    if method != "get":
        return SURFACES.get(path)
    # `/responses/{id}`, and nothing below it.
    return _FETCH if path.startswith("/responses/") and path.count("/") == 2 else None


def provider(client: Any, host: str) -> str:
    """Who answers, as the conventions name providers."""
    known = _HOSTS.get(host)
    if known is not None:
        return known
    for suffix, name in _SUFFIXES:
        if host.endswith(suffix):
            return name
    azure = any("Azure" in kind.__name__ for kind in type(client).__mro__)
    return semconv.PROVIDER_AZURE if azure else semconv.PROVIDER_OPENAI
