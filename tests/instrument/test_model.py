"""A few real calls to the local model with both SDKs: what arrives is what a model says, not what a script says."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from evalspan.instrument import semconv

from .conftest import Spans
from .schemas import check_messages

pytestmark = pytest.mark.model
QUESTION: list[Any] = [{"role": "user", "content": "Name one colour."}]


def check(spans: Spans, answer: str, tokens: tuple[int, int]) -> None:
    found = spans.attributes()
    check_messages(found)
    assert spans.content(semconv.OUTPUT_MESSAGES)[0]["parts"][0]["content"] == answer
    assert (found[semconv.INPUT_TOKENS], found[semconv.OUTPUT_TOKENS]) == tokens
    assert found[semconv.RESPONSE_MODEL]
    assert spans.one().status.is_unset


def test_openai_chat_records_what_the_model_said(model_url: str, spans: Spans) -> None:
    client = openai.OpenAI(base_url=f"{model_url}/v1", api_key="none")
    result = client.chat.completions.create(model="local", messages=QUESTION, max_tokens=12)
    assert result.usage is not None
    check(spans, result.choices[0].message.content or "", (result.usage.prompt_tokens, result.usage.completion_tokens))


def test_openai_stream_records_what_the_model_said(model_url: str, spans: Spans) -> None:
    client = openai.OpenAI(base_url=f"{model_url}/v1", api_key="none")
    usage: Any = None
    text = ""
    options: Any = {"include_usage": True}
    stream: Any = client.chat.completions.create(
        model="local", messages=QUESTION, max_tokens=12, stream=True, stream_options=options
    )
    for chunk in stream:
        usage = chunk.usage or usage
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    check(spans, text, (usage.prompt_tokens, usage.completion_tokens))
    assert spans.attributes()[semconv.TIME_TO_FIRST_CHUNK] > 0


def test_anthropic_messages_record_what_the_model_said(model_url: str, spans: Spans) -> None:
    client = anthropic.Anthropic(base_url=model_url, api_key="none")
    result = client.messages.create(model="local", messages=QUESTION, max_tokens=12)
    cached = result.usage.cache_read_input_tokens or 0
    check(spans, result.content[0].text, (result.usage.input_tokens + cached, result.usage.output_tokens))  # type: ignore[union-attr]


async def test_anthropic_async_stream_records_what_the_model_said(model_url: str, spans: Spans) -> None:
    client = anthropic.AsyncAnthropic(base_url=model_url, api_key="none")
    async with client.messages.stream(model="local", messages=QUESTION, max_tokens=12) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        usage = (await stream.get_final_message()).usage
    cached = usage.cache_read_input_tokens or 0
    check(spans, text, (usage.input_tokens + cached, usage.output_tokens))
