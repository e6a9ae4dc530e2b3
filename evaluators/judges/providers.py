"""Talks to models: one async call to an OpenAI- or Anthropic-compatible endpoint, through the official SDKs.

Retries, pace, cache and budget are with the caller (`calling.py`); here a request becomes the provider's own shape and
the answer becomes a Reply.
"""

from __future__ import annotations

import asyncio
import os
import re
import weakref
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from ...errors import EvalspanError, UsageError, or_did_you_mean

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


class Reply(msgspec.Struct, frozen=True):
    """What a model answered and used."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    tokens: tuple[TokenChoice, ...] = ()


class MalformedReply(EvalspanError):
    """The endpoint answered, but not in the form of its API."""


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
        self.base_url = base_url or os.environ.get(f"{name.upper()}_BASE_URL")
        self.api_key = api_key or os.environ.get(f"{name.upper()}_API_KEY")
        self.dialect = DIALECTS[name]
        self.key = f"{name} {self.base_url or self.dialect.host}"
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()
        self._refused: set[str] = set()

    async def complete(self, request: Request, timeout_s: float) -> Reply:
        """One answer; a parameter that this server refuses is left out from then on."""
        client = self._connected()
        while True:
            whole = self.dialect.body(request, bool(self.base_url))
            body = {key: value for key, value in whole.items() if key not in self._refused}
            try:
                answer = await client.post(self.dialect.path, body=body, cast_to=object, options={"timeout": timeout_s})
            except ValueError as error:  # what is no JSON
                raise self._malformed(str(error)) from error
            except Exception as error:
                refused = _refused_parameter(error, body)
                if refused is None:
                    raise
                self._refused.add(refused)
            else:
                return self._read(answer)

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
                    f"no key for the judge's provider {self.name}",
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


# Without these a request still means the same, or is checked by us anyway.
_OPTIONAL = ("response_format", "top_logprobs", "logprobs", "temperature", "tool_choice", "tools")


def _refused_parameter(error: Exception, body: dict[str, Any]) -> str | None:
    if getattr(error, "status_code", None) != 400:
        return None
    message = str(error)
    return next((name for name in _OPTIONAL if name in body and name in message), None)


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
    # A refusal has a field of its own; it is shown as what was said in the place of a verdict.
    text = message.get("content") or message.get("refusal") or ""
    if not isinstance(text, str):
        raise TypeError(f"the content is {type(text).__name__}, not a text")
    return Reply(
        text, answer.get("model") or "", usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, tokens
    )


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
    texts = []
    for block in answer.get("content") or ():
        if block.get("type") == "tool_use":
            texts = [msgspec.json.encode(block.get("input")).decode()]
            break
        texts.append(block.get("text") or "")
    usage = answer.get("usage") or {}
    return Reply(
        "".join(texts), answer.get("model") or "", usage.get("input_tokens") or 0, usage.get("output_tokens") or 0
    )


DIALECTS = {
    "openai": Dialect("api.openai.com", "/chat/completions", _openai_client, _openai_body, _openai_reply),
    "anthropic": Dialect("api.anthropic.com", "/v1/messages", _anthropic_client, _anthropic_body, _anthropic_reply),
}
