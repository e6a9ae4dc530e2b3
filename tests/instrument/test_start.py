"""Switching on in a process of its own: where spans go, what a broken collector costs, forks, exits, zero code."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import evalspan
from evalspan.errors import ConfigError, UsageError
from evalspan.instrument import exporters
from evalspan.instrument.config import base_url, from_environment

from ..scripted import Reply, ScriptedServer, scripted_server

CALL = """
import openai
client = openai.OpenAI(base_url={url!r}, api_key="k", max_retries=0)
client.chat.completions.create(model="gpt", messages=[{{"role": "user", "content": "hi"}}])
"""


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the code, or a command line, in a process of its own with a clean environment."""
    command = [sys.executable, *(arguments or ("-c", code))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "EVALSPAN_"))}
    return subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=60, check=False)


def spans_at(collector: ScriptedServer) -> list[tuple[str, str]]:
    """(service, span name) of everything that arrived."""
    found = []
    for request in collector.requests:
        if request.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(request.raw).resource_spans:
                attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
                found += [(attributes["service.name"], s.name) for scope in resource.scope_spans for s in scope.spans]
    return found


@pytest.mark.slow
def test_the_one_line_sends_the_spans_of_a_short_script(server: ScriptedServer, collector: ScriptedServer) -> None:
    code = f"import evalspan\nevalspan.init('shop', {collector.root!r}, headers={{'x-key': 'secret'}})" + CALL.format(
        url=server.url
    )
    done = python(code + "with evalspan.span('outer'):\n    evalspan.score('thumbs', 1)\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert spans_at(collector) == [("shop", "chat gpt"), ("shop", "outer")]
    assert {request.headers["x-key"] for request in collector.requests} == {"secret"}
    (logs,) = [request for request in collector.requests if request.path == "/v1/logs"]
    record = ExportLogsServiceRequest.FromString(logs.raw).resource_logs[0].scope_logs[0].log_records[0]
    assert record.event_name == "gen_ai.evaluation.result"


@pytest.mark.slow
def test_the_variables_of_opentelemetry_say_where_and_who(server: ScriptedServer, collector: ScriptedServer) -> None:
    code = "import evalspan\nevalspan.init()" + CALL.format(url=server.url)
    python(code, OTEL_EXPORTER_OTLP_ENDPOINT=collector.root, OTEL_SERVICE_NAME="from-env")
    assert spans_at(collector) == [("from-env", "chat gpt")]


@pytest.mark.slow
def test_the_sdk_is_traced_wherever_it_is_imported_and_not_imported_by_us(server, collector) -> None:
    code = f"""
import sys, evalspan
evalspan.init("late", {collector.root!r})
assert not {{"openai", "anthropic", "chdb", "aiohttp", "numpy"}} & set(sys.modules)
"""
    done = python(code + CALL.format(url=server.url))
    assert (done.returncode, done.stderr) == (0, "")
    assert spans_at(collector) == [("late", "chat gpt")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED is true: evalspan traces nothing\n"),
        ({"OTEL_TRACES_EXPORTER": "none"}, ""),
    ],
)
def test_what_is_switched_off_sends_nothing(variables: dict[str, str], said: str, server, collector) -> None:
    code = "import evalspan\nhandle = evalspan.init()" + CALL.format(url=server.url)
    code += "handle.flush()\nevalspan.score('x', 1, trace_id='ab')\nhandle.shutdown()\n"
    done = python(code, OTEL_EXPORTER_OTLP_ENDPOINT=collector.root, **variables)
    assert (done.returncode, done.stderr) == (0, said)
    assert spans_at(collector) == []


@pytest.mark.slow
def test_a_provider_that_is_there_is_joined(server: ScriptedServer, collector: ScriptedServer) -> None:
    code = f"""
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider(resource=Resource.create({{"service.name": "theirs"}}))
trace.set_tracer_provider(provider)
import evalspan
evalspan.init("ours", {collector.root!r})
assert trace.get_tracer_provider() is provider
"""
    done = python(code + CALL.format(url=server.url))
    assert (done.returncode, done.stderr) == (0, "")
    assert spans_at(collector) == [("theirs", "chat gpt")]


