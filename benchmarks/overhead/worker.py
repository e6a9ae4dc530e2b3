"""Runs in one environment with one instrumentation switched on: times the SDKs' calls over an in-memory transport.

Prints one JSON object: microseconds of this thread's CPU per call, or per chunk of a stream, and what switching on
cost. Imports nothing of this project unless it is the one being measured.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

CHUNKS = 500


def memory_mb() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - no import that would be measured
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


def null_provider() -> Any:
    """A provider as in production, whose exporter drops everything."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Null(SpanExporter):
        def export(self, spans: Any) -> Any:  # noqa: ARG002
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    # Long pauses: the exports' own work must not fall into the measured calls.
    provider.add_span_processor(BatchSpanProcessor(Null(), max_queue_size=65536, schedule_delay_millis=60_000))
    trace.set_tracer_provider(provider)
    return provider


def switch_on(what: str, provider: Any) -> None:
    """Switches one instrumentation on, with content."""
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    if what == "evalspan":
        import evalspan

        evalspan.init(tracer_provider=provider)
    elif what == "bare span":
        bare_span(provider)
    elif what == "OpenLLMetry":
        from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=provider)
        AnthropicInstrumentor().instrument(tracer_provider=provider)
    elif what == "OpenInference":
        from openinference.instrumentation.anthropic import AnthropicInstrumentor
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=provider)
        AnthropicInstrumentor().instrument(tracer_provider=provider)
    elif what == "official genai":
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
        from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=provider)
        AnthropicInstrumentor().instrument(tracer_provider=provider)
    elif what == "Langfuse":
        langfuse(provider)
    elif what == "OpenLIT":
        openlit()


def bare_span(provider: Any) -> None:
    """The least that a span with content can cost: one wrapper, one span, one JSON string, no safety."""
    import openai._base_client

    tracer = provider.get_tracer("bare")
    original = openai._base_client.SyncAPIClient.request

    def request(self: Any, cast_to: Any, options: Any, **kwargs: Any) -> Any:
        body = options.json_data
        span = tracer.start_span("chat " + body["model"], attributes={"gen_ai.request.model": body["model"]})
        result = original(self, cast_to, options, **kwargs)
        span.set_attributes({"gen_ai.input.messages": json.dumps(body.get("messages"))})
        span.end()
        return result

    openai._base_client.SyncAPIClient.request = request  # type: ignore[method-assign,assignment]


def langfuse(provider: Any) -> None:
    """Langfuse wraps openai when its module is imported; its exporter is pointed at nothing."""
    from langfuse import Langfuse

    Langfuse(
        public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9", tracer_provider=provider, flush_interval=3600
    )
    import langfuse.openai  # noqa: F401


def openlit() -> None:
    """OpenLIT fetches a price list when it starts; it is given an empty one instead."""
    import openlit

    prices = "/tmp/evalspan-bench-prices.json"
    with open(prices, "w") as file:  # noqa: PTH123
        file.write("{}")
    # It joins the global provider, which is the one given.
    openlit.init(disable_metrics=True, disable_events=True, pricing_json=prices)


def transport(http: Any) -> tuple[Any, Any]:
    """Synchronous and asynchronous clients that answer from memory."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    text = "The Pro plan costs 20 euros a month. " * 4
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    chat = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt", "choices": [choice], "usage": usage}
    content = [{"type": "text", "text": text}]
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": content}
    message |= {"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 20}}
    item = {"type": "message", "id": "i", "status": "completed", "role": "assistant"}
    item["content"] = [{"type": "output_text", "text": text, "annotations": []}]  # type: ignore[assignment]
    response = {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt",
        "output": [item],
    }
    response |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}}
    response["usage"] = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
                         "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    vector = {"object": "embedding", "index": 0, "embedding": [0.1] * 8}
    embeddings = {"object": "list", "data": [vector], "model": "e", "usage": {"prompt_tokens": 5, "total_tokens": 5}}
    whole = {"completions": chat, "responses": response, "messages": message, "embeddings": embeddings}
    bodies = {name: json.dumps(body).encode() for name, body in whole.items()}
    streams = {"completions": chat_stream(), "messages": message_stream()}

    def answer(request: Any) -> Any:
        kind = request.url.path.rsplit("/", 1)[1]
        if b'"stream":true' in request.content or b'"stream": true' in request.content:
            return http.Response(200, headers={"content-type": "text/event-stream"}, content=streams[kind])
        return http.Response(200, headers={"content-type": "application/json"}, content=bodies[kind])

    mock = http.MockTransport(answer)
    return http.Client(transport=mock), http.AsyncClient(transport=mock)


def chat_stream() -> bytes:
    """A streamed chat completion of CHUNKS chunks."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": f"word{n} "} for n in range(CHUNKS)]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def message_stream() -> bytes:
    """A streamed message of CHUNKS text deltas."""
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for number in range(CHUNKS):
        delta = {"type": "text_delta", "text": f"word{number} "}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events.append({"type": "content_block_stop", "index": 0})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": CHUNKS}})
    events.append({"type": "message_stop"})
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def messages_of(kilobytes: int) -> list[dict[str, str]]:
    """A conversation of about so many kilobytes in messages of about one."""
    line = "The Pro plan costs 20 euros a month, and API access is part of it. "
    if kilobytes == 1:
        return [{"role": "system", "content": line * 4}, {"role": "user", "content": line * 11}]
    turns = [{"role": "user" if n % 2 == 0 else "assistant", "content": line * 15} for n in range(kilobytes)]
    return [{"role": "user", "content": line}, *turns[1:], {"role": "user", "content": line * 15}]


