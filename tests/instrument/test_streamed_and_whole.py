"""The same answer of a server gives the same span, streamed or whole, however it was cut into pieces."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalspan
from evalspan.instrument import semconv
from evalspan.instrument.content import CONTENT_ATTRIBUTES

from . import streamed
from .conftest import Spans
from .schemas import check_messages

ASK = [{"role": "user", "content": "hi"}]
# What a stream has beside the answer.
OF_STREAMS = {semconv.REQUEST_STREAM, semconv.TIME_TO_FIRST_CHUNK}


def waited_for(result: Any, *, read: bool = False) -> None:
    """Waits for a call, and reads its stream to the end."""
    if not inspect.isawaitable(result):
        for _ in result if read else ():
            pass
        return

    async def wait() -> None:
        answer = await result
        if read:
            async for _ in answer:
                pass

    asyncio.run(wait())


class Answers:
    """Clients of both SDKs, without a network, whose next answer is given."""

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self.body, self.kind = b"", ""
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        of_openai: dict[str, Any] = {"api_key": "k", "base_url": "http://x.test/v1", "max_retries": 0}
        of_anthropic: dict[str, Any] = {"api_key": "k", "base_url": "http://x.test", "max_retries": 0}
        self.openai: Any = openai.OpenAI(**of_openai, http_client=http)
        self.anthropic: Any = anthropic.Anthropic(**of_anthropic, http_client=http)
        http_async = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self._others: tuple[Any, Any] = (
            openai.AsyncOpenAI(**of_openai, http_client=http_async),
            anthropic.AsyncAnthropic(**of_anthropic, http_client=http_async),
        )

    @contextmanager
    def asynchronous(self) -> Iterator[None]:
        """The asynchronous clients meanwhile."""
        before = self.openai, self.anthropic
        self.openai, self.anthropic = self._others
        yield
        self.openai, self.anthropic = before

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=self.body, headers={"content-type": self.kind})

    def whole(self, call: Callable[..., Any], body: Any) -> tuple[dict[str, Any], tuple[str, str | None]]:
        self.body, self.kind = json.dumps(body).encode(), "application/json"
        waited_for(call())
        return self.take()

    def stream(
        self, call: Callable[..., Any], events: list[Any], *, named: bool = False
    ) -> tuple[dict[str, Any], tuple[str, str | None]]:
        self.body, self.kind = streamed.sse(events, named=named), "text/event-stream"
        waited_for(call(stream=True), read=True)
        return self.take()

    def take(self) -> tuple[dict[str, Any], tuple[str, str | None]]:
        span = self.spans.one()
        self.spans.exporter.clear()
        attributes = {name: value for name, value in (span.attributes or {}).items() if name not in OF_STREAMS}
        check_messages(attributes)
        for name in CONTENT_ATTRIBUTES.intersection(attributes):
            attributes[name] = json.loads(str(attributes[name]))
        return attributes, (span.status.status_code.name, span.status.description)

    def chat(self, **more: Any) -> Any:
        return self.openai.chat.completions.create(model="gpt-4o", messages=ASK, **more)  # type: ignore[arg-type]

    def completion(self, **more: Any) -> Any:
        return self.openai.completions.create(model="m", prompt="x", **more)

    def respond(self, **more: Any) -> Any:
        return self.openai.responses.create(model="gpt-5", input="q", **more)

    def message_helper(self, **_: Any) -> Any:
        with self.anthropic.messages.stream(model="claude-sonnet-5", max_tokens=9, messages=ASK) as stream:
            yield from stream

    def message(self, **more: Any) -> Any:
        return self.anthropic.messages.create(model="claude-sonnet-5", max_tokens=9, messages=ASK, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    spans = Spans()
    evalspan.init(tracer_provider=spans.provider)
    yield Answers(spans)
    evalspan.uninstrument()


SURFACES: dict[str, tuple[st.SearchStrategy[Any], Callable[[Answers], Callable[..., Any]], bool]] = {
    "chat": (streamed.chats(), lambda answers: answers.chat, False),
    "completions": (streamed.completions(), lambda answers: answers.completion, False),
    "responses": (streamed.responses(), lambda answers: answers.respond, True),
    "messages": (streamed.claude_messages(), lambda answers: answers.message, True),
}


@pytest.mark.slow
@pytest.mark.parametrize("surface", SURFACES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_asynchronous_clients_give_the_same_spans(surface: str, answers: Answers, data: st.DataObject) -> None:
    answer, call, named = SURFACES[surface]
    whole, events = data.draw(answer)
    expected = answers.whole(call(answers), whole)
    with answers.asynchronous():
        assert answers.stream(call(answers), events, named=named) == expected
        assert answers.whole(call(answers), whole) == expected


@settings(max_examples=15, deadline=None)
@given(answer=streamed.claude_messages())
def test_the_helper_for_messages_gives_the_span_of_the_whole_answer(answers: Answers, answer: Any) -> None:
    whole, events = answer
    assert answers.stream(answers.message_helper, events, named=True) == answers.whole(answers.message, whole)


@pytest.mark.slow
@pytest.mark.parametrize("surface", SURFACES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_streamed_answer_gives_the_span_of_the_whole_one(surface: str, answers: Answers, data: st.DataObject) -> None:
    answer, call, named = SURFACES[surface]
    whole, events = data.draw(answer)
    assert answers.stream(call(answers), events, named=named) == answers.whole(call(answers), whole)
