"""A real app of one framework, run by the matrix."""

# mypy: ignore-errors
# ruff: noqa: E402, I001
from harness import Q, ROOT, end, start, step

start()
from claude_agent_sdk import ClaudeAgentOptions, create_sdk_mcp_server, query, tool


@tool("get_weather", "Weather of a city.", {"city": str})
async def get_weather(args):
    return {"content": [{"type": "text", "text": f"sunny in {args['city']}"}]}


tools = create_sdk_mcp_server(name="w", version="1.0.0", tools=[get_weather])
QUIET = {
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}
OPTIONS = ClaudeAgentOptions(
    model="claude-sonnet-4-5", mcp_servers={"w": tools}, allowed_tools=["mcp__w__get_weather"], tools=[], max_turns=4,
    env={"ANTHROPIC_BASE_URL": ROOT, "ANTHROPIC_API_KEY": "sk-a", **QUIET}, setting_sources=[],
)  # fmt: skip


async def agent():
    return [
        str(getattr(message, "result", type(message).__name__)) async for message in query(prompt=Q, options=OPTIONS)
    ]


step("agent", agent)
end()
