"""A small LLM application that runs in a rival instrumentor's own environment: `program.py DIALECT BASE_URL`."""

# mypy: ignore-errors
# It runs in environments that have packages which this one has not.
from __future__ import annotations

import contextlib
import os
import sys

SYSTEM = "You are a polite support agent."
QUESTION = "How do I reset the doorbell?"
TOOL = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Look up an order",
        "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}},
    },
}
dialect, url = sys.argv[1:]
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
# The anthropic SDK traces itself; on top of another instrumentor that would double each call.
os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "true" if dialect == "anthropic" else "false"
os.environ["ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE"] = "content"


def provider():
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = TracerProvider(resource=Resource.create({"service.name": dialect}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(made)
    return made


def openllmetry():
    """traceloop-sdk: session and prompt are association properties; a workflow and a tool are decorators."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import tool, workflow

    Traceloop.init(app_name=dialect, exporter=OTLPSpanExporter(), disable_batch=True, telemetry_enabled=False)
    Traceloop.set_association_properties({"session_id": "session-1", "user_id": "user-1"})
    return workflow(name="support"), tool(name="find_order"), contextlib.nullcontext(), lambda: None


def openinference():
    from openinference.instrumentation import OITracer, TraceConfig, using_attributes
    from openinference.instrumentation.anthropic import AnthropicInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    made = provider()
    OpenAIInstrumentor().instrument(tracer_provider=made)
    AnthropicInstrumentor().instrument(tracer_provider=made)
    tracer = OITracer(made.get_tracer("app"), config=TraceConfig())
    context = using_attributes(
        session_id="session-1",
        user_id="user-1",
        tags=["beta"],
        metadata={"tier": "gold"},
        prompt_template="Answer {question}",
        prompt_template_version="v7",
    )
    return tracer.agent(name="support"), tracer.tool(name="find_order"), context, made.shutdown


def official():
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    made = provider()
    OpenAIInstrumentor().instrument(tracer_provider=made)
    AnthropicInstrumentor().instrument(tracer_provider=made)
    return (lambda f: f), (lambda f: f), contextlib.nullcontext(), made.shutdown


def anthropic():
    made = provider()
    return (lambda f: f), (lambda f: f), contextlib.nullcontext(), made.shutdown


def logfire():
    import logfire as lf

    lf.configure(send_to_logfire=False, service_name=dialect, console=False)
    lf.instrument_openai()
    lf.instrument_anthropic()
    tool = lf.instrument("find_order", record_return=True)
    return lf.instrument("support", record_return=True), tool, contextlib.nullcontext(), lf.shutdown


def openlit():
    import openlit as lit
    from opentelemetry import trace

    lit.init(service_name=dialect, otlp_endpoint=url, disable_metrics=True, disable_events=True, disable_batch=True)
    return (lambda f: f), (lambda f: f), contextlib.nullcontext(), lambda: trace.get_tracer_provider().force_flush()


def langfuse():
    os.environ.update(LANGFUSE_PUBLIC_KEY="pk-lf-1", LANGFUSE_SECRET_KEY="sk-lf-1", LANGFUSE_HOST=url)
    from langfuse import get_client, observe, propagate_attributes

    client = get_client()
    context = propagate_attributes(session_id="session-1", user_id="user-1", tags=["beta"], metadata={"tier": "gold"})
    return observe(as_type="agent", name="support"), observe(as_type="tool", name="find_order"), context, client.flush


def mlflow():
    os.environ["MLFLOW_TRACKING_URI"] = "sqlite:////tmp/dialect-mlflow.db"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = url + "/v1/traces"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    del os.environ[
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    ]  # it would switch metrics on, which mlflow-tracing alone cannot export
    os.environ["OTEL_SERVICE_NAME"] = dialect
    import mlflow as mf

    mf.openai.autolog()
    mf.anthropic.autolog()

    def tagged(function):
        def inner(*args):
            mf.update_current_trace(metadata={"mlflow.trace.session": "session-1", "mlflow.trace.user": "user-1"})
            return function(*args)

        return inner

    def flush():
        mf.flush_trace_async_logging()

    def agent(function):
        return mf.trace(tagged(function), name="support", span_type="AGENT")

    def tool(function):
        return mf.trace(function, name="find_order", span_type="TOOL")

    return agent, tool, contextlib.nullcontext(), flush


def openai_calls(find_order) -> None:
    if dialect == "langfuse":
        from langfuse.openai import OpenAI
    else:
        from openai import OpenAI
    client = OpenAI(api_key="x", base_url=url + "/v1", max_retries=0)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    client.chat.completions.create(model="gpt-4o-mini", messages=messages, temperature=0.2)
    tools = [TOOL]
    first = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=tools)
    call = first.choices[0].message.tool_calls[0]
    again = [
        *messages,
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": find_order("A-17")},
    ]
    client.chat.completions.create(model="gpt-4o-mini", messages=again, tools=tools)
    usage = {"include_usage": True}
    stream = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True, stream_options=usage)
    for _ in stream:
        pass
    client.responses.create(model="gpt-4o-mini", instructions=SYSTEM, input=QUESTION)
    client.embeddings.create(model="text-embedding-3-small", input=QUESTION)
    with contextlib.suppress(Exception):
        client.chat.completions.create(model="no-such-model", messages=messages)


def anthropic_calls() -> None:
    from anthropic import Anthropic

    client = Anthropic(api_key="x", base_url=url, max_retries=0)
    question = [{"role": "user", "content": QUESTION}]
    client.messages.create(model="claude-sonnet-4-5", max_tokens=64, system=SYSTEM, messages=question)
    schema = TOOL["function"]["parameters"]
    tools = [{"name": "find_order", "description": "Look up an order", "input_schema": schema}]
    client.messages.create(model="claude-sonnet-4-5", max_tokens=64, system=SYSTEM, messages=question, tools=tools)


def main() -> None:
    agent, tool, context, flush = globals()[dialect]()

    @tool
    def find_order(order_id: str) -> str:
        return f"order {order_id}: shipped"

    @agent
    def support(question: str) -> str:
        if dialect != "anthropic":
            openai_calls(find_order)
        if dialect != "langfuse":
            anthropic_calls()
        return "Hold the button for ten seconds."

    with context:
        support(QUESTION)
    flush()


main()
