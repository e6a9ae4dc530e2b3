"""Log events of other instrumentations that go through the app's own logger provider follow the content policy, too."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ConcurrentMultiLogRecordProcessor, LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

import evalspan

MAIL = "eve@corp.example"
EVENT: dict[str, Any] = {
    "event_name": "gen_ai.client.inference.operation.details",
    "body": {"content": [f"mail {MAIL}", {MAIL: MAIL}], "raw": MAIL.encode()},
    "attributes": {"gen_ai.operation.name": "chat", "gen_ai.input.messages": f'[{{"id": "{MAIL}"}}]', f"k {MAIL}": 1},
}


class Logs:
    """An app whose exporter was there before `init`, and sends at once."""

    def __init__(self, **settings: Any) -> None:
        self.exporter = InMemoryLogRecordExporter()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self.exporter))
        tracer_provider = TracerProvider(shutdown_on_exit=False)
        evalspan.init(tracer_provider=tracer_provider, logger_provider=self.provider, frameworks=False, **settings)

    def emit(self, **record: Any) -> Any:
        self.provider.get_logger("theirs").emit(LogRecord(**record))
        return self.exporter.get_finished_logs()[-1].log_record


@pytest.fixture(autouse=True)
def off() -> Any:
    yield
    evalspan.uninstrument()


def test_redaction_reaches_events_before_any_exporter() -> None:
    found = Logs(redact=["email"]).emit(**EVENT)
    assert MAIL not in repr(found)
    assert found.attributes["gen_ai.operation.name"] == "chat"
    assert found.body["content"][0] == "mail [EMAIL]"


def test_events_hold_no_content_where_it_is_off() -> None:
    found = Logs(capture_content=False).emit(**EVENT)
    assert found.body is None
    assert "gen_ai.input.messages" not in found.attributes
    assert found.attributes["gen_ai.operation.name"] == "chat"


def test_a_rule_that_fails_withholds() -> None:
    def rule(text: str) -> str:
        raise RuntimeError(text)

    assert MAIL not in repr(Logs(redact=rule).emit(**EVENT))


def test_other_records_and_events_that_nobody_restricts_stay_as_they_are() -> None:
    plain = {"body": MAIL, "attributes": {"user": MAIL}}
    found = Logs(redact=["email"]).emit(**plain)
    assert (found.body, dict(found.attributes)) == (MAIL, {"user": MAIL})
    evalspan.uninstrument()
    assert Logs().emit(**EVENT).body == EVENT["body"]


def test_after_uninstrument_events_are_left_alone() -> None:
    logs = Logs(redact=["email"])
    evalspan.uninstrument()
    assert logs.emit(**EVENT).body == EVENT["body"]


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("content", ["masked", "off"])
def test_a_provider_that_the_app_makes_after_init_is_reached(content: str, concurrent: bool) -> None:
    """Whoever holds it, and whichever of its processors came first."""
    settings: dict[str, Any] = {"redact": ["email"]} if content == "masked" else {"capture_content": False}
    evalspan.init(tracer_provider=TracerProvider(shutdown_on_exit=False), frameworks=False, **settings)
    exporter = InMemoryLogRecordExporter()
    chain = ConcurrentMultiLogRecordProcessor() if concurrent else None
    provider = LoggerProvider(shutdown_on_exit=False, multi_log_record_processor=chain)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("theirs").emit(LogRecord(**EVENT))
    assert MAIL not in repr(exporter.get_finished_logs()[0].log_record)
    evalspan.uninstrument()
    provider.get_logger("theirs").emit(LogRecord(**EVENT))
    assert exporter.get_finished_logs()[1].log_record.body == EVENT["body"]


def test_a_process_that_loads_the_logs_only_after_init_is_reached() -> None:
    code = """
import sys, evalspan
evalspan.init("app", "http://127.0.0.1:1", capture_content=False, frameworks=False)
assert "opentelemetry.sdk._logs._internal" not in sys.modules
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ConcurrentMultiLogRecordProcessor, LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
exporter, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
provider.get_logger("theirs").emit(LogRecord(event_name="gen_ai.choice", body="secret"))
print(repr(exporter.get_finished_logs()[0].log_record.body))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


def test_a_provider_that_cannot_be_reached_is_said(caplog: pytest.LogCaptureFixture) -> None:
    class Foreign:
        """A logger provider of another make."""

    evalspan.init(tracer_provider=TracerProvider(), logger_provider=Foreign(), redact=["email"], frameworks=False)
    assert "go through Foreign as they are" in caplog.text
