"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import Q, end, start, step

start()
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI, OpenAIResponses


def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


gpt = OpenAI(model="gpt-4.1-mini", max_retries=0)
Settings.llm, Settings.embed_model = gpt, OpenAIEmbedding(model="text-embedding-3-small")
asked = [ChatMessage(role="user", content=Q)]
index = VectorStoreIndex.from_documents([Document(text="Lisbon is sunny."), Document(text="Oslo is cold.")])


async def agent():
    return str(await FunctionAgent(tools=[get_weather], llm=gpt, name="weather_agent").run(Q))


async def agent_whole():
    return str(await FunctionAgent(tools=[get_weather], llm=gpt, streaming=False).run(Q))


step("complete", lambda: gpt.complete(Q).text)
step("chat", lambda: gpt.chat(asked).message.content)
step("stream", lambda: [chunk.delta for chunk in gpt.stream_chat(asked)][-1])
step("responses", lambda: OpenAIResponses(model="gpt-4.1-mini").complete(Q).text)
step("rag", lambda: str(index.as_query_engine(similarity_top_k=1).query(Q)))
step("agent", agent)
step("agent_whole", agent_whole)
end()
