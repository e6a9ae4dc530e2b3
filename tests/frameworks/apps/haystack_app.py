"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import OPENAI, Q, end, start, step

start()
from haystack import Document, Pipeline
from haystack.components.agents import Agent
from haystack.components.builders import ChatPromptBuilder
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator, OpenAIResponsesChatGenerator
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.dataclasses import ChatMessage
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.tools import tool


@tool
def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


def chat(model="gpt-4.1-mini", **more):
    return OpenAIChatGenerator(model=model, api_base_url=OPENAI, max_retries=0, **more)


asked = [ChatMessage.from_user(Q)]
place = {"model": "text-embedding-3-small", "api_base_url": OPENAI}
store = InMemoryDocumentStore()
store.write_documents(
    OpenAIDocumentEmbedder(progress_bar=False, **place).run(
        [Document(content="Lisbon is sunny."), Document(content="Oslo is cold.")]
    )["documents"]
)


def rag():
    pipeline = Pipeline()
    pipeline.add_component("embed", OpenAITextEmbedder(**place))
    pipeline.add_component("retrieve", InMemoryEmbeddingRetriever(store, top_k=1))
    pipeline.add_component(
        "prompt",
        ChatPromptBuilder(template=[ChatMessage.from_user("{{documents[0].content}} {{q}}")], required_variables="*"),
    )
    pipeline.add_component("llm", chat())
    for one, other in (
        ("embed.embedding", "retrieve.query_embedding"),
        ("retrieve.documents", "prompt.documents"),
        ("prompt.prompt", "llm.messages"),
    ):
        pipeline.connect(one, other)
    return pipeline.run({"embed": {"text": Q}, "prompt": {"q": Q}})["llm"]["replies"][0].text


step("chat", lambda: chat().run(asked)["replies"][0].text)
step("stream", lambda: chat(streaming_callback=lambda chunk: None).run(asked)["replies"][0].text)
step(
    "responses",
    lambda: OpenAIResponsesChatGenerator(model="gpt-4.1-mini", api_base_url=OPENAI).run(asked)["replies"][0].text,
)
step("rag", rag)
step("agent", lambda: Agent(chat_generator=chat(), tools=[get_weather]).run(messages=asked)["messages"][-1].text)
step("error", lambda: chat("fail-400").run(asked))
end()