@pytest.mark.slow
def test_init_after_uninstrument_sends_again(server: ScriptedServer, collector: ScriptedServer) -> None:
    code = f"import evalspan\nevalspan.init('x', {collector.root!r})" + CALL.format(url=server.url)
    code += f"evalspan.uninstrument()\nevalspan.init('x', {collector.root!r})" + CALL.format(url=server.url)
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert spans_at(collector) == [("x", "chat gpt"), ("x", "chat gpt")]


@pytest.mark.slow
def test_an_ordinary_anthropic_client_has_one_span_and_sends_no_traceparent(server, collector) -> None:
    code = f"""
import evalspan, anthropic
evalspan.init("x", {collector.root!r})
client = anthropic.Anthropic(base_url={server.root!r}, api_key="k")
client.messages.create(model="claude", max_tokens=9, messages=[{{"role": "user", "content": "hi"}}])
"""
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert spans_at(collector) == [("x", "chat claude")]
    assert "traceparent" not in server.requests[0].headers


BROKEN = {
    "down": None,
    "slow": Reply(delay_s=30),
    "garbage": Reply(body=b"\xff\x00 not protobuf", headers={"content-type": "text/html"}),
    "refusing": Reply(status=500),
    "asking for patience": Reply(status=503, headers={"retry-after": "30"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_collector_costs_the_app_neither_time_nor_its_exit(how: str, server: ScriptedServer) -> None:
    with scripted_server() as broken:
        address = "http://127.0.0.1:9" if how == "down" else broken.root
        if (reply := BROKEN[how]) is not None:
            broken.then(*[reply] * 100)
        code = f"import evalspan, time, atexit\nevalspan.init('x', {address!r})" + CALL.format(url=server.url)
        code += "started = time.perf_counter()\nfor _ in range(20):\n    with evalspan.span('s'): pass\n"
        code += "print(time.perf_counter() - started)\n"
        code += "evalspan.score('x', 1, trace_id='ab')\nprint(time.time())\n"
        done = python(code)
        ended = time.time()
    assert done.returncode == 0
    spent, reached_the_end = map(float, done.stdout.split())
    assert spent < 2
    # Two seconds each for spans and for scores are the limits of the exit; the rest is how busy this machine may be.
    assert ended - reached_the_end < 12


def test_b31_w02_a_full_queue_drops_counts_and_says_so_once(server: ScriptedServer) -> None:
    with scripted_server() as slow:
        slow.then(*[Reply(delay_s=30)] * 10)
        code = f"""
import evalspan, logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
handle = evalspan.init("x", {slow.root!r})
for _ in range(200):
    with evalspan.span("s"): pass
print("dropped", handle.dropped)
sys.stdout.flush()
import os; os._exit(0)
"""
        done = python(code, OTEL_BSP_MAX_QUEUE_SIZE="20", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10")
    dropped = int(done.stdout.rpartition("dropped ")[2])
    assert 140 <= dropped <= 180
    assert done.stdout.count("spans are dropped from here on") == 1


@pytest.mark.slow
def test_forked_workers_send_their_own_spans(server: ScriptedServer, collector: ScriptedServer) -> None:
    # Python 3.12 and newer warn of every fork of a process with threads, and whoever traces has one.
    code = f"""
import evalspan, os, warnings
warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning)
handle = evalspan.init("parent", {collector.root!r})
with evalspan.span("before"): pass
handle.flush()
children = []
for number in range(2):
    child = os.fork()
    if child == 0:
        with evalspan.span(f"child {{number}}"): pass
        os._exit(0 if handle.flush() else 1)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
{CALL.format(url=server.url)}
"""
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(name for _, name in spans_at(collector)) == ["before", "chat gpt", "child 0", "child 1"]


@pytest.mark.slow
def test_zero_code_by_opentelemetry_instrument(
    server: ScriptedServer, collector: ScriptedServer, tmp_path: Path
) -> None:
    script = tmp_path / "app.py"
    launcher = tmp_path / "launcher.py"
    launcher.write_text("from opentelemetry.instrumentation.auto_instrumentation import run; run()")
    # A provider is what a distribution would make; ours ships none, so the test brings one by its configurator's name.
    provider = "from opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n"
    provider += "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
    provider += "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
    provider += "p = TracerProvider(); p.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))\n"
    provider += "trace.set_tracer_provider(p)\n"
    script.write_text(provider + CALL.format(url=server.url))
    done = python(
        "",
        str(launcher),
        sys.executable,
        str(script),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.root,
        OTEL_SERVICE_NAME="zero",
    )
    assert done.returncode == 0, done.stderr
    assert spans_at(collector) == [("zero", "chat gpt")]


@pytest.mark.slow
def test_zero_code_by_evalspan_run(server: ScriptedServer, collector: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 7\n")
    script = tmp_path / "app.py"
    script.write_text(
        CALL.format(url=server.url) + "import sys, beside\nprint(sys.argv[1:], __name__)\nsys.exit(beside.VALUE)\n"
    )
    done = python("", "-m", "evalspan", "run", "--endpoint", collector.root, str(script), "--its", "own")
    assert (done.returncode, done.stdout) == (7, "['--its', 'own'] __main__\n"), done.stderr
    assert spans_at(collector) == [("app", "chat gpt")]


PRINTS = """
import io, logging, multiprocessing, os, pickle, sys, warnings
print(type(sys.stdout) is io.TextIOWrapper, sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering)
print("\\x1b]0;title\\x07bell\\x08 \\u202e")
print("::notice::a command of its own ##[group]x", flush=True)
sys.stdout.buffer.write(b"raw \\xff\\n")
print(__name__, __file__, __spec__, __package__, sys.argv, sys.path[0] == os.path.dirname(__file__))
def double(x):
    return 2 * x
print(pickle.loads(pickle.dumps(double))(4), sys.stdin.read())
logging.warning("warned \\x07")
warnings.warn("old")
if __name__ == "__main__":
    os.chdir("/")
    raise ValueError(os.path.exists(__file__))
"""


@pytest.mark.slow
def test_a_script_prints_and_fails_under_evalspan_run_as_under_python(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PRINTS, encoding="utf-8")
    environment = {**os.environ, "GITHUB_ACTIONS": "true", "OTEL_SDK_DISABLED": "true", "PYTHONUTF8": "1"}
    plain, traced = (
        subprocess.run(
            [*command, "app.py", "--its", "own"],
            cwd=tmp_path,
            env=environment,
            input=b"in",
            capture_output=True,
            check=False,
        )
        for command in ([sys.executable], [sys.executable, "-m", "evalspan", "run"])
    )
    assert (traced.returncode, traced.stdout) == (plain.returncode, plain.stdout) == (1, plain.stdout)
    said = [line for line in traced.stderr.splitlines() if b"OTEL_SDK_DISABLED" not in line]
    assert said == plain.stderr.splitlines()


@pytest.mark.slow
def test_evalspan_run_takes_modules_as_python_does(server: ScriptedServer, collector, tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "prices.py").write_text("PRO = 20\n")
    (package / "__main__.py").write_text(
        CALL.format(url=server.url) + "import sys\nfrom .prices import PRO\nprint(PRO, sys.argv[1:])\n"
    )
    command = [sys.executable, "-m", "evalspan", "run", "--endpoint", collector.root, "-m", "shop", "--its", "own"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "20 ['--its', 'own']\n"), done.stderr
    assert spans_at(collector) == [("shop", "chat gpt")]


WEB = """
import subprocess, sys, evalspan
from opentelemetry import propagate
evalspan.init("web", {root!r})
with evalspan.span("answer") as span, evalspan.context(session="s", baggage=True):
    sent = {{}}
    propagate.inject(sent)
    found = span.get_span_context()
    ids = [f"{{found.trace_id:032x}}", f"{{found.span_id:016x}}"]
    subprocess.run([sys.executable, {worker!r}, sent["traceparent"], sent["baggage"], *ids], check=True)
print(*ids)
"""
WORKER = """
import sys, evalspan
from opentelemetry import propagate
from opentelemetry.context import attach
evalspan.init("worker", {root!r})
attach(propagate.extract({{"traceparent": sys.argv[1], "baggage": sys.argv[2]}}))
with evalspan.span("job"): pass
evalspan.score("thumbs", 1, trace_id=sys.argv[3], span_id=sys.argv[4])
"""


def test_another_process_goes_on_with_the_trace_and_scores_its_span(collector: ScriptedServer, tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER.format(root=collector.root))
    done = python(WEB.format(root=collector.root, worker=str(worker)))
    assert done.returncode == 0, done.stderr
    trace_id, span_id = done.stdout.split()
    assert spans_at(collector) == [("worker", "job"), ("web", "answer")]
    traces, logs = ([r for r in collector.requests if r.path == path] for path in ("/v1/traces", "/v1/logs"))
    job = ExportTraceServiceRequest.FromString(traces[0].raw).resource_spans[0].scope_spans[0].spans[0]
    record = ExportLogsServiceRequest.FromString(logs[0].raw).resource_logs[0].scope_logs[0].log_records[0]
    assert (job.trace_id.hex(), job.parent_span_id.hex()) == (trace_id, span_id)
    assert {item.key: item.value.string_value for item in job.attributes}["gen_ai.conversation.id"] == "s"
    assert (record.trace_id.hex(), record.span_id.hex()) == (trace_id, span_id)


def test_a_script_that_fails_under_evalspan_run_fails_as_it_does_without(collector, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text("raise ValueError('the script is wrong')\n")
    done = python("", "-m", "evalspan", "run", "--endpoint", collector.root, str(script))
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: the script is wrong" in done.stderr


def test_evalspan_run_of_nothing_says_so() -> None:
    done = python("", "-m", "evalspan", "run", "missing.py")
    assert done.returncode == 2
    assert "there is no file missing.py" in done.stderr


def test_a_batch_of_long_conversations_is_split(server: ScriptedServer, collector: ScriptedServer) -> None:
    code = f"""
import evalspan
handle = evalspan.init("x", {collector.root!r})
@evalspan.observe(kind="tool")
def read(): return "x" * 200_000
for _ in range(60): read()
handle.flush(20)
"""
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(spans_at(collector)) == 60
    assert max(len(request.raw) for request in collector.requests) < 5_000_000


def test_a_handle_flushes_in_bounded_time(server: ScriptedServer) -> None:
    with scripted_server() as slow:
        slow.then(*[Reply(delay_s=20)] * 5)
        code = f"""
import evalspan, time, os
handle = evalspan.init("x", {slow.root!r})
with evalspan.span("s"): pass
started = time.monotonic()
assert handle.flush(0.5) is False
assert time.monotonic() - started < 5
os._exit(0)
"""
        assert python(code).returncode == 0


def test_a_wrong_library_name_is_refused() -> None:
    with pytest.raises(UsageError, match="instrument='gemini'"):
        evalspan.init(instrument=["gemini"])


@pytest.mark.parametrize(
    "endpoint", ["localhost:4318", "127.0.0.1:4318/v1/traces", "collector", "ftp://collector", " "]
)
def test_an_endpoint_that_is_no_url_is_refused_with_the_url_that_was_meant(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_PROTOCOL", raising=False)
    with pytest.raises(ConfigError, match="no URL") as refused:
        evalspan.init(endpoint=endpoint)
    assert "http://" in refused.value.hint


def test_a_variable_that_is_no_url_stops_no_app_and_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exporters, "_said", set())
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_PROTOCOL", raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")
    for _ in range(2):
        exporters.span_exporter(from_environment()).shutdown()
    assert caplog.text.count("OTEL_EXPORTER_OTLP_ENDPOINT='localhost:4318' is no URL") == 1
    assert "http://localhost:4318" in caplog.text


def test_over_grpc_an_address_needs_no_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert base_url("localhost:4317", "endpoint") == "localhost:4317"
    with pytest.raises(ConfigError):
        base_url("localhost:4317", "endpoint", over_http=True)
