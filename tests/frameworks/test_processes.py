"""Without touching the code: opentelemetry-instrument with the base install, `evalspan run` of commands, gRPC, the end of a process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider

import evalspan
from evalspan.instrument import exporters

from ..environments import environment, variables
from .invented import invented
from .model_server import Runs, model_server

BIN = Path(sys.executable).parent
CALL = """
import os, openai
openai.OpenAI(base_url=os.environ["MODEL"], api_key="k", max_retries=0).chat.completions.create(model="gpt", messages=[{"role": "user", "content": "hi"}])
"""


class World:
    """A model, and what arrives as spans."""

    def __init__(self, address: str, runs: Runs) -> None:
        self.address, self.runs = address, runs

    def variables(self, **more: str) -> dict[str, str]:
        return variables(MODEL=f"{self.address}/r/x/v1", OTEL_EXPORTER_OTLP_ENDPOINT=f"{self.address}/o/x", **more)

    def run(
        self, *command: Any, env: dict[str, str] | None = None, cwd: Any = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(one) for one in command],
            env=env or self.variables(),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def spans(self) -> list[tuple[str, str]]:
        """Service and name of every span."""
        found = []
        for body in self.runs.exports.get("x", []):
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = next(
                    (one.value.string_value for one in group.resource.attributes if one.key == "service.name"), ""
                )
                found += [(service, span.name) for scope in group.scope_spans for span in scope.spans]
        return found


@pytest.fixture
def world() -> Iterator[World]:
    with model_server() as (address, runs):
        yield World(address, runs)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(CALL)
    return path


def base_python() -> Path:
    """Exactly what `pip install evalspan` brings, its entry points, and openai."""
    return environment("base", "openai>=2")


def with_entry_points(tmp_path: Path) -> Path:
    """This working tree as an installed distribution: the folder holds its entry points."""
    root = Path(__file__).parents[2]
    import tomllib

    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]
    folder = tmp_path / "meta" / "evalspan-0.1.0.dist-info"
    folder.mkdir(parents=True)
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
        for group, points in declared.items()
        if group.startswith("opentelemetry")
    ]
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: evalspan\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text("\n".join(lines))
    return folder.parent


def test_opentelemetry_instrument_works_with_the_base_install(world: World, script: Path, tmp_path: Path) -> None:
    python = base_python()
    env = world.variables(OTEL_SERVICE_NAME="zero-code")
    env["PYTHONPATH"] += f":{with_entry_points(tmp_path)}"
    done = world.run(python.with_name("opentelemetry-instrument"), python, script, env=env)
    assert done.returncode == 0, done.stderr
    assert world.spans() == [("zero-code", "chat gpt")]


def test_opentelemetry_instrument_lets_one_instrumentor_per_framework_through(tmp_path: Path, monkeypatch) -> None:
    from evalspan.instrument.libraries import entry_points

    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    with invented(tmp_path) as made:
        made.framework("openai-agents", "agents")
        names = ("opentelemetry-instrumentation-genai-openai-agents", "openinference-instrumentation-openai-agents")
        modules = [made.instrumentor(name, preamble="import agents") for name in names]
        entry_points.prepare()
        try:
            for module in reversed(modules):  # as the loader does: it imports each and switches it on
                __import__(module, fromlist=["Instrumentor"]).Instrumentor().instrument(skip_dep_check=True)
            entry_points.loaded()
            assert made.did("on") == [names[0]]
        finally:
            evalspan.uninstrument()


@pytest.mark.parametrize("how", ["script", "module", "command"])
def test_evalspan_run(world: World, script: Path, how: str) -> None:
    targets: dict[str, list[Any]] = {"script": [script], "module": ["-m", "shop"], "command": ["python", script]}
    target = targets[how]
    env = world.variables()
    env["PATH"] = f"{BIN}:{env['PATH']}"
    done = world.run(BIN / "evalspan", "run", *target, env=env, cwd=script.parent)
    assert done.returncode == 0, done.stderr
    assert [name for _, name in world.spans()] == ["chat gpt"]


def test_processes_that_a_traced_program_starts_are_traced(world: World, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(CALL)
    starter = tmp_path / "starter.py"
    starter.write_text("import subprocess, sys; subprocess.run([sys.executable, 'shop.py'], check=True)")
    done = world.run(BIN / "evalspan", "run", "--service-name", "both", starter, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert world.spans() == [("both", "chat gpt")]


def test_evalspan_run_keeps_the_exit_code_of_a_command_and_the_environments_own_sitecustomize(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['SEEN'] = 'theirs'")
    env = world.variables()
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    env["PATH"] = f"{BIN}:{env['PATH']}"
    done = world.run(
        BIN / "evalspan", "run", "python", "-c", "import os, sys; print(os.environ['SEEN']); sys.exit(7)", env=env
    )
    assert (done.returncode, done.stdout) == (7, "theirs\n")


def test_evalspan_run_says_what_it_cannot_run(world: World) -> None:
    for target in ("there-is-no-such-command", "missing.py"):
        done = world.run(BIN / "evalspan", "run", target)
        assert done.returncode == 2
        assert target in done.stderr


def test_uvicorn_with_workers_is_traced(world: World, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import os, openai\nfrom fastapi import FastAPI\napp = FastAPI()\n"
        "client = openai.AsyncOpenAI(base_url=os.environ['MODEL'], api_key='k')\n"
        "@app.get('/')\nasync def ask():\n"
        "    await client.chat.completions.create(model='gpt', messages=[])\n    return os.getpid()\n"
    )
    env = world.variables(OTEL_BSP_SCHEDULE_DELAY="200")
    env["PATH"] = f"{BIN}:{env['PATH']}"
    import socket
    import urllib.request

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command: list[Any] = [BIN / "evalspan", "run", "uvicorn", "main:app", "--port", str(port), "--workers", "2"]
    server = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                    assert answer.status == 200
                break
            except OSError:
                time.sleep(0.3)
        until = time.monotonic() + 20
        while ("main", "chat gpt") not in world.spans() and time.monotonic() < until:
            time.sleep(0.1)
        assert ("main", "chat gpt") in world.spans()
    finally:
        server.terminate()
        server.wait(30)


class Receiver:
    """A real gRPC service that takes traces."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.metadata: dict[str, str] = {}
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(
            self._export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
        )
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def _export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
        self.metadata = dict(context.invocation_metadata())
        self.names += [
            span.name for group in request.resource_spans for scope in group.scope_spans for span in scope.spans
        ]
        return ExportTraceServiceResponse()


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_grpc_is_spoken_where_the_variable_asks_for_it(variable: str, monkeypatch) -> None:
    receiver = Receiver()
    monkeypatch.setenv(variable, "grpc")
    provider = TracerProvider(shutdown_on_exit=False)
    handle = evalspan.init(
        endpoint=f"http://127.0.0.1:{receiver.port}", headers={"Authorization": "Bearer k"}, tracer_provider=provider
    )
    with evalspan.span("over gRPC"):
        pass
    assert handle.flush()
    evalspan.uninstrument()
    receiver.server.stop(0)
    assert receiver.names == ["over gRPC"]
    assert receiver.metadata["authorization"] == "Bearer k"


