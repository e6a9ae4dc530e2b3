"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402, I001
from harness import Q, ROOT, end, start, step

start()
from google import genai
from google.genai import types


def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


client = genai.Client(api_key="g", http_options=types.HttpOptions(base_url=ROOT))
FLASH = "gemini-2.5-flash"


async def aio():
    return (await client.aio.models.generate_content(model=FLASH, contents=Q)).text


step("chat", lambda: client.models.generate_content(model=FLASH, contents=Q).text)
step(
    "stream",
    lambda: "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model=FLASH, contents=Q)),
)
TOOLS = types.GenerateContentConfig(tools=[get_weather])


async def aio_agent():
    return (await client.aio.models.generate_content(model=FLASH, contents=Q, config=TOOLS)).text


async def aio_agent_stream():
    stream = await client.aio.models.generate_content_stream(model=FLASH, contents=Q, config=TOOLS)
    return "".join([chunk.text or "" async for chunk in stream])


def chat_stream():
    chat = client.chats.create(model=FLASH, config=TOOLS)
    return "".join(chunk.text or "" for chunk in chat.send_message_stream(Q))


async def aio_chat():
    return (await client.aio.chats.create(model=FLASH, config=TOOLS).send_message(Q)).text


async def aio_chat_stream():
    stream = await client.aio.chats.create(model=FLASH, config=TOOLS).send_message_stream(Q)
    return "".join([chunk.text or "" async for chunk in stream])


def agent_stream():
    return "".join(
        chunk.text or "" for chunk in client.models.generate_content_stream(model=FLASH, contents=Q, config=TOOLS)
    )


step("agent", lambda: client.models.generate_content(model=FLASH, contents=Q, config=TOOLS).text)
step("agent_chat", lambda: client.chats.create(model=FLASH, config={"tools": [get_weather]}).send_message(Q).text)
step("agent_stream", agent_stream)
step("agent_chat_stream", chat_stream)
step("agent_chat_aio", aio_chat)
step("agent_chat_aio_stream", aio_chat_stream)
step("aio_agent", aio_agent)
step("aio_agent_stream", aio_agent_stream)
step("embed", lambda: len(client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"]).embeddings))
step("async", aio)
step("error", lambda: client.models.generate_content(model="fail-400", contents=Q).text)
end()
