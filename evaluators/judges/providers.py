"""Talks to models: one async call to an OpenAI- or Anthropic-compatible endpoint, through the official SDKs.

Retries, pace, cache and budget are with the caller (`calling.py`); here a request becomes the provider's own shape and
the answer becomes a Reply.
"""

from __future__ import annotations

import asyncio
import enum
import os
import re
import weakref
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from ...errors import EvalspanError, UsageError, or_did_you_mean
from .request_parameters import parameters_of

_LOOPBACK_PORT = re.compile(r"(//(?:127\.0\.0\.1|localhost|\[::1\])):\d+")


class Message(msgspec.Struct, frozen=True):
    """One message of a judge's conversation."""

    role: Literal["user", "assistant"]
    text: str


class Request(msgspec.Struct, frozen=True):
    """All that decides what a model answers."""

    model: str
    system: str
    messages: tuple[Message, ...]
    temperature: float
    max_tokens: int
    schema_name: str
    schema: dict[str, Any] | None
    """JSON Schema of the answer, None for free text."""
    logprobs: bool = False


class TokenChoice(msgspec.Struct, frozen=True):
    """One token of the answer and the likeliest tokens at its place, with natural log-probabilities."""

    token: str
    alternatives: tuple[tuple[str, float], ...]


class Finish(enum.Enum):
    """How the model's answer ended."""

    ANSWERED = "answered"
    CUT_OFF = "cut_off"
    """At the limit of tokens: what is there may be half of it, or only the reasoning."""
    FILTERED = "filtered"
    REFUSED = "refused"
    ONLY_REASONING = "only_reasoning"


class Reply(msgspec.Struct, frozen=True):
    """What a model answered and used."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    tokens: tuple[TokenChoice, ...] = ()
    finish: Finish = Finish.ANSWERED


class MalformedReply(EvalspanError):
    """The endpoint answered, but not in the form of its API."""


class InnerError(EvalspanError):
    """An error that a gateway reported inside a 200; `status_code` is its own, 502 when it names none."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class Provider(Protocol):
    """An endpoint that judges can be asked through."""

    @property
    def key(self) -> str:
        """What shares one pace and one cache: provider and address."""

    async def complete(self, request: Request, timeout_s: float) -> Reply:
        """The model's answer; raises the SDK's own errors."""


class Dialect(msgspec.Struct, frozen=True):
    """What is particular to one provider: its client, its route, and how requests and replies are written."""

    host: str
    path: str
    client: Callable[..., Any]
    """Makes the SDK's async client; called first when a judge asks, so that the SDK is only then imported."""
    body: Callable[[Request, bool], dict[str, Any]]
    """The request's JSON; the flag says whether the server is another than the provider's own."""
    reply: Callable[[Any], Reply]


class Endpoint:
    """One provider's endpoint, asked through its official SDK."""

    def __init__(self, name: str, base_url: str | None, api_key: str | None) -> None:
        self.name = name
        variable = f"{name.upper()}_BASE_URL"
        self.base_url = base_url or os.environ.get(variable)
        if self.base_url and not re.match(r"https?://", self.base_url, re.IGNORECASE):
            said = "base_url" if base_url else variable
            raise UsageError(
                f"{said}={self.base_url!r} is no URL", hint=f"write the scheme, too: http://{self.base_url}"
            )
        self.api_key = api_key or os.environ.get(f"{name.upper()}_API_KEY")
        self.dialect = DIALECTS[name]
        self.key = f"{name} {self.base_url or self.dialect.host}"
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()

    async def complete(self, request: Request, timeout_s: float) -> Reply:
        """One answer, with the parameters that this server was found to accept."""
        client = self._connected()

        async def post(body: dict[str, Any]) -> Reply:
            try:
                answer = await client.post(self.dialect.path, body=body, cast_to=object, options={"timeout": timeout_s})
            except ValueError as error:  # what is no JSON
                raise self._malformed(str(error)) from error
            _raise_inner_error(answer, self.key)
            return self._read(answer)

        learned = parameters_of(self.key, request.model)
        return await learned.send(self.dialect.body(request, not self._is_providers_own()), post)

    def _is_providers_own(self) -> bool:
        return not self.base_url or f"//{self.dialect.host}/" in f"{self.base_url}/"

    def _read(self, answer: Any) -> Reply:
        try:
            return self.dialect.reply(answer)
        except (AttributeError, LookupError, TypeError, msgspec.MsgspecError) as error:
            raise self._malformed(repr(answer)) from error

    def _malformed(self, said: str) -> MalformedReply:
        return MalformedReply(
            f"{self.key} answered, but not in the form of its API: {said[:200]}",
            hint="check base_url and the server's log",
        )

    def _connected(self) -> Any:
        # A client's connections belong to one event loop.
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            if not self.api_key and not self.base_url:
                raise UsageError(
                    f"no key for the judge's provider {self.name}: {self.name.upper()}_API_KEY is not set",
                    hint=f"set {self.name.upper()}_API_KEY or pass api_key",
                )
            self._clients[loop] = self.dialect.client(
                base_url=self.base_url, api_key=self.api_key or "none", max_retries=0
            )
        return self._clients[loop]


def stable_address(address: str) -> str:
    """The address as part of a metric's identity: without the port of a server on this machine, which changes."""
    return _LOOPBACK_PORT.sub(r"\1", address)