def test_grpc_without_its_package_is_said_once_and_spans_go_over_http(world: World, monkeypatch, caplog) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setattr(exporters, "_said", set())
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    handle = evalspan.init(endpoint=f"{world.address}/o/x", tracer_provider=TracerProvider(shutdown_on_exit=False))
    with evalspan.span("over HTTP"):
        pass
    handle.flush()
    evalspan.uninstrument()
    assert [name for _, name in world.spans()] == ["over HTTP"]
    assert caplog.text.count("pip install 'evalspan[grpc]'") == 1


@pytest.mark.parametrize("ending", ["atexit", "sys.exit", "SIGTERM"])
def test_a_short_process_sends_its_spans_whichever_way_it_ends(world: World, tmp_path: Path, ending: str) -> None:
    last = {
        "atexit": "",
        "sys.exit": "import sys; sys.exit(3)",
        "SIGTERM": "import time; print('ready', flush=True); time.sleep(60)",
    }[ending]
    program = tmp_path / "job.py"
    handler = (
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" if ending == "SIGTERM" else ""
    )
    program.write_text(f"{handler}import evalspan\nevalspan.init('job')\n{CALL}\n{last}\n")
    process = subprocess.Popen([sys.executable, program], env=world.variables(), stdout=subprocess.PIPE, text=True)
    if ending == "SIGTERM":
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == (3 if ending == "sys.exit" else 0)
    assert world.spans() == [("job", "chat gpt")]


class Lambda:
    """The context of an invocation."""

    aws_request_id = "r-1"

    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


def test_a_handler_sends_its_spans_before_it_answers(world: World) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    evalspan.init(endpoint=f"{world.address}/o/x", tracer_provider=provider)

    @evalspan.flush_after
    def handler(event: Any, context: Any) -> str:
        with evalspan.span("work"):
            return f"done {event}"

    @evalspan.flush_after(name="job")
    async def job(event: Any, context: Any) -> None:
        raise ValueError("the app's own")

    try:
        assert handler(7, Lambda(3000)) == "done 7"
        assert [name for _, name in world.spans()] == ["work", "handler"]
        with pytest.raises(ValueError, match="the app's own"):
            asyncio.run(job(7, Lambda(3000)))
        assert [name for _, name in world.spans()][2:] == ["job"]
    finally:
        evalspan.uninstrument()


@pytest.mark.parametrize(("left_ms", "most_s"), [(60_000, 2.0), (700, 1.2)])
def test_a_collector_that_hangs_costs_a_handler_a_bounded_time(left_ms: int, most_s: float) -> None:
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(5)
        evalspan.init(
            endpoint=f"http://127.0.0.1:{deaf.getsockname()[1]}", tracer_provider=TracerProvider(shutdown_on_exit=False)
        )

        @evalspan.flush_after(timeout_s=1.0)
        def handler(event: int, context: Any) -> int:
            return event

        try:
            began = time.monotonic()
            assert handler(1, Lambda(left_ms)) == 1
            assert time.monotonic() - began < most_s + 1
        finally:
            evalspan.uninstrument()


def test_a_notebook_is_traced_by_one_line(world: World, tmp_path: Path) -> None:
    program = tmp_path / "cells.py"
    program.write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_cell('%load_ext evalspan')\n"
        f"shell.run_cell({f'%%trace my experiment{chr(10)}{CALL}'!r})\n"
        "shell.run_cell('%unload_ext evalspan')\n"
    )
    env = world.variables(OTEL_SERVICE_NAME="notebook", HOME=os.fspath(tmp_path), IPYTHONDIR=os.fspath(tmp_path))
    done = world.run(sys.executable, program, env=env)
    assert done.returncode == 0, done.stderr
    assert world.spans() == [("notebook", "chat gpt"), ("notebook", "my experiment")], done.stdout + done.stderr
