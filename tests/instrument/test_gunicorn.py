"""Prefork servers: a real gunicorn whose parent traces too; each worker sends its own spans, once, and ends in time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ..scripted import ScriptedServer, scripted_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

APP = """
import os
import evalspan, openai
evalspan.init("shop", {collector!r})
# The parent has spans of its own, and an export thread, before it forks.
with evalspan.span(f"loaded by {{os.getpid()}}"):
    pass
{flush}
client = openai.OpenAI(base_url={model!r}, api_key="k", max_retries=0)

def app(environ, start_response):
    with evalspan.span(f"{{environ['PATH_INFO']}} in {{os.getpid()}}"):
        client.chat.completions.create(model="gpt", messages=[{{"role": "user", "content": "hi"}}])
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> int:
    """The process id of the worker that answered."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return int(answer.read())
        except ConnectionError:
            time.sleep(0.1)
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("gunicorn does not answer")


def names_at(collector: ScriptedServer) -> Counter[str]:
    found: Counter[str] = Counter()
    for request in collector.requests:
        if request.path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(request.raw).resource_spans:
                found.update(span.name for scope in group.scope_spans for span in scope.spans)
    return found


@pytest.mark.parametrize("collector_is", ["there", "away"])
@pytest.mark.parametrize("loaded", ["before the fork", "before the fork, its spans sent", "in each worker"])
def test_the_spans_of_prefork_workers_arrive_once(loaded: str, collector_is: str, tmp_path: Path, server) -> None:
    with scripted_server() as collector:
        address = collector.root if collector_is == "there" else "http://127.0.0.1:9"
        flush = "evalspan.init().flush()" if loaded.endswith("sent") else ""
        (tmp_path / "shop.py").write_text(APP.format(collector=address, model=server.url, flush=flush))
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "shop:app", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
        command += ["--graceful-timeout", "20", "--timeout", "60"]
        if loaded != "in each worker":
            command.append("--preload")
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        workers = {get(port, f"/{number}") for number in range(12)}
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
        took = time.monotonic() - asked
    assert process.returncode == 0, said
    assert "Traceback" not in said
    # Two seconds are the exit's own limit; the rest is how busy this machine may be.
    assert took < 15
    if collector_is == "away":
        return
    found = names_at(collector)
    requests = {name: count for name, count in found.items() if name.startswith("/")}
    assert sorted(name.partition(" ")[0] for name in requests) == sorted(f"/{number}" for number in range(12))
    assert set(requests.values()) == {1}
    assert {int(name.rpartition(" ")[2]) for name in requests} == workers
    assert os.getpid() not in workers
    assert found["chat gpt"] == 12
    loads = {name: count for name, count in found.items() if name.startswith("loaded")}
    assert set(loads.values()) == {1}
    assert len(loads) == (2 if loaded == "in each worker" else 1)