def cases(openai_client: Any, anthropic_client: Any) -> dict[str, tuple[Callable[[], Any], int, int]]:
    """name -> (one call, calls per measurement, chunks a call has or 1)."""
    small, large = messages_of(1), messages_of(32)
    chat, message = openai_client.chat.completions, anthropic_client.messages
    text = small[1]["content"]

    def drain(stream: Any) -> None:
        for _ in stream:
            pass

    def drain_helper() -> None:
        with message.stream(model="claude", max_tokens=64, messages=small[1:]) as stream:
            drain(stream.text_stream)

    return {
        "chat 1 KB": (lambda: chat.create(model="gpt", messages=small), 60, 1),
        "chat 32 KB": (lambda: chat.create(model="gpt", messages=large), 30, 1),
        "responses": (lambda: openai_client.responses.create(model="gpt", input=text), 40, 1),
        "embeddings": (lambda: openai_client.embeddings.create(model="e", input=text, encoding_format="float"), 40, 1),
        "messages": (lambda: message.create(model="claude", max_tokens=64, messages=small[1:]), 60, 1),
        "chat chunk": (lambda: drain(chat.create(model="gpt", messages=small, stream=True)), 3, CHUNKS),
        "messages chunk": (
            lambda: drain(message.create(model="claude", max_tokens=64, messages=small[1:], stream=True)), 4, CHUNKS),
        "messages helper chunk": (drain_helper, 3, CHUNKS),
    }  # fmt: skip


def measure(call: Callable[[], Any], calls: int, units: int) -> float:
    """Microseconds of this thread's CPU per call or chunk: the least of many short measurements.

    Whatever else runs on the machine only adds, and a short measurement has the best chance of being left alone.
    """
    for _ in range(max(3, calls // 4)):
        call()
    best = float("inf")
    batch = max(1, calls // 15)
    for _ in range(60):
        gc.collect(0)
        started = time.thread_time_ns()
        for _ in range(batch):
            call()
        best = min(best, (time.thread_time_ns() - started) / 1000 / batch / units)
    return best


def main(what: str) -> None:
    """Measures every case and prints the numbers."""
    os.environ.setdefault("ANTHROPIC_OPEN_TELEMETRY", "false")
    import anthropic
    import openai
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: F401 - part of the baseline

    http = openai._base_client.httpx2 if hasattr(openai._base_client, "httpx2") else openai._base_client.httpx
    provider = null_provider() if what != "none" else None
    before, started = memory_mb(), time.process_time()
    switch_on(what, provider)
    found = {"switch on, ms": (time.process_time() - started) * 1000, "switch on, MB": memory_mb() - before}
    client, async_client = transport(http)
    openai_client = openai.OpenAI(api_key="k", base_url="http://x.test/v1", http_client=client)
    anthropic_client = anthropic.Anthropic(api_key="k", base_url="http://x.test", http_client=client)
    for name, (call, calls, units) in cases(openai_client, anthropic_client).items():
        found[name] = measure(call, calls, units)
    found["async chat 1 KB"] = measure_async(
        openai.AsyncOpenAI(api_key="k", base_url="http://x.test/v1", http_client=async_client)
    )
    print(json.dumps(found))
    sys.stdout.flush()
    # Exporters that point at nothing must not be waited for.
    os._exit(0)


def measure_async(client: Any) -> float:
    """The same for an awaited call."""
    small = messages_of(1)

    async def rounds() -> float:
        best = float("inf")
        for _ in range(60):
            started = time.thread_time_ns()
            for _ in range(4):
                await client.chat.completions.create(model="gpt", messages=small)
            best = min(best, (time.thread_time_ns() - started) / 1000 / 4)
        return best

    return asyncio.run(rounds())


if __name__ == "__main__":
    main(sys.argv[1])
