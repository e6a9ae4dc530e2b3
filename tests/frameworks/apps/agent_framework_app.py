"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import OPENAI, Q, end, start, step

start()
from agent_framework import Agent
from agent_framework.openai import OpenAIChatClient


def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


def agent(model="gpt-4.1-mini"):
    client = OpenAIChatClient(model=model, base_url=OPENAI, api_key="x")
    return Agent(client=client, name="weather_agent", instructions="x", tools=[get_weather])


async def run():
    return (await agent().run(Q)).text


async def stream():
    return len([update async for update in agent().run(Q, stream=True)])


async def error():
    return (await agent("fail-400").run(Q)).text


step("agent", run)
step("stream", stream)
step("error", error)
end()
