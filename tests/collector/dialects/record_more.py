"""Re-creates recordings/more/*.otlp: `python -m tests.collector.dialects.record_more NAME PYTHON`, from the repository's root.

`adk` takes the interpreter of an environment with google-adk, `langsmith` one with langsmith[otel] and openai; both with the
OTLP exporter over HTTP. `genkit` takes a folder in which npm installed genkit and @opentelemetry/exporter-trace-otlp-http
of the release that genkit's SDK has. Last made with google-adk 2.13.0, langsmith 0.15.1 and genkit 1.42.0.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.receivers.otlp_json import from_json

from ...frameworks.model_server import model_server
from ...frameworks.recording import scrubbed

HERE = Path(__file__).parent
PROGRAMS = {"adk": "adk.py", "langsmith": "langsmith_export.py", "genkit": "genkit.mjs"}


def main(name: str, where: str) -> None:
    """Runs one program against the model server and saves what it exported."""
    with model_server() as (address, runs):
        program = HERE / "programs" / PROGRAMS[name]
        if name == "genkit":  # node looks for packages beside the program
            program = Path(shutil.copy(program, where))
        interpreter = "node" if name == "genkit" else where
        command = [interpreter, str(program), f"{address}/r/{name}.one", f"{address}/o/{name}.one"]
        subprocess.run(command, check=True, timeout=200)
        merged = ExportTraceServiceRequest()
        for body in runs.exports[f"{name}.one"]:
            sent = (
                from_json(body, ExportTraceServiceRequest).SerializeToString() if body[:1] == b"{" else body
            )  # genkit sends JSON
            merged.MergeFromString(scrubbed(sent))
    (HERE / "recordings" / "more" / f"{name}.otlp").write_bytes(merged.SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
