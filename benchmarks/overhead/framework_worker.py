"""Runs in a framework's environment: times one call of 1 KB through it, with or without evalspan.

Prints one JSON object: microseconds of this thread's processor time, and who traces the framework.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from .worker import measure, null_provider
from .workload import messages_of, transport

CALLS = 4


def clients() -> tuple[Any, Any]:
    """Both clients of the openai SDK, which answer from memory."""
    import openai

    base: Any = openai._base_client
    client, async_client = transport(base.httpx2 if hasattr(base, "httpx2") else base.httpx)
    of: dict[str, Any] = {"api_key": "k", "base_url": "http://x.test/v1"}
    return openai.OpenAI(**of, http_client=client), openai.AsyncOpenAI(**of, http_client=async_client)


def langchain() -> Callable[[], Any]:
    """A chain of a prompt and a model."""
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    client, async_client = clients()
    model = ChatOpenAI(model="gpt", api_key="k", base_url="http://x.test/v1")
    model.client, model.async_client = client.chat.completions, async_client.chat.completions
    system, user = messages_of(1)
    chain = ChatPromptTemplate([("system", system["content"]), ("user", "{question}")]) | model
    return lambda: chain.invoke({"question": user["content"]})


def openai_agents() -> Callable[[], Any]:
    """An agent without tools."""
    from agents import Agent, OpenAIChatCompletionsModel, Runner

    system, user = messages_of(1)
    model = OpenAIChatCompletionsModel(model="gpt", openai_client=clients()[1])
    agent = Agent(name="support", instructions=system["content"], model=model)
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(Runner.run(agent, user["content"]))


def pydantic_ai() -> Callable[[], Any]:
    """An agent without tools."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    system, user = messages_of(1)
    model = OpenAIChatModel("gpt", provider=OpenAIProvider(openai_client=clients()[1]))
    agent = Agent(model, system_prompt=system["content"])
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(agent.run(user["content"]))


def litellm() -> Callable[[], Any]:
    """A call."""
    import litellm as library

    client = clients()[0]
    return lambda: library.completion(model="openai/gpt", messages=messages_of(1), client=client)


CASES = {"LangChain": langchain, "OpenAI Agents": openai_agents, "Pydantic AI": pydantic_ai, "LiteLLM": litellm}


def main(framework: str, mode: str) -> None:
    """Measures one framework in one mode."""
    os.environ |= {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OPENAI_API_KEY": "k",
        "OPENAI_AGENTS_DISABLE_TRACING": "1" if mode != "with its instrumentor" else "0",
    }
    by = ""
    call = CASES[framework]()
    if mode != "alone":
        import evalspan

        handle = evalspan.init(tracer_provider=null_provider(), frameworks=mode == "with its instrumentor")
        known = handle.coverage().get(framework.lower().replace(" ", "-"))
        by = (known.traced_by or "") if known is not None and mode == "with its instrumentor" else ""
    print(json.dumps({"us": measure(call, CALLS, 1), "by": by}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
