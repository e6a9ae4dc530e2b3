"""Log records that are scores: `gen_ai.evaluation.result` events become rows of `evaluations`; others are not stored."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from ...evaluators.rows import evaluation_row
from ...evaluators.running import Outcome
from ...instrument import semconv
from .refusal import Refused

_VERSION = "gen_ai.evaluation.version"
_SOURCES = ("code", "llm_judge", "human", "user_feedback", "sdk")
_PASSED = {"pass": True, "passed": True, "fail": False, "failed": False}
_OWN = (
    semconv.EVALUATION_NAME,
    semconv.EVALUATION_SCORE,
    semconv.EVALUATION_LABEL,
    semconv.EVALUATION_EXPLANATION,
    semconv.EVALUATION_SOURCE,
    _VERSION,
    "event.name",
)


class CheckedLogs(NamedTuple):
    """The request with only the records that will be stored, and what is said about the others."""

    body: bytes
    accepted: int
    rejected: int
    message: str


def parse(body: bytes) -> ExportLogsServiceRequest:
    """The request; Refused when the bytes are not one."""
    try:
        return ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Refused.malformed(
            f"the body ({len(body)} bytes) is not a protobuf ExportLogsServiceRequest: {error}"
        ) from error


def check(request: ExportLogsServiceRequest, longest: int) -> CheckedLogs:
    """Keeps the evaluation results that can be stored; the request is changed."""
    accepted, foreign = 0, 0
    problems: list[str] = []
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            records = scope_logs.log_records
            for index in range(len(records) - 1, -1, -1):
                if _event_name(records[index]) != semconv.EVALUATION_EVENT:
                    foreign += 1
                elif problem := _problem(records[index], longest):
                    problems.append(problem)
                else:
                    accepted += 1
                    continue
                del records[index]
    said = []
    if foreign:
        said.append(f"{foreign} log records rejected: only {semconv.EVALUATION_EVENT} events are stored")
    if problems:
        said.append(f"{len(problems)} evaluation results rejected, the last because {problems[0]}")
    return CheckedLogs(request.SerializeToString(), accepted, foreign + len(problems), "; ".join(said))


class Event(NamedTuple):
    """One evaluation result, before the span that it judges is known."""

    project: str
    trace_id: str
    span_id: str  # "" when it judges the whole trace
    happened: datetime
    attributes: dict[str, Any]
    resource: dict[str, Any]

    def row(self, span: Mapping[str, Any] | None) -> dict[str, Any]:
        """The row of `evaluations`, with the dimensions of `span`; without it the sender's own and the event's time."""
        attributes = self.attributes
        label = str(attributes.get(semconv.EVALUATION_LABEL) or "")
        source = attributes.get(semconv.EVALUATION_SOURCE)
        outcome = Outcome(
            name=str(attributes[semconv.EVALUATION_NAME]),
            version=str(attributes.get(_VERSION) or ""),
            value=attributes.get(semconv.EVALUATION_SCORE),
            label=label or None,
            passed=_PASSED.get(label.lower()),
            explanation=attributes.get(semconv.EVALUATION_EXPLANATION),
        )
        sender = {
            "service": self.resource.get(semconv.SERVICE_NAME),
            "environment": self.resource.get(semconv.ENVIRONMENT),
        }
        row = evaluation_row(
            outcome,
            project=self.project,
            source=source if source in _SOURCES else "sdk",
            author=str(attributes.get(semconv.USER_ID) or ""),
            span=span or {**sender, "start_time": self.happened},
            trace_id=self.trace_id,
            span_id=self.span_id,
            metadata={key: value for key, value in attributes.items() if key not in _OWN},
        )
        return {**row, "created_at": self.happened}


def events(body: bytes, project: str) -> Iterator[Event]:
    """The evaluation results of a checked request."""
    for resource_logs in ExportLogsServiceRequest.FromString(body).resource_logs:
        resource = {item.key: _plain(item.value) for item in resource_logs.resource.attributes}
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                nanoseconds = record.time_unix_nano or record.observed_time_unix_nano or time.time_ns()
                happened = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
                ids = record.trace_id.hex(), record.span_id.hex()
                yield Event(project, *ids, happened, _attributes(record), resource)


def _problem(record: LogRecord, longest: int) -> str:
    """Why the event cannot become a row; "" when it can."""
    attributes = _attributes(record)
    score = attributes.get(semconv.EVALUATION_SCORE)
    if not attributes.get(semconv.EVALUATION_NAME):
        return f"{semconv.EVALUATION_NAME} is missing"
    if score is not None and (isinstance(score, (str, bool)) or not math.isfinite(score)):
        return f"{semconv.EVALUATION_SCORE} is {score!r}, not a finite number"
    if score is None and not attributes.get(semconv.EVALUATION_LABEL):
        return f"it has neither {semconv.EVALUATION_SCORE} nor {semconv.EVALUATION_LABEL}"
    if len(record.trace_id) != 16 or not any(record.trace_id):
        return "its trace id is missing: emit it inside the span that it judges"
    if record.ByteSize() > longest:
        return f"it is longer than {longest} bytes"
    return ""


def _event_name(record: LogRecord) -> str:
    if record.event_name:
        return record.event_name
    return next((item.value.string_value for item in record.attributes if item.key == "event.name"), "")


def _attributes(record: LogRecord) -> dict[str, Any]:
    return {item.key: _plain(item.value) for item in record.attributes}


def _plain(value: AnyValue) -> Any:
    """A scalar as Python has it; anything nested as its text."""
    kind = value.WhichOneof("value")
    if kind in ("string_value", "bool_value", "int_value", "double_value"):
        return getattr(value, kind)
    return str(value) if kind else None
