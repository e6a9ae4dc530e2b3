"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import OPENAI, Q, end, start, step

start()
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient

INFO = {"vision": False, "function_calling": True, "json_output": True, "family": "gpt-41", "structured_output": True}


def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


def gpt(model="gpt-4.1-mini"):
    return OpenAIChatCompletionClient(model=model, base_url=OPENAI, api_key="x", max_retries=0, model_info=INFO)


def assistant(**more):
    return AssistantAgent("weather_agent", gpt(), tools=[get_weather], reflect_on_tool_use=True, **more)


async def agent():
    return (await assistant().run(task=Q)).messages[-1].content


async def stream():
    return len([item async for item in assistant(model_client_stream=True).run_stream(task=Q)])


async def team():
    pair = [AssistantAgent("a", gpt()), AssistantAgent("b", gpt())]
    return (
        (await RoundRobinGroupChat(pair, termination_condition=MaxMessageTermination(3)).run(task=Q))
        .messages[-1]
        .content
    )


async def error():
    return await AssistantAgent("weather_agent", gpt("fail-400")).run(task=Q)


for name, part in (("agent", agent), ("stream", stream), ("team", team), ("error", error)):
    step(name, part)
end()
