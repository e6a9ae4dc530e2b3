"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402
from harness import Q, end, start, step

start()
from typing import TypedDict

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel


class Weather(BaseModel):
    "Weather."

    city: str
    degrees: int


class State(TypedDict):
    q: str
    a: str


@tool
def get_weather(city: str) -> str:
    "Weather of a city."
    return f"sunny in {city}"


@tool
def broken(city: str) -> str:
    "Weather of a city."
    raise ValueError("no such city")


gpt = ChatOpenAI(model="gpt-4.1-mini", max_retries=0)
claude = ChatAnthropic(model="claude-sonnet-4-5", max_retries=0)
agent = create_agent(
    model=gpt,
    tools=[get_weather],
    system_prompt="You know the weather.",
    checkpointer=InMemorySaver(),
    name="weather_agent",
)


def thread(name):
    return {"configurable": {"thread_id": name}}


def asked(system=None):
    return {"messages": [("user", Q)]}


embeddings = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
store = InMemoryVectorStore.from_texts(["Lisbon is sunny.", "Oslo is cold."], embeddings)


def rag():
    prompt = ChatPromptTemplate.from_template("{context} {question}")
    given = {"context": store.as_retriever(search_kwargs={"k": 1}), "question": RunnablePassthrough()}
    return (given | prompt | gpt | StrOutputParser()).invoke(Q)


def graph():
    built = StateGraph(State)
    built.add_node("think", lambda state: {"a": gpt.invoke(state["q"]).content})
    built.add_node("polish", lambda state: {"a": claude.invoke(state["a"]).content})
    for one, other in ((START, "think"), ("think", "polish"), ("polish", END)):
        built.add_edge(one, other)
    return built.compile().invoke({"q": Q})["a"]


async def astream():
    return "".join([chunk.content async for chunk in gpt.astream(Q)])


async def aagent():
    return (await agent.ainvoke(asked(), thread("thread-9")))["messages"][-1].content


step("chat", lambda: gpt.invoke([("system", "Be brief."), ("user", Q)]).content)
step("responses", lambda: ChatOpenAI(model="gpt-4.1-mini", use_responses_api=True).invoke(Q).text)
step("stream", lambda: "".join(chunk.content for chunk in gpt.stream(Q)))
step("astream", astream)
step("batch", lambda: [message.content for message in gpt.batch([Q, Q])])
step("structured", lambda: gpt.with_structured_output(Weather).invoke(Q))
step("agent", lambda: agent.invoke(asked(), thread("thread-7"))["messages"][-1].content)
step("agent_stream", lambda: len(list(agent.stream(asked(), thread("thread-8"), stream_mode="messages"))))
step("aagent", aagent)
step("agent_broken_tool", lambda: create_agent(model=gpt, tools=[broken]).invoke(asked())["messages"][-1].content)
step("rag", rag)
step("graph", graph)
step("claude_stream", lambda: "".join(str(chunk.content) for chunk in claude.stream(Q)))
step("claude_agent", lambda: create_agent(model=claude, tools=[get_weather]).invoke(asked())["messages"][-1].content)
step("error", lambda: ChatOpenAI(model="fail-400", max_retries=0).invoke(Q))
step("error_retry", lambda: ChatOpenAI(model="fail-500", max_retries=1).invoke(Q))
end()
