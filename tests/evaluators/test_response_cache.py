"""The cache of model answers: the target's code always runs, an answer is keyed by what is sent, failures are not kept."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from click.testing import CliRunner, Result

from evalspan.__main__ import cli
from evalspan.evaluators.datasets import Dataset, Example
from evalspan.evaluators.response_cache import ResponseCache, cache_folder, use_cache
from evalspan.instrument.replayable import is_model_request, is_usable_answer
from evalspan.instrument.request_replay import ReplayScope, replaying

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = """
import os
from openai import OpenAI
from anthropic import Anthropic
from evalspan.evaluators import evaluator

SYSTEM = "Answer briefly."
PARAMETERS = {}
client = OpenAI(base_url=os.environ["MODEL_URL"] + "/v1", api_key="x", max_retries=0)
claude = Anthropic(base_url=os.environ["MODEL_URL"], api_key="x", max_retries=0)

def ask(input):
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": input["q"]}]
    return client.chat.completions.create(model="m", messages=messages, **PARAMETERS).choices[0].message.content

def shout(input): return ask(input).upper()
def broken(input): return ask(input).replace("49", "99")
def streamed(input):
    stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": input["q"]}], stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)
def anthropic(input):
    return claude.messages.create(model="c", max_tokens=9, messages=[{"role": "user", "content": "q"}]).content[0].text
def twice(input): return ask(input) + ask(input)
def fails_after(input):
    ask(input)
    raise ValueError("bad JSON")
def by_hand(input):
    import urllib.request
    body = b'{"model": "m", "messages": []}'
    urllib.request.urlopen(os.environ["MODEL_URL"] + "/v1/chat/completions", data=body)
    return "49"

@evaluator(name="price", version="1")
def price(output): return "49" in output

@evaluator(name="asks", version="1")
def asks(output): return ask({"q": f"is this right? {output}"}) != ""
suite, asking = [price], [asks]
"""


class Model:
    """An OpenAI- and Anthropic-compatible server that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.reply: tuple[int, str, bytes] | None = None
        self.delay_s = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                return

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                time.sleep(outer.delay_s)
                status, kind, raw = outer.answer(body, self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, body: dict[str, Any], path: str) -> tuple[int, str, bytes]:
        if self.reply is not None:
            return self.reply
        if path.endswith("/messages"):
            message = {"id": "1", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn", "stop_sequence": None,
                       "content": [{"type": "text", "text": "$49"}], "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
            return 200, "application/json", json.dumps(message).encode()
        if body.get("stream"):
            return 200, "text/event-stream", stream("$4", "9")
        return 200, "application/json", completion("$49")


def completion(content: str | None, finish: str = "stop", **message: Any) -> bytes:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    ).encode()


def stream(*parts: str, done: bool = True, **more: Any) -> bytes:
    def event(delta: dict[str, Any], finish: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    text = b"".join(event({"content": part}, None) for part in parts)
    return text + (event({}, "stop") + b"data: [DONE]\n\n" if done else b"")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    running = Model()
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_URL", running.url)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "app", raising=False)
    example = Example(id="a", partition="regression", input={"q": "Price?"}, metadata={"root_cause": "prompt"})
    Dataset("d", examples=[example]).save(Path("d.jsonl"))
    yield running
    running.server.shutdown()
    sys.modules.pop("app", None)


def gate(target: str, *more: str, suite: str = "app:suite") -> Result:
    sys.modules.pop("app", None)
    return CliRunner().invoke(cli, ["gate", "--dataset", "d.jsonl", "--target", target, "--suite", suite, *more])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["ask", "shout", "streamed", "anthropic"])
def test_the_same_request_is_asked_once_over_two_runs(model: Model, target: str) -> None:
    assert [gate(f"app:{target}").exit_code for _ in range(3)] == [0, 0, 0]
    assert len(model.asked) == 1


def test_an_edited_target_runs_although_its_model_is_not_asked_again(model: Model) -> None:
    assert gate("app:ask").exit_code == 0
    assert gate("app:broken").exit_code == 3
    Path("app.py").write_text(APP.replace("return client.chat", "return 'x' or client.chat"))
    assert gate("app:ask").exit_code == 3
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "edit",
    [
        ('"Answer briefly."', '"Answer at length."'),
        ("PARAMETERS = {}", 'PARAMETERS = {"temperature": 0.7}'),
        ('model="m"', 'model="m2"'),
        ("PARAMETERS = {}", 'PARAMETERS = {"extra_headers": {"x-tenant": "b"}}'),
        ('"/v1"', '"/v1/other"'),
    ],
)
def test_whatever_changes_the_request_asks_the_model_again(model: Model, edit: tuple[str, str]) -> None:
    gate("app:ask")
    Path("app.py").write_text(APP.replace(*edit))
    gate("app:ask")
    assert len(model.asked) == 2


