"""Which calls of the openai SDK become spans: from a request's path to the surface that can read it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ... import semconv
from ..surface import Surface

NAME = "openai"

_FETCH = "/responses/{id}"
# The module beside this one and the class that read a path: loaded at its first call, because few apps call them all.
_SURFACES = {
    "/chat/completions": ("chat", "Chat"),
    "/completions": ("chat", "Completion"),
    "/responses": ("responses", "Responses"),
    _FETCH: ("responses", "FetchResponse"),
    "/embeddings": ("media", "Embeddings"),
    "/images/generations": ("media", "Images"),
    "/images/edits": ("media", "Images"),
    "/images/variations": ("media", "Images"),
    "/audio/transcriptions": ("media", "Transcriptions"),
    "/audio/translations": ("media", "Transcriptions"),
    "/audio/speech": ("media", "Speech"),
    "/moderations": ("media", "Moderations"),
}
_loaded: dict[str, Surface] = {}

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
    path = url.partition("?")[0] if "?" in url else url
    if method == "get":
        # `/responses/{id}`, and nothing below it.
        path = _FETCH if path.startswith("/responses/") and path.count("/") == 2 else ""
    found = _loaded.get(path)
    if found is None and path in _SURFACES:
        module, name = _SURFACES[path]
        found = _loaded[path] = getattr(import_module(f".{module}", __package__), name)()
    return found


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
