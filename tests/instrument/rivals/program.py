"""An app with another instrumentation beside ours, in an environment that has both: `program.py RIVAL FIRST ADDRESS`.

Prints as JSON which scopes made spans for which call, and what was logged: with both on, and after theirs was taken out.
"""

# mypy: ignore-errors
# It runs in environments that have packages which this one has not.
from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys

import anthropic
import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import evalspan

RIVALS = {
    "official": "opentelemetry.instrumentation.genai",
    "openinference": "openinference.instrumentation",
    "openllmetry": "opentelemetry.instrumentation",
}
ASKED = [{"role": "user", "content": "What does Pro cost?"}]
rival, first, address = sys.argv[1:]

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
said = []
logging.getLogger().addHandler(type("Kept", (logging.Handler,), {"emit": lambda self, record: said.append(record)})())

theirs = [
    getattr(importlib.import_module(f"{RIVALS[rival]}.{sdk.lower()}"), f"{sdk}Instrumentor")()
    for sdk in ("OpenAI", "Anthropic")
]


def switch_on_theirs():
    for instrumentor in theirs:
        instrumentor.instrument(tracer_provider=provider)


if first == "theirs":
    switch_on_theirs()
    evalspan.init(tracer_provider=provider)
else:
    evalspan.init(tracer_provider=provider)
    switch_on_theirs()

chat = openai.OpenAI(base_url=f"{address}/v1", api_key="k", max_retries=0)
async_chat = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="k", max_retries=0)
claude = anthropic.Anthropic(base_url=address, api_key="k", max_retries=0)
async_claude = anthropic.AsyncAnthropic(base_url=address, api_key="k", max_retries=0)
loop = asyncio.new_event_loop()
MESSAGE = {"model": "claude", "max_tokens": 9, "messages": ASKED}


async def ask_async():
    await async_chat.chat.completions.create(model="gpt", messages=ASKED)


async def message_async():
    await async_claude.messages.create(**MESSAGE)


def stream_messages():
    with claude.messages.stream(**MESSAGE) as stream:
        list(stream.text_stream)


CALLS = {
    "chat": lambda: chat.chat.completions.create(model="gpt", messages=ASKED),
    "chat stream": lambda: list(chat.chat.completions.create(model="gpt", messages=ASKED, stream=True)),
    "chat async": lambda: loop.run_until_complete(ask_async()),
    "responses": lambda: chat.responses.create(model="gpt", input="What does Pro cost?"),
    "messages": lambda: claude.messages.create(**MESSAGE),
    "messages stream": stream_messages,
    "messages async": lambda: loop.run_until_complete(message_async()),
}


def scopes_of_each_call():
    found = {}
    for name, call in CALLS.items():
        call()
        found[name] = [span.instrumentation_scope.name for span in exporter.get_finished_spans()]
        exporter.clear()
    return found


both = scopes_of_each_call()
standing_back = [record.getMessage() for record in said if "already traces" in record.getMessage()]
for instrumentor in theirs:
    instrumentor.uninstrument()
alone = scopes_of_each_call()
print(json.dumps({"both": both, "said": standing_back, "alone": alone}))
