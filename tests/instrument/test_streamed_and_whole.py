"""The same answer of a server gives the same span, streamed or whole, however it was cut into pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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


class Answers:
    """Clients of both SDKs, without a network, whose next answer is given."""

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self.body, self.kind = b"", ""
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self.openai = openai.OpenAI(api_key="k", base_url="http://x.test/v1", http_client=http, max_retries=0)
        self.anthropic = anthropic.Anthropic(api_key="k", base_url="http://x.test", http_client=http, max_retries=0)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=self.body, headers={"content-type": self.kind})

    def whole(self, call: Callable[..., Any], body: Any) -> tuple[dict[str, Any], tuple[str, str | None]]:
        self.body, self.kind = json.dumps(body).encode(), "application/json"
        call()
        return self.take()

    def stream(
        self, call: Callable[..., Any], events: list[Any], *, named: bool = False
    ) -> tuple[dict[str, Any], tuple[str, str | None]]:
        self.body, self.kind = streamed.sse(events, named=named), "text/event-stream"
        for _ in call(stream=True):
            pass
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


@pytest.mark.parametrize("surface", SURFACES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_streamed_answer_gives_the_span_of_the_whole_one(surface: str, answers: Answers, data: st.DataObject) -> None:
    answer, call, named = SURFACES[surface]
    whole, events = data.draw(answer)
    assert answers.stream(call(answers), events, named=named) == answers.whole(call(answers), whole)
