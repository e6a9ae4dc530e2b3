"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import Q, end, start, step

start()
from pydantic import BaseModel
from pydantic_ai import Agent, Embedder
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel


class City(BaseModel):
    city: str


def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


chat, responses, claude = (
    OpenAIChatModel("gpt-4.1-mini"),
    OpenAIResponsesModel("gpt-4.1-mini"),
    AnthropicModel("claude-sonnet-4-5"),
)


async def stream(model=chat):
    async with Agent(model, tools=[get_weather], name="streamer").run_stream(Q) as result:
        return "".join([text async for text in result.stream_text(delta=True)])


async def claude_stream():
    return await stream(claude)


async def embed():
    return len((await Embedder("openai:text-embedding-3-small").embed_query("hi")).embeddings)


step("chat", lambda: Agent(chat, instructions="Be brief.").run_sync(Q).output)
step(
    "agent", lambda: Agent(chat, tools=[get_weather], name="weather_agent").run_sync(Q, conversation_id="conv-3").output
)
step("agent_responses", lambda: Agent(responses, tools=[get_weather], name="weather_agent").run_sync(Q).output)
step("agent_claude", lambda: Agent(claude, tools=[get_weather], name="weather_agent").run_sync(Q).output)
step("structured", lambda: Agent(chat, output_type=City).run_sync(Q).output)
step("stream", stream)
step("claude_stream", claude_stream)
step("embed", embed)
step("error", lambda: Agent(OpenAIChatModel("fail-400")).run_sync(Q).output)
end()
