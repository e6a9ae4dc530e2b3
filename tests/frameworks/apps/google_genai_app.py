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
step(
    "tools",
    lambda: (
        client.models.generate_content(
            model=FLASH, contents=Q, config=types.GenerateContentConfig(tools=[get_weather])
        ).text
    ),
)
step("embed", lambda: len(client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"]).embeddings))
step("async", aio)
step("error", lambda: client.models.generate_content(model="fail-400", contents=Q).text)
end()
