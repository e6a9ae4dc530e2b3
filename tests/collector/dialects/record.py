"""Re-creates recordings/*.otlp: spans that other instrumentors really emit. `python record.py [DIALECT ...]`.

Each package gets its own virtual environment; the calls go to the scripted server in server.py, the spans come back to
it as OTLP and are merged into one request per dialect. Host names, process ids and random ids are the packages' own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from server import scripted  # type: ignore[import-not-found]  # run as a script, beside it

HERE = Path(__file__).parent
SDKS = ("openai==3.54.0", "anthropic==2.12.0", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
PACKAGES = {
    "openllmetry": (*SDKS, "traceloop-sdk==0.62.4", "httpx"),
    "openinference": (
        *SDKS,
        "openinference-instrumentation-openai==0.1.66",
        "openinference-instrumentation-anthropic==3.1.0",
    ),
    "official": (
        "--pre",
        *SDKS,
        "opentelemetry-instrumentation-genai-openai==1.3b0",
        "opentelemetry-instrumentation-genai-anthropic==1.3b0",
    ),
    "anthropic": SDKS,
    "langfuse": (*SDKS, "langfuse==5.0.4", "httpx"),
    "logfire": (*SDKS, "logfire==5.2.0"),
    "openlit": ("openai", "anthropic", "openlit==1.45.0"),
    "mlflow": (*SDKS, "mlflow-tracing==3.17.2"),
}
# What would name the machine that recorded; no dialect is recognised by it.
PRIVATE = ("host.", "process.", "os.", "service.instance.id", "service.version", "exception.stacktrace")


def environment(dialect: str, folder: Path) -> Path:
    """The interpreter of a dialect's environment, made on first use."""
    python = folder / f"dialect-{dialect}" / "bin" / "python"
    ready = python.parents[1] / "ready"
    if not ready.exists():
        venv.create(python.parents[1], with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--upgrade", "pip"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[dialect]], check=True)
        ready.touch()
    return python


def record(dialect: str, folder: Path) -> ExportTraceServiceRequest:
    """Run the program and merge what it exported."""
    with scripted() as (url, exports):
        subprocess.run([environment(dialect, folder), HERE / "program.py", dialect, url], check=True, timeout=300)
    merged = ExportTraceServiceRequest()
    for body in exports:
        merged.MergeFromString(body)
    for group in merged.resource_spans:
        scrub(group.resource.attributes)
        for event in (event for scope in group.scope_spans for span in scope.spans for event in span.events):
            scrub(event.attributes)
    return merged


def scrub(attributes) -> None:
    """Remove what names the recording machine."""
    for index in range(len(attributes) - 1, -1, -1):
        if attributes[index].key.startswith(PRIVATE):
            del attributes[index]


def main(names: list[str], folder: Path) -> None:
    for dialect in names or list(PACKAGES):
        merged = record(dialect, folder)
        spans = sum(len(scope.spans) for group in merged.resource_spans for scope in group.scope_spans)
        path = HERE / "recordings" / f"{dialect}.otlp"
        path.write_bytes(merged.SerializeToString())
        sys.stdout.write(f"{dialect}: {spans} spans, {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    where = Path(arguments.pop(0).removeprefix("--envs=")) if arguments and arguments[0].startswith("--envs=") else None
    if where is None:
        with tempfile.TemporaryDirectory() as temporary:
            main(arguments, Path(temporary))
    else:
        main(arguments, where)
