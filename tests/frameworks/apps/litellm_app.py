"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402, I001
import asyncio

from harness import OPENAI, Q, ROOT, end, start, step

start()
import litellm

litellm.telemetry = False
ASKED = [{"role": "user", "content": Q}]
TOOL = {
    "name": "get_weather",
    "description": "w",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PLACE = {"api_base": OPENAI, "api_key": "x"}
GPT, CLAUDE = "openai/gpt-4.1-mini", "anthropic/claude-sonnet-4-5"


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


async def achat():
    return (await litellm.acompletion(GPT, ASKED, **PLACE)).choices[0].message.content


async def astream():
    return text([chunk async for chunk in await litellm.acompletion(GPT, ASKED, stream=True, **PLACE)])


def tools():
    said = litellm.completion(GPT, ASKED, tools=[{"type": "function", "function": TOOL}], **PLACE).choices[0].message
    result = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "sunny"}
    return litellm.completion(GPT, [*ASKED, said, result], **PLACE).choices[0].message.content


step("chat", lambda: litellm.completion(GPT, ASKED, **PLACE).choices[0].message.content)
step("stream", lambda: text(litellm.completion(GPT, ASKED, stream=True, **PLACE)))
step(
    "stream_usage",
    lambda: len(list(litellm.completion(GPT, ASKED, stream=True, stream_options={"include_usage": True}, **PLACE))),
)
step("achat", achat)
step("astream", astream)
step("tools", tools)
step("responses", lambda: litellm.responses(model=GPT, input="hi", **PLACE).output[0].content[0].text)
step("embed", lambda: len(litellm.embedding("openai/text-embedding-3-small", ["a", "b"], **PLACE).data))
step("claude", lambda: litellm.completion(CLAUDE, ASKED, api_base=ROOT, api_key="x").choices[0].message.content)
step(
    "gemini",
    lambda: (
        litellm.completion(
            "gemini/gemini-2.5-flash", ASKED, api_base=f"{ROOT}/v1beta/models/gemini-2.5-flash", api_key="x"
        )
        .choices[0]
        .message.content
    ),
)
step("error", lambda: litellm.completion("openai/fail-400", ASKED, **PLACE))
step("wait", lambda: asyncio.run(asyncio.sleep(0.5)))
end()
