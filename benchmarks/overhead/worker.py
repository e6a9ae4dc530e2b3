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

from .workload import async_cases, cases, transport

# Before and while measuring, of calls and of streams.
WARM_UP = (10, 3)
REPEATS = (80, 15)


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
    """The least that a span of the same attributes costs by hand: a wrapper per client class, and no safety at all."""
    from importlib import import_module

    tracer = provider.get_tracer("bare")
    for sdk in ("openai", "anthropic"):
        base = import_module(f"{sdk}._base_client")
        base.SyncAPIClient.request = bare_request(tracer, sdk, base.SyncAPIClient.request)
        base.AsyncAPIClient.request = bare_async_request(tracer, sdk, base.AsyncAPIClient.request)


def bare_request(tracer: Any, sdk: str, original: Any) -> Any:
    """The wrapper of a synchronous client."""

    def request(client: Any, cast_to: Any, options: Any, **kwargs: Any) -> Any:
        span = bare_start(tracer, sdk, client, options.json_data)
        result = original(client, cast_to, options, **kwargs)
        bare_end(span, options.json_data, result)
        return result

    return request


def bare_async_request(tracer: Any, sdk: str, original: Any) -> Any:
    """The wrapper of an asynchronous client."""

    async def request(client: Any, cast_to: Any, options: Any, **kwargs: Any) -> Any:
        span = bare_start(tracer, sdk, client, options.json_data)
        result = await original(client, cast_to, options, **kwargs)
        bare_end(span, options.json_data, result)
        return result

    return request


def bare_start(tracer: Any, sdk: str, client: Any, body: Any) -> Any:
    """A span with what samplers need."""
    from opentelemetry.trace import SpanKind

    url, model = client._base_url, body["model"]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": sdk,
        "gen_ai.request.model": model,
        "server.address": url.host,
        "server.port": url.port or 80,
    }
    return tracer.start_span("chat " + model, kind=SpanKind.CLIENT, attributes=attributes)


def bare_end(span: Any, body: Any, result: Any) -> None:
    """The rest of the attributes; of a stream only what was asked."""
    attributes: dict[str, Any] = {"gen_ai.input.messages": json.dumps(body.get("messages") or body.get("input"))}
    if (usage := getattr(result, "usage", None)) is not None:
        given = vars(usage)
        attributes["gen_ai.usage.input_tokens"] = given.get("prompt_tokens") or given.get("input_tokens")
        attributes["gen_ai.usage.output_tokens"] = given.get("completion_tokens") or given.get("output_tokens") or 0
        attributes["gen_ai.response.id"] = getattr(result, "id", "")
        attributes["gen_ai.response.model"] = result.model
        attributes["gen_ai.response.finish_reasons"] = ["stop"]
        attributes["openai.api.type"] = "chat_completions"
        if (choices := getattr(result, "choices", None)) is not None:
            attributes["gen_ai.output.messages"] = json.dumps(
                [{"role": "assistant", "content": choices[0].message.content}]
            )
        elif (content := getattr(result, "content", None)) is not None:
            attributes["gen_ai.output.messages"] = json.dumps([{"role": "assistant", "content": content[0].text}])
    span.set_attributes(attributes)
    span.end()


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


def measure(call: Callable[[], Any], calls: int, units: int) -> float:
    """Microseconds of this thread's CPU per call or chunk: the least of many short measurements.

    Whatever else runs on the machine only adds, and a short measurement has the best chance of being left alone.
    """
    for _ in range(WARM_UP[units > 1]):
        call()
    best = float("inf")
    for _ in range(REPEATS[units > 1]):
        gc.collect(0)
        started = time.thread_time_ns()
        for _ in range(calls):
            call()
        best = min(best, (time.thread_time_ns() - started) / 1000 / calls / units)
    return best


async def measure_async(call: Callable[[], Any], calls: int, units: int) -> float:
    """The same for an awaited call."""
    for _ in range(WARM_UP[units > 1]):
        await call()
    best = float("inf")
    for _ in range(REPEATS[units > 1]):
        gc.collect(0)
        started = time.thread_time_ns()
        for _ in range(calls):
            await call()
        best = min(best, (time.thread_time_ns() - started) / 1000 / calls / units)
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
    of_openai: dict[str, Any] = {"api_key": "k", "base_url": "http://x.test/v1"}
    of_anthropic: dict[str, Any] = {"api_key": "k", "base_url": "http://x.test"}
    waiting = cases(
        openai.OpenAI(**of_openai, http_client=client), anthropic.Anthropic(**of_anthropic, http_client=client)
    )
    found |= {name: measure(*case) for name, case in waiting.items()}
    awaited = async_cases(
        openai.AsyncOpenAI(**of_openai, http_client=async_client),
        anthropic.AsyncAnthropic(**of_anthropic, http_client=async_client),
    )

    async def await_all() -> None:
        for name, case in awaited.items():
            found[name] = await measure_async(*case)

    asyncio.run(await_all())
    print(json.dumps(found))
    sys.stdout.flush()
    # Exporters that point at nothing must not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
