"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402, I001
from harness import OPENAI, Q, ROOT, end, start, step

start()
from strands import Agent, tool
from strands.models.anthropic import AnthropicModel
from strands.models.openai import OpenAIModel


@tool
def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


def gpt(model="gpt-4.1-mini"):
    return OpenAIModel(client_args={"base_url": OPENAI, "api_key": "x"}, model_id=model)


claude = AnthropicModel(client_args={"base_url": ROOT, "api_key": "x"}, model_id="claude-sonnet-4-5", max_tokens=99)
WHO = {"session.id": "sess-1", "user.id": "u-1"}
step(
    "agent",
    lambda: str(
        Agent(model=gpt(), tools=[get_weather], name="weather_agent", callback_handler=None, trace_attributes=WHO)(Q)
    ),
)
step(
    "agent_claude",
    lambda: str(Agent(model=claude, tools=[get_weather], name="weather_agent", callback_handler=None)(Q)),
)
step("error", lambda: str(Agent(model=gpt("fail-400"), callback_handler=None)(Q)))
end()
