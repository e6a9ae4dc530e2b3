"""One run of an agent of Google ADK with a tool, for record_more.py: `adk.py MODEL_SERVER OTLP`."""

# mypy: ignore-errors
# ruff: noqa: E402, F841 - variables are set before the packages are imported
import asyncio
import os
import sys

ROOT, SPANS = sys.argv[1], sys.argv[2]
os.environ.update(
    GOOGLE_API_KEY="g",
    GOOGLE_GEMINI_BASE_URL=ROOT,
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true",
    ADK_CAPTURE_MESSAGE_CONTENT_IN_SPANS="true",
)
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

p = TracerProvider(resource=Resource.create({"service.name": "adk"}))
p.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(SPANS + "/v1/traces")))
trace.set_tracer_provider(p)
from google.adk.agents import Agent
from google.adk.runners import InMemoryRunner
from google.genai import types


def get_weather(city: str) -> dict:
    """Weather of a city."""
    return {"weather": "sunny"}


agent = Agent(name="forecaster", model="gemini-2.5-flash", instruction="You are a weather agent.", tools=[get_weather])


async def main():
    r = InMemoryRunner(agent=agent, app_name="weather")
    s = await r.session_service.create_session(app_name="weather", user_id="user-1", session_id="session-1")
    async for e in r.run_async(
        user_id="user-1",
        session_id="session-1",
        new_message=types.Content(role="user", parts=[types.Part(text="What is the weather in Lisbon?")]),
    ):
        if e.content and e.content.parts and e.content.parts[0].text:
            print("answer", e.content.parts[0].text)
    await r.close() if hasattr(r, "close") else None


asyncio.run(main())
p.force_flush()
