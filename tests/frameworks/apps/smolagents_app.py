"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import OPENAI, Q, end, start, step

start()
from smolagents import LiteLLMModel, OpenAIModel, ToolCallingAgent, tool


@tool
def get_weather(city: str) -> str:
    """Weather of a city.

    Args:
        city: the city
    """
    return f"sunny in {city}"


def agent(model, **more):
    return ToolCallingAgent([get_weather], model, verbosity_level=0, max_steps=4, **more)


gpt = OpenAIModel("gpt-4.1-mini", api_base=OPENAI, api_key="x")
step("agent", lambda: agent(gpt).run(Q))
step("stream", lambda: len(list(agent(gpt, stream_outputs=True).run(Q, stream=True))))
step("litellm", lambda: agent(LiteLLMModel("openai/gpt-4.1-mini", api_base=OPENAI, api_key="x")).run(Q))
step("error", lambda: agent(OpenAIModel("fail-400", api_base=OPENAI, api_key="x")).run(Q))
end()
