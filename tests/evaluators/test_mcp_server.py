"""An assistant sees traces, scores and failures through the protocol's own client, and can change nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from evalspan.evaluators.mcp_server import MAX_TEXT, build_server

PROJECT = "mcp-server"
TRACE = "c0ffee" + "0" * 26


@pytest.fixture(scope="module")
def filled(store: Any) -> Any:
    row = {
        "project": PROJECT,
        "trace_id": TRACE,
        "span_id": "ab" * 8,
        "name": "chat gpt",
        "operation": "chat",
        "service": "shop",
        "start_time": datetime.now(UTC) - timedelta(minutes=5),
        "duration_ns": 10**9,
        "input": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "why? " * 4_000}]}]),
        "output": "[]",
    }
    store.insert("spans", [row])
    return store


async def call(server: Any, tool: str, **arguments: Any) -> Any:
    async with Client(server, raise_exceptions=False) as client:
        result = await client.call_tool(tool, arguments)
    texts = [getattr(part, "text", "") for part in result.content]
    assert not result.is_error, texts
    return [json.loads(text) for text in texts]


async def test_every_tool_says_that_it_only_reads_and_what_it_is_for(filled) -> None:
    async with Client(build_server(filled, PROJECT)) as client:
        tools = (await client.list_tools()).tools
    assert len(tools) >= 8
    for tool in tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint, tool.name
        assert len(tool.description or "") > 40, tool.name


async def test_a_trace_is_found_and_shown_with_long_texts_cut_and_the_cut_counted(filled) -> None:
    server = build_server(filled, PROJECT)
    listed = await call(server, "list_traces", since="1h")
    assert TRACE in json.dumps(listed)
    shown = json.dumps(await call(server, "show_trace", trace_id=TRACE[:8]))
    assert "characters more" in shown
    assert len(shown) < 20 * MAX_TEXT


async def test_statements_that_write_and_names_that_do_not_exist_are_errors_with_the_reason(filled) -> None:
    async with Client(build_server(filled, PROJECT)) as client:
        for sql in (
            "DROP TABLE spans",
            "INSERT INTO spans (trace_id) VALUES ('x')",
            "SELECT nothing_like_that FROM spans",
        ):
            result = await client.call_tool("run_sql", {"sql": sql})
            assert result.is_error, sql
        result = await client.call_tool("show_trace", {"trace_id": "zzzz"})
        assert result.is_error
    assert await call(build_server(filled, PROJECT), "run_sql", sql="SELECT 1 AS one") == [{"one": 1}]


@pytest.fixture
def empty_store(tmp_path: Path) -> str:
    dsn = f"chdb://{tmp_path}/store"
    program = f"from evalspan.queries import open_store\nopen_store({dsn!r}).close()"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    return dsn


@pytest.mark.slow
async def test_the_command_speaks_the_protocol_on_its_pipes(empty_store) -> None:
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "evalspan", "mcp", "--store", empty_store])
    async with Client(parameters) as client:
        result = await client.call_tool("run_sql", {"sql": "SELECT count() AS n FROM spans"})
    assert json.loads(getattr(result.content[0], "text", "")) == {"n": 0}
