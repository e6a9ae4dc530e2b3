"""The tutorials, followed word for word in an empty folder: files written, commands run, what they print looked for."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
ANSWERS = {
    "pro": "Pro costs $49 a month.",
    "free": "Starter is free for one user.",
    "refund": "Refunds are made within 30 days.",
    "backup": "Backups are made every night at 2 am and kept for 14 days.",
    "limit": "Files may be up to 200 MB.",
}
INVENTED = {"backup": "Backups are kept for 365 days.", "limit": "Files may be up to 900 MB."}


class Model(BaseHTTPRequestHandler):
    """Stands in for the provider: keeps to a text that it is given, invents a price without one, calls a tool that it has."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": None, **reply_to(asked)}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
        whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice]}
        body = json.dumps({**whole, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


def reply_to(asked: dict[str, Any]) -> dict[str, Any]:
    messages = asked["messages"]
    question = next(one["content"] for one in reversed(messages) if one["role"] == "user")
    if messages[-1]["role"] == "tool":
        return {"content": f"Your order is {messages[-1]['content']}."}
    order = re.search(r"\b[A-Z]\d\b", question)
    if order:
        if "tools" not in asked:
            return {"content": "It was shipped, I believe."}
        call = {"name": "find_order", "arguments": json.dumps({"order": order[0]})}
        return {"tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
    topic = next((word for word in ANSWERS if word in question.lower()), "")
    prompt = messages[0]["content"]
    if "from this text" not in prompt:
        return {"content": "Yes." if "word" in prompt else "Pro costs just $99 a month, dear friend."}
    return {"content": INVENTED[topic] if prompt.endswith("nothing") else ANSWERS.get(topic, "I do not know.")}


@contextmanager
def model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()


@contextmanager
def clickhouse(folder: Path) -> Iterator[str]:
    program = ROOT / "tests" / "queries" / "writable_server.py"
    running = subprocess.Popen(
        [sys.executable, str(program), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stdin is not None
    try:
        yield running.stdout.readline().strip().replace("http://", "http://writer:pass%20word@") + "/evalspan"
    finally:
        running.stdin.close()
        running.wait(30)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def environment(folder: Path, model_url: str) -> dict[str, str]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVALSPAN", "OTEL"))}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "share"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "a-key",
        "EVALSPAN_RECEIVE_PORT": port,
        "EVALSPAN_RECEIVE_GRPC_PORT": "-1",
        "EVALSPAN_RECEIVE_SQL_PORT": free_port(),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
    }


class Terminal:
    """One shell's worth of commands; a service in the background goes on until it is killed or the reader is done."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.service: subprocess.Popen[str] | None = None

    def run(self, command: str, expected: list[str]) -> None:
        found = re.search(r"# exit (\d)(?: or (\d))?$", command)
        codes = {int(code) for code in found.groups() if code} if found else {0}
        if command.endswith(" &"):
            self._serve(command.removesuffix(" &"))
        elif command.startswith("kill %1"):
            self.close()
        else:
            self._ask(command, expected, codes)

    def _serve(self, command: str) -> None:
        self.service = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=(self.folder / "serve.log").open("a"),
        )  # fmt: skip
        assert self.service.stdout is not None
        assert self.service.stdout.readline() == "ready\n", (self.folder / "serve.log").read_text()

    def _ask(self, command: str, expected: list[str], codes: set[int]) -> None:
        """What reads the store may be too early by seconds; whatever does something runs once."""
        reads = re.match(r"evalspan (sql|traces|alert|queries)\b", command) is not None
        for _ in range(20 if reads else 1):
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.folder, env=self.environment, text=True, capture_output=True, timeout=120, check=False
            )  # fmt: skip
            said = done.stdout + done.stderr
            missing = [line for line in expected if line not in said]
            if done.returncode in codes and not missing:
                return
            time.sleep(0.5)
        raise AssertionError(f"{command}\nexit {done.returncode}, not there: {missing}\n{said}")

    def close(self) -> None:
        if self.service is not None:
            self.service.terminate()
            assert self.service.wait(60) == 0
            self.service = None


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    with ExitStack() as stack:
        settings = environment(tmp_path, stack.enter_context(model()))
        if "$SERVER" in text:
            settings["SERVER"] = stack.enter_context(clickhouse(tmp_path / "clickhouse"))
        terminal = Terminal(tmp_path, settings)
        stack.callback(terminal.close)
        for language, title, content in FENCE.findall(text):
            if title:
                (tmp_path / title).write_text(content)
                continue
            assert language == "console", f"{page.name}: a block that nobody runs"
            for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
                command, *expected = part.splitlines()
                terminal.run(command, expected)


def test_the_tutorials_are_there_and_listed() -> None:
    listed = (ROOT / "mkdocs.yml").read_text()
    assert {page.stem for page in PAGES} == {"support-assistant", "agent", "rag", "monitoring", "moving-to-a-server"}
    assert all(f"tutorials/{page.name}" in listed for page in PAGES)
