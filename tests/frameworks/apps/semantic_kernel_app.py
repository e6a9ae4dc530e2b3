"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import Q, end, start, step

start()
from openai import AsyncOpenAI
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
from semantic_kernel.functions import kernel_function


class Weather:
    @kernel_function(name="get_weather", description="w")
    def get_weather(self, city: str) -> str:
        return f"sunny in {city}"


def agent(model="gpt-4.1-mini", **more):
    service = OpenAIChatCompletion(ai_model_id=model, async_client=AsyncOpenAI(max_retries=0))
    return ChatCompletionAgent(service=service, name="weather_agent", instructions="x", **more)


async def run():
    return str((await agent(plugins=[Weather()]).get_response(messages=Q)).content)


async def stream():
    return "".join([str(chunk.content) async for chunk in agent().invoke_stream(messages=Q)])


async def error():
    return str(await agent("fail-400").get_response(messages=Q))


for name, part in (("agent", run), ("stream", stream), ("error", error)):
    step(name, part)
end()
