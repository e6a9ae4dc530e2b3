"""What one app exported and what the model server counted, as a small file: made by the matrix, replayed by the tests."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

RECORDINGS = Path(__file__).with_name("recordings")
# What would name the machine that recorded.
_PRIVATE = ("host.", "process.", "os.", "service.instance.id", "exception.stacktrace", "thread.")


class Recording(msgspec.Struct):
    """One run of one app."""

    framework: str
    version: str
    mode: str
    traced_by: dict[str, Any]
    requests: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    plain_steps: list[dict[str, Any]]
    """The same steps where nothing was traced."""
    bodies: list[bytes]

    def save(self) -> Path:
        """Writes the file; the same run gives the same bytes but for ids and times."""
        RECORDINGS.mkdir(exist_ok=True)
        path = RECORDINGS / f"{self.framework}.{self.mode}.msgpack.gz"
        path.write_bytes(gzip.compress(msgspec.msgpack.encode(self), mtime=0))
        return path


def load(path: Path) -> Recording:
    """Reads a file of `save`."""
    return msgspec.msgpack.decode(gzip.decompress(path.read_bytes()), type=Recording)


def scrubbed(body: bytes) -> bytes:
    """An OTLP body without what names the machine, its paths or its processes."""
    request = ExportTraceServiceRequest.FromString(body)
    for group in request.resource_spans:
        _scrub(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                _scrub(span.attributes)
                for event in span.events:
                    _scrub(event.attributes)
    return request.SerializeToString()


def _scrub(attributes: Any) -> None:
    for index in reversed(range(len(attributes))):
        if attributes[index].key.startswith(_PRIVATE):
            del attributes[index]


def steps_of(output: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The steps that an app printed, and what it said of coverage."""
    said = [json.loads(line) for line in output.splitlines() if line.startswith(('{"step"', '{"coverage"'))]
    covered: dict[str, Any] = next((one["coverage"] for one in said if "coverage" in one), {})
    return [one for one in said if "step" in one], covered
