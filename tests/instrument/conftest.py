"""What the tests of the instrumentation share: the scripted server, and spans that stay in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import evalspan
from evalspan.instrument.libraries.openai import responses
from evalspan.instrument.libraries.openai.background_runs import BackgroundRuns

from ..scripted import ScriptedServer, scripted_server


class Spans:
    """A provider whose ended spans can be looked at."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def one(self) -> ReadableSpan:
        found = self.all()
        assert len(found) == 1, [span.name for span in found]
        return found[0]

    def attributes(self) -> dict[str, Any]:
        return dict(self.one().attributes or {})

    def content(self, name: str) -> Any:
        return json.loads(self.attributes()[name])


@pytest.fixture(scope="session", autouse=True)
def one_trusted_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A client of these tests speaks plain HTTP and still reads all trusted certificates: half of a test's time."""
    every = Path(certifi.where()).read_text()
    first = every[every.index("-----BEGIN") : every.index("-----END") + len("-----END CERTIFICATE-----\n")]
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    file.write_text(first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(autouse=True)
def no_response_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted server gives every response the same id: what one test fetched, another one's process never began."""
    monkeypatch.setattr(responses, "runs", BackgroundRuns())


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def collector() -> Iterator[ScriptedServer]:
    """Where an app in a process of its own sends its spans."""
    with scripted_server() as running:
        yield running


@pytest.fixture
def bare_spans() -> Iterator[Spans]:
    """A provider, with nothing switched on yet."""
    yield Spans()
    evalspan.uninstrument()


@pytest.fixture
def spans(bare_spans: Spans) -> Spans:
    """A provider that both SDKs are traced to."""
    evalspan.init(tracer_provider=bare_spans.provider)
    return bare_spans
