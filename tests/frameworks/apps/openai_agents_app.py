"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import Q, end, start, step

start()
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_trace_processors,
    trace,
)
from openai import AsyncOpenAI, OpenAI

set_trace_processors([])  # as apps do that keep their traces from OpenAI's backend


@function_tool
def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


@function_tool
def search(city: str) -> str:
    "A tool that calls models itself, as retrieval does."
    client = OpenAI()
    client.embeddings.create(model="text-embedding-3-small", input="in the tool")
    return (
        client.chat.completions.create(model="gpt-4.1-nano", messages=[{"role": "user", "content": "in the tool"}])
        .choices[0]
        .message.content
    )


weather = Agent(
    name="Weather",
    instructions="You know the weather.",
    tools=[get_weather],
    model="gpt-4.1-mini",
    handoff_description="weather",
)
triage = Agent(name="Triage", instructions="Hand over.", handoffs=[weather], model="gpt-4.1-mini")
chatty = Agent(
    name="Chatty",
    instructions="x",
    tools=[get_weather],
    model=OpenAIChatCompletionsModel("gpt-4.1-mini", AsyncOpenAI()),
)


def session():
    kept = SQLiteSession("session-5")
    with trace("conversation", group_id="group-5"):
        return [Runner.run_sync(weather, question, session=kept).final_output for question in (Q, "Again?")]


def stream():
    async def read():
        own = OpenAIResponsesModel("gpt-4.1-mini", AsyncOpenAI())
        result = Runner.run_streamed(Agent(name="Weather", tools=[get_weather], model=own), Q)
        return len([event async for event in result.stream_events()]), result.final_output

    import asyncio

    return asyncio.run(read())


step("agent", lambda: Runner.run_sync(weather, Q).final_output)
step("handoff", lambda: Runner.run_sync(triage, Q).final_output)
step("chat_model", lambda: Runner.run_sync(chatty, Q).final_output)
step(
    "tool_that_calls",
    lambda: Runner.run_sync(Agent(name="Search", tools=[search], model="gpt-4.1-mini"), Q).final_output,
)
step("session", session)
step("error", lambda: Runner.run_sync(Agent(name="E", model="fail-400"), Q).final_output)
step("stream", stream)
end()
