"""What is around every app: `start()` is the one line, `step()` runs one part of the app and says what it gave."""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
import traceback
import warnings

warnings.filterwarnings("ignore")
RUN, MODE, SERVER = os.environ["RUN"], os.environ["MODE"], os.environ["SERVER"]
ROOT = f"{SERVER}/r/{RUN}"
OPENAI = f"{ROOT}/v1"
SPANS = f"{SERVER}/o/{RUN}"
Q = "What is the weather in Lisbon?"
os.environ.update(
    OPENAI_API_KEY="sk-x", OPENAI_BASE_URL=OPENAI, OPENAI_API_BASE=OPENAI, ANTHROPIC_API_KEY="sk-a", ANTHROPIC_BASE_URL=ROOT,
    GOOGLE_API_KEY="g", MISTRAL_API_KEY="m", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_DEFAULT_REGION="us-east-1",
    LITELLM_LOCAL_MODEL_COST_MAP="True", CREWAI_DISABLE_TELEMETRY="true", HAYSTACK_TELEMETRY_ENABLED="False",
    ANONYMIZED_TELEMETRY="false", NO_PROXY="*", OPENAI_AGENTS_DISABLE_TRACING="",
)  # fmt: skip
handle = None
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


def start() -> None:
    """`one`: evalspan.init() and nothing else. `plain`: nothing. `alone`: INSTR=module:Class over plain OTLP."""
    global handle
    if MODE == "one":
        import evalspan

        handle = evalspan.init(RUN, SPANS)
    elif MODE in ("alone", "both"):
        provider = _own_provider() if MODE == "alone" else None
        if MODE == "both":
            import evalspan

            handle = evalspan.init(RUN, SPANS, frameworks=False)
            provider = handle.tracer_provider
        for name in filter(None, os.environ.get("INSTR", "").split(",")):
            module, kind = name.split(":")
            getattr(importlib.import_module(module), kind)().instrument(tracer_provider=provider)


def _own_provider():
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global handle
    os.environ.setdefault("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    handle = TracerProvider(resource=Resource.create({"service.name": RUN}))
    handle.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{SPANS}/v1/traces")))
    trace.set_tracer_provider(handle)
    return handle


def step(name, function) -> None:
    """Runs one part and prints its result, or the exception that it ended with."""
    began = time.time_ns()
    try:
        result = loop.run_until_complete(function()) if asyncio.iscoroutinefunction(function) else function()
        how = "ok"
    except BaseException as error:
        how, result = "raised", f"{type(error).__module__}.{type(error).__qualname__}"
        if os.environ.get("TB"):
            traceback.print_exc()
    told = {"step": name, "how": how, "result": str(result)[:300], "began": began, "ended": time.time_ns()}
    print(json.dumps(told), flush=True)
    time.sleep(0.02)


def end() -> None:
    """Sends what waits; says what is known of coverage."""
    if MODE in ("one", "both"):
        found = {name: [one.traced_by, one.call_seen, one.imported] for name, one in handle.coverage().items()}
        print(json.dumps({"coverage": found}), flush=True)
        handle.flush(20)
    elif MODE == "alone":
        handle.force_flush()
    sys.stdout.flush()
