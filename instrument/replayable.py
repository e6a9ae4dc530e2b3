"""Which HTTP requests ask a model something that the same bytes ask again, and which answers are worth keeping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

_PATHS = ("/chat/completions", "/completions", "/responses", "/messages", "/embeddings")
_GEMINI_METHODS = (":generateContent", ":streamGenerateContent", ":embedContent", ":batchEmbedContents")
# With these the answer depends on what the server keeps, not on what is sent.
_SERVER_STATE = ("previous_response_id", "conversation", "background", "container", "mcp_servers", "cachedContent")
_CLIENT_TOOLS = (None, "function", "custom")
_NOT_FINISHED = ("length", "content_filter", "max_tokens", "refusal", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER")


def is_model_request(method: str, path: str, body: bytes) -> bool:
    """Whether this asks a model through an API that we know, with everything that decides the answer in the request."""
    gemini = path.endswith(_GEMINI_METHODS)
    if method.upper() != "POST" or not (gemini or path.endswith(_PATHS)):
        return False
    asked = _json(body)
    if not isinstance(asked, dict) or any(asked.get(name) for name in _SERVER_STATE):
        return False
    names_model = gemini or isinstance(asked.get("model"), str) or "/deployments/" in path
    # A stored prompt of the Responses API is edited on the server, and a server's own tool looks at the world.
    stored_prompt = isinstance(asked.get("prompt"), dict)
    tools = asked.get("tools") or ()
    own_tools = isinstance(tools, Sequence) and all(
        isinstance(tool, dict) and (tool.get("type") in _CLIENT_TOOLS) and not ({"google_search", "url_context", "code_execution"} & tool.keys())
        for tool in tools
    )  # fmt: skip
    return names_model and own_tools and not stored_prompt


def is_usable_answer(status: int, content_type: str, body: bytes) -> bool:
    """Whether the answer (uncompressed) is complete: no error, also none inside a 200; not cut off, filtered or empty."""
    if status != 200:
        return False
    if "text/event-stream" in content_type.lower():
        return _is_whole_stream(body)
    answer = _json(body)
    if isinstance(answer, list):  # Gemini streams an array when no SSE is asked for
        return bool(answer) and all(_is_finished(one) for one in answer)
    return isinstance(answer, dict) and _is_finished(answer) and _says_something(answer)


def _is_whole_stream(text: bytes) -> bool:
    events = list(_events(text))
    ended = b"data: [DONE]" in text or any(
        isinstance(one, dict)
        and (one.get("type") in ("message_stop", "response.completed") or _finish_reasons(one, "finishReason"))
        for one in events
    )
    return ended and all(_is_finished(one) for one in events)


def _events(text: bytes) -> Iterator[Any]:
    for line in text.splitlines():
        if line.startswith(b"data:") and (data := line[5:].strip()) != b"[DONE]":
            yield _json(data)


def _is_finished(answer: Any) -> bool:
    """Nothing in this answer, or in this part of a stream, says that the model failed or was stopped."""
    if not isinstance(answer, dict) or answer.get("error") or answer.get("type") in ("error", "response.failed"):
        return False
    if answer.get("object") == "response" and answer.get("status") not in (None, "completed"):
        return False
    delta = answer.get("delta")
    stops = [answer.get("stop_reason"), delta.get("stop_reason") if isinstance(delta, dict) else None]
    stops += [*_finish_reasons(answer, "finish_reason"), *_finish_reasons(answer, "finishReason")]
    return answer.get("type") != "response.incomplete" and not any(stop in _NOT_FINISHED for stop in stops)


def _finish_reasons(answer: dict[str, Any], name: str) -> list[Any]:
    choices = answer.get("choices") or answer.get("candidates") or ()
    return [one.get(name) for one in choices if isinstance(one, dict) and one.get(name)]


def _says_something(answer: dict[str, Any]) -> bool:
    """Whether a whole answer holds a text, a tool call or vectors."""
    for name in ("choices", "candidates", "content", "output", "data", "embedding", "embeddings"):
        if name in answer:
            parts = answer[name]
            break
    else:
        return False
    if name != "choices":
        return bool(parts)
    return bool(parts) and all(isinstance(one, dict) and _choice_says_something(one) for one in parts)


def _choice_says_something(choice: dict[str, Any]) -> bool:
    message = choice.get("message")
    if not isinstance(message, dict):
        return bool(choice.get("text"))
    return bool(message.get("content") or message.get("tool_calls") or message.get("audio"))


def _json(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
