"""Talks to models: one async call to an OpenAI- or Anthropic-compatible endpoint, through the official SDKs.

Retries, pace, cache and budget are with the caller (`calling.py`); here a request becomes the provider's own shape and
the answer becomes a Reply.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import Any, Literal, Protocol

import msgspec

from ...instrument.errors import UsageError
from ..suggest import did_you_mean

ProviderName = Literal["openai", "anthropic"]


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


class Provider(Protocol):
    """An endpoint that judges can be asked through."""

    @property
    def key(self) -> str:
        """What shares one pace and one cache: provider and address."""

    async def complete(self, request: Request, timeout_s: float) -> Reply:
        """The model's answer; raises the SDK's own errors."""


def connect(provider: str, *, base_url: str | None = None, api_key: str | None = None) -> Provider:
    """The provider by name: "openai" (any compatible server by `base_url`) or "anthropic".

    Keys come from `api_key`, else OPENAI_API_KEY or ANTHROPIC_API_KEY. Raises UsageError for another name.
    """
    if provider == "openai":
        return OpenAIProvider(base_url, api_key)
    if provider == "anthropic":
        return AnthropicProvider(base_url, api_key)
    raise UsageError(
        f"no judge provider {provider!r}",
        hint=f"use openai (with base_url for compatible servers) or anthropic{did_you_mean(provider, ('openai', 'anthropic'))}",
    )


class OpenAIProvider:
    """Chat completions of an OpenAI-compatible server."""

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        self.base_url = base_url or os.environ.get("OPENAI_BASE_URL")
        self.api_key = api_key or os.environ.get("OPENAI_API_KEY")
        self.key = f"openai {self.base_url or 'api.openai.com'}"
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()
        self._refused: set[str] = set()

    async def complete(self, request: Request, timeout_s: float) -> Reply:
        """One chat completion; a parameter that this server refuses is left out from then on."""
        from openai import BadRequestError

        while True:
            body = {key: value for key, value in self._body(request).items() if key not in self._refused}
            try:
                answer = await self._connected().post(
                    "/chat/completions", body=body, cast_to=object, options={"timeout": timeout_s}
                )
                return _openai_reply(answer)
            except BadRequestError as error:
                refused = _named_parameter(str(error), body)
                if refused is None:
                    raise
                self._refused.add(refused)

    def _body(self, request: Request) -> dict[str, Any]:
        # Compatible servers know the old name, OpenAI's newer models only the new one.
        limit = "max_tokens" if self.base_url else "max_completion_tokens"
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

    def _connected(self) -> Any:
        # A client's connections belong to one event loop.
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            from openai import AsyncOpenAI

            if not self.api_key and not self.base_url:
                raise UsageError("no key for the judge's provider openai", hint="set OPENAI_API_KEY or pass api_key")
            self._clients[loop] = AsyncOpenAI(base_url=self.base_url, api_key=self.api_key or "none", max_retries=0)
        return self._clients[loop]


class AnthropicProvider:
    """Messages of an Anthropic-compatible server; structured answers come as the input of a forced tool."""

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        self.base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL")
        self.api_key = api_key or os.environ.get("ANTHROPIC_API_KEY")
        self.key = f"anthropic {self.base_url or 'api.anthropic.com'}"
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()
        self._refused: set[str] = set()

    async def complete(self, request: Request, timeout_s: float) -> Reply:
        """One message; a parameter that this server refuses is left out from then on."""
        from anthropic import BadRequestError

        while True:
            body = {key: value for key, value in self._body(request).items() if key not in self._refused}
            try:
                answer = await self._connected().post(
                    "/v1/messages", body=body, cast_to=object, options={"timeout": timeout_s}
                )
                return _anthropic_reply(answer)
            except BadRequestError as error:
                refused = _named_parameter(str(error), body)
                if refused is None:
                    raise
                self._refused.add(refused)

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model,
            "system": request.system,
            "messages": [{"role": one.role, "content": one.text} for one in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
        }
        if request.schema is not None:
            name = request.schema_name
            body["tools"] = [{"name": name, "description": "Gives the verdict.", "input_schema": request.schema}]
            body["tool_choice"] = {"type": "tool", "name": name}
        return body

    def _connected(self) -> Any:
        # A client's connections belong to one event loop.
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            from anthropic import AsyncAnthropic

            if not self.api_key and not self.base_url:
                raise UsageError(
                    "no key for the judge's provider anthropic", hint="set ANTHROPIC_API_KEY or pass api_key"
                )
            self._clients[loop] = AsyncAnthropic(base_url=self.base_url, api_key=self.api_key or "none", max_retries=0)
        return self._clients[loop]


# Without these a request still means the same, or is checked by us anyway.
_OPTIONAL = ("response_format", "top_logprobs", "logprobs", "temperature", "tool_choice", "tools")


def _named_parameter(message: str, body: dict[str, Any]) -> str | None:
    return next((name for name in _OPTIONAL if name in body and name in message), None)


def _openai_reply(answer: Any) -> Reply:
    choice = answer["choices"][0]
    usage = answer.get("usage") or {}
    listed = (choice.get("logprobs") or {}).get("content") or []
    tokens = tuple(
        TokenChoice(one["token"], tuple((other["token"], other["logprob"]) for other in one.get("top_logprobs") or ()))
        for one in listed
    )
    text = choice["message"].get("content") or ""
    return Reply(
        text, answer.get("model") or "", usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, tokens
    )


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