def connect(provider: str, *, base_url: str | None = None, api_key: str | None = None) -> Provider:
    """The provider by name: "openai" (any compatible server by `base_url`) or "anthropic".

    Keys come from `api_key`, else OPENAI_API_KEY or ANTHROPIC_API_KEY. Raises UsageError for another name.
    """
    if provider not in DIALECTS:
        raise UsageError(
            f"no judge provider {provider!r}",
            hint=f"use openai (with base_url for compatible servers) or anthropic{or_did_you_mean(provider, tuple(DIALECTS))}",
        )
    return Endpoint(provider, base_url, api_key)


def _raise_inner_error(answer: Any, key: str) -> None:
    """Raises what a gateway reports inside a 200: at the top, or in the place of a choice."""
    if not isinstance(answer, dict):
        return
    choices: Any = answer.get("choices")
    first: Any = choices[0] if isinstance(choices, list) and choices else None
    error: Any = first.get("error") if isinstance(first, dict) else answer.get("error")
    if not error:
        return
    said = error.get("message") if isinstance(error, dict) else error
    code = error.get("code") if isinstance(error, dict) else None
    status = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isdigit()) else 502
    raise InnerError(f"{key} answered 200 with an error inside ({code}): {str(said)[:300]}", status)


def _openai_client(**options: Any) -> Any:
    from openai import AsyncOpenAI

    return AsyncOpenAI(**options)


def _openai_body(request: Request, compatible: bool) -> dict[str, Any]:
    # Compatible servers know the old name, OpenAI's newer models only the new one.
    limit = "max_tokens" if compatible else "max_completion_tokens"
    messages = [{"role": one.role, "content": one.text} for one in request.messages]
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": "system", "content": request.system}, *messages],
        "temperature": request.temperature,
        limit: request.max_tokens,
    }
    if request.schema is not None:
        schema = {"name": request.schema_name, "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.logprobs:
        body |= {"logprobs": True, "top_logprobs": 20}
    return body


def _openai_reply(answer: Any) -> Reply:
    choice = answer["choices"][0]
    usage = answer.get("usage") or {}
    listed = (choice.get("logprobs") or {}).get("content") or []
    tokens = tuple(
        TokenChoice(one["token"], tuple((other["token"], other["logprob"]) for other in one.get("top_logprobs") or ()))
        for one in listed
    )
    message = choice["message"]
    text, refusal = _text_of(message.get("content")), message.get("refusal") or ""
    if not text and not refusal:
        # Some servers turn a request for JSON into the call of a tool.
        calls: Any = message.get("tool_calls") or ()
        text = calls[0]["function"]["arguments"] if len(calls) == 1 else ""
    reasoned = bool(message.get("reasoning_content") or message.get("reasoning"))
    return Reply(
        text or refusal,
        answer.get("model") or "",
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
        tokens,
        _openai_finish(choice.get("finish_reason"), text, refusal, reasoned=reasoned),
    )


def _openai_finish(reason: Any, text: str, refusal: str, *, reasoned: bool) -> Finish:
    if reason in ("length", "max_tokens"):
        return Finish.CUT_OFF
    if reason == "content_filter":
        return Finish.FILTERED
    if refusal and not text:
        return Finish.REFUSED
    return Finish.ONLY_REASONING if reasoned and not text.strip() else Finish.ANSWERED


def _text_of(content: Any) -> str:
    """A message's text, also where it comes in parts; raises TypeError for anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    raise TypeError(f"the content is {type(content).__name__}, not a text")


def _anthropic_client(**options: Any) -> Any:
    from anthropic import AsyncAnthropic

    return AsyncAnthropic(**options)


def _anthropic_body(request: Request, compatible: bool) -> dict[str, Any]:  # noqa: ARG001 - the same everywhere
    body: dict[str, Any] = {
        "model": request.model,
        "system": request.system,
        "messages": [{"role": one.role, "content": one.text} for one in request.messages],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
    }
    if request.schema is not None:
        # A structured answer comes as the input of a tool that has to be called.
        name = request.schema_name
        body["tools"] = [{"name": name, "description": "Gives the verdict.", "input_schema": request.schema}]
        body["tool_choice"] = {"type": "tool", "name": name}
    return body


def _anthropic_reply(answer: Any) -> Reply:
    texts, thought = [], False
    for block in answer["content"] or ():
        if block.get("type") == "tool_use":
            texts = [msgspec.json.encode(block.get("input")).decode()]
            break
        thought = thought or block.get("type") in ("thinking", "redacted_thinking")
        texts.append(block.get("text") or "")
    text, usage = "".join(texts), answer.get("usage") or {}
    return Reply(
        text,
        answer.get("model") or "",
        usage.get("input_tokens") or 0,
        usage.get("output_tokens") or 0,
        finish=_anthropic_finish(answer.get("stop_reason"), text, thought=thought),
    )


def _anthropic_finish(reason: Any, text: str, *, thought: bool) -> Finish:
    if reason in ("max_tokens", "model_context_window_exceeded"):
        return Finish.CUT_OFF
    if reason == "refusal":
        return Finish.REFUSED
    return Finish.ONLY_REASONING if thought and not text.strip() else Finish.ANSWERED


DIALECTS = {
    "openai": Dialect("api.openai.com", "/chat/completions", _openai_client, _openai_body, _openai_reply),
    "anthropic": Dialect("api.anthropic.com", "/v1/messages", _anthropic_client, _anthropic_body, _anthropic_reply),
}