@pytest.mark.parametrize(
    "switch", [("--no-cache", {}), (None, {"EVALSPAN_CACHE": "off"}), (None, {"EVALSPAN_CACHE": "0"})]
)
def test_one_switch_and_one_variable_turn_every_cache_off(
    model: Model, switch: tuple[str | None, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate("app:ask", suite="app:asking")
    asked = len(model.asked)
    for name, value in switch[1].items():
        monkeypatch.setenv(name, value)
    gate("app:ask", *([switch[0]] if switch[0] else []), suite="app:asking")
    assert len(model.asked) == 2 * asked == 4


def test_two_equal_requests_of_one_case_are_two_samples(model: Model) -> None:
    gate("app:twice")
    gate("app:twice")
    assert len(model.asked) == 2


def test_a_case_that_failed_in_the_target_keeps_no_answer(model: Model) -> None:
    assert gate("app:fails_after").exit_code == 3
    assert gate("app:fails_after").exit_code == 3
    assert len(model.asked) == 2


def test_g14_a_run_that_was_cut_short_pays_only_for_what_is_missing(model: Model) -> None:
    examples = [
        Example(id=str(number), partition="regression", input={"q": str(number)}, metadata={"root_cause": "x"})
        for number in range(12)
    ]
    Dataset("d", examples=examples).save(Path("d.jsonl"))
    model.delay_s = 0.1
    assert gate("app:ask", "--concurrency", "2", "--budget", "0.4").exit_code == 4
    assert gate("app:ask").exit_code == 0
    assert 12 <= len(model.asked) <= 14, "only the two that were under way are asked again"


def test_code_that_makes_no_recognised_request_is_never_cached(model: Model) -> None:
    assert [gate("app:by_hand").exit_code for _ in range(2)] == [0, 0]
    assert len(model.asked) == 2


FAILURES = {
    "an error": (500, "application/json", b'{"error": "x"}'),
    "an error inside a 200": (200, "application/json", b'{"error": {"message": "overloaded", "code": 502}}'),
    "cut off": (200, "application/json", completion("$49", "length")),
    "filtered": (200, "application/json", completion("", "content_filter")),
    "empty": (200, "application/json", completion(None)),
    "no choices": (200, "application/json", b'{"choices": []}'),
    "not JSON": (200, "text/html", b"<html>login</html>"),
    "a stream that breaks off": (200, "text/event-stream", stream("$4", done=False)),
    "a stream with an error": (200, "text/event-stream", stream("$49", error={"message": "x"})),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_failures_are_never_kept_as_answers(model: Model, kind: str) -> None:
    model.reply = FAILURES[kind]
    target = "app:streamed" if "stream" in kind else "app:ask"
    gate(target)
    model.reply = None
    assert gate(target).exit_code == 0
    assert len(model.asked) == 2


def test_a_damaged_or_old_file_is_asked_for_again(model: Model, tmp_path: Path) -> None:
    gate("app:ask")
    (kept,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert (tmp_path / "cache/requests").stat().st_mode & 0o077 == 0, "answers are for their owner alone"
    kept.write_bytes(b"\xff")
    gate("app:ask")
    assert len(model.asked) == 2
    import os

    os.utime(kept, (0, 0))
    gate("app:ask")
    assert len(model.asked) == 3


def test_code_in_site_packages_is_code_like_any_other(model: Model, tmp_path: Path) -> None:
    """A `pip install .` project, or Docker's /usr/src/app: an edit there must be seen."""
    place = tmp_path / "lib/python3/site-packages"
    place.mkdir(parents=True)
    (place / "shop.py").write_text("def answer(input): return '$49'\n")
    sys.path.insert(0, str(place))
    assert gate("shop:answer").exit_code == 0
    (place / "shop.py").write_text("def answer(input): return '$99'\n")
    sys.modules.pop("shop")
    assert gate("shop:answer").exit_code == 3
    sys.modules.pop("shop")


@pytest.mark.parametrize(
    ("path", "body", "known"),
    [
        ("/v1/chat/completions", {"model": "m", "messages": []}, True),
        ("/openai/deployments/x/chat/completions", {"messages": []}, True),
        ("/v1/messages", {"model": "m"}, True),
        ("/v1beta/models/g:generateContent", {"contents": []}, True),
        ("/v1/embeddings", {"model": "m", "input": "x"}, True),
        ("/v1/responses", {"model": "m", "input": "x"}, True),
        ("/v1/responses", {"model": "m", "previous_response_id": "r"}, False),
        ("/v1/responses", {"model": "m", "prompt": {"id": "p"}}, False),
        ("/v1/responses", {"model": "m", "tools": [{"type": "web_search"}]}, False),
        ("/v1/chat/completions", {"model": "m", "tools": [{"type": "function", "function": {"name": "f"}}]}, True),
        ("/v1/messages", {"model": "m", "mcp_servers": [{"url": "x"}]}, False),
        ("/v1/threads/t/messages", {"role": "user", "content": "x"}, False),
        ("/answer", {"model": "m"}, False),
        ("/v1/chat/completions", [], False),
    ],
)
def test_only_requests_that_hold_all_that_decides_the_answer_are_recognised(path: str, body: Any, known: bool) -> None:
    assert is_model_request("POST", path, json.dumps(body).encode()) is known
    assert not is_model_request("GET", path, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "usable"),
    [
        ({"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"}, True),
        ({"content": [{"type": "text", "text": "x"}], "stop_reason": "max_tokens"}, False),
        ({"content": [], "stop_reason": "end_turn"}, False),
        ({"object": "response", "status": "completed", "output": [{}]}, True),
        ({"object": "response", "status": "incomplete", "output": [{}]}, False),
        ({"candidates": [{"finishReason": "STOP"}]}, True),
        ({"candidates": [{"finishReason": "SAFETY"}]}, False),
        ({"data": [{"embedding": [0.1]}]}, True),
        ({"choices": [{"message": {"content": None, "tool_calls": [{}]}, "finish_reason": "tool_calls"}]}, True),
    ],
)
def test_what_is_a_usable_answer_in_each_api(body: Any, usable: bool) -> None:
    assert is_usable_answer(200, "application/json", json.dumps(body).encode()) is usable


async def test_a_transport_of_the_apps_own_is_code_and_runs(tmp_path: Path) -> None:
    cache, answers = ResponseCache(tmp_path), iter(["first", "second"])
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=completion(next(answers))))
    for expected in ("first", "second"):
        scope = ReplayScope(cache.get)
        with replaying(scope):
            async with httpx2.AsyncClient(transport=transport) as client:
                said = await client.post("http://m/v1/chat/completions", json={"model": "m", "messages": []})
        scope.commit(cache.put)
        assert said.json()["choices"][0]["message"]["content"] == expected


def test_the_folder_is_that_of_the_switch_then_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALSPAN_CACHE", "/from/variable")
    assert cache_folder() == Path("/from/variable")
    with use_cache("/from/option"):
        assert cache_folder() == Path("/from/option")
        with use_cache(None):
            assert cache_folder() is None
        with use_cache(""):
            assert cache_folder() == Path("/from/variable")


NOISE = """
import atexit, ctypes, os, subprocess, sys, threading, time
print("noise while importing"); os.write(1, b"raw noise while importing\\n")
atexit.register(lambda: (print("noise at exit"), os.write(1, b"raw noise at exit\\n")))
def late():
    time.sleep(0.3)
    while True:
        print("late noise"); os.write(1, b"late raw noise\\n"); time.sleep(0.005)
def answer(input):
    print("noise"); sys.stdout.buffer.write(b"bytes\\n"); os.write(1, b"raw noise\\n")
    ctypes.CDLL(None).puts(b"noise of C")
    subprocess.run(["echo", "noise of a child"])
    if os.fork() == 0:
        os.write(1, b"noise of a fork\\n"); os._exit(0)
    threading.Thread(target=late, daemon=True).start()
    if input.get("close"): sys.stdout.close()
    return "49"
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["gate", "experiment run"])
def test_stdout_is_json_whatever_the_target_its_children_and_c_libraries_write(model: Model, command: str) -> None:
    Path("noise.py").write_text(NOISE)
    more = "--dataset d.jsonl --target noise:answer --suite app:suite --format json".split()
    done = subprocess.run([sys.executable, "-m", "evalspan", *command.split(), *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    for noise in ("raw noise", "noise of C", "noise of a child", "noise of a fork", "noise at exit"):
        assert noise in done.stderr
