"""Runs of LangSmith with its OpenTelemetry export, for record_more.py: `langsmith.py MODEL_SERVER OTLP`."""

# mypy: ignore-errors
# ruff: noqa: E402, SIM105 - variables are set before the packages are imported
import os
import sys

ROOT, SPANS = sys.argv[1], sys.argv[2]
os.environ.update(
    LANGSMITH_TRACING="true",
    LANGSMITH_OTEL_ENABLED="true",
    LANGSMITH_OTEL_ONLY="true",
    LANGSMITH_API_KEY="x",
    LANGSMITH_ENDPOINT="http://127.0.0.1:9",
    OTEL_EXPORTER_OTLP_ENDPOINT=SPANS,
    OPENAI_API_KEY="k",
    OPENAI_BASE_URL=ROOT + "/v1",
)
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

p = TracerProvider(resource=Resource.create({"service.name": "langsmith"}))
p.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(SPANS + "/v1/traces")))
trace.set_tracer_provider(p)
import openai
from langsmith import traceable
from langsmith.wrappers import wrap_openai

c = wrap_openai(openai.OpenAI(max_retries=0))


@traceable(run_type="tool")
def get_weather(city: str):
    return "sunny"


@traceable(run_type="retriever")
def search(q: str):
    return [{"page_content": "Lisbon is sunny.", "type": "Document", "metadata": {}}]


@traceable(run_type="chain", metadata={"session_id": "session-1"}, tags=["t1"])
def support(question: str):
    search(question)
    get_weather("Lisbon")
    r = c.chat.completions.create(
        model="gpt-4.1-mini",
        messages=[{"role": "system", "content": "You are a weather agent."}, {"role": "user", "content": question}],
    )
    for _ in c.chat.completions.create(
        model="gpt-4.1-mini",
        stream=True,
        stream_options={"include_usage": True},
        messages=[{"role": "user", "content": question}],
    ):
        pass
    c.responses.create(model="gpt-4.1-mini", input=question)
    try:
        c.chat.completions.create(model="fail-400", messages=[{"role": "user", "content": question}])
    except openai.APIError:
        pass
    return r.choices[0].message.content


print("answer", support("What is the weather in Lisbon?"))
import time

from langsmith.run_trees import get_cached_client

get_cached_client().flush()
time.sleep(2)
p.force_flush()
