"""Log records: `gen_ai.evaluation.result` events become rows of `evaluations`, messages go to their spans, others nowhere."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from ...evaluators.evaluation_rows import evaluation_row
from ...evaluators.runner import EvaluationResult
from ...instrument import semconv
from ..dialects.attributes import any_value, as_json
from .defects import Defects
from .message_events import EVENTS as MESSAGE_EVENTS
from .rejection import RequestRejected
from .times import LATEST_NS
from .wire_repair import Damaged, repaired

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
    """What of a request is stored, apart for the two ways that it goes, and what is said about the others."""

    scores: bytes  # a request of evaluation results only, empty when there are none
    messages: bytes  # a request of messages only
    accepted_scores: int
    accepted_messages: int
    rejected: int
    message: str


def parse(body: bytes, defects: Defects | None = None) -> ExportLogsServiceRequest:
    """The request; what of it cannot be read is counted in `defects`. RequestRejected when the bytes are no request."""
    kind = ExportLogsServiceRequest
    try:
        try:
            return kind.FromString(body)
        except DecodeError:
            return kind.FromString(repaired(body, kind.DESCRIPTOR, Defects() if defects is None else defects))
    except (DecodeError, Damaged) as error:
        raise RequestRejected.malformed(
            f"the body ({len(body)} bytes) is not a protobuf ExportLogsServiceRequest: {error}"
        ) from error


def check(request: ExportLogsServiceRequest, max_length: int, defects: Defects | None = None) -> CheckedLogs:
    """Sorts the records into evaluation results, messages of calls, and what is refused; the request is changed."""
    messages = ExportLogsServiceRequest()
    moved = messages.resource_logs.add().scope_logs.add().log_records
    scores, foreign = 0, 0
    problems: list[str] = []
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            kept = []
            for record in scope_logs.log_records:
                name = _event_name(record)
                problem = _problem(record, name, max_length)
                if name not in (semconv.EVALUATION_EVENT, *MESSAGE_EVENTS):
                    foreign += 1
                elif problem:
                    problems.append(problem)
                elif name == semconv.EVALUATION_EVENT:
                    kept.append(record)
                else:
                    moved.append(record)
            scores += len(kept)
            scope_logs.ClearField("log_records")
            scope_logs.log_records.extend(kept)
    said = defects.sentences("log records") if defects else []
    if foreign:
        said.append(
            f"{foreign} log records rejected: only {semconv.EVALUATION_EVENT} and GenAI message events are stored"
        )
    if problems:
        said.append(f"{len(problems)} events rejected, the first because {problems[0]}")
    return CheckedLogs(
        request.SerializeToString() if scores else b"",
        messages.SerializeToString() if moved else b"",
        scores,
        len(moved),
        foreign + len(problems) + (defects.dropped if defects else 0),
        "; ".join(said),
    )


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
        outcome = EvaluationResult(
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


def score_event(record: LogRecord, resource: Resource, project: str) -> Event:
    """The evaluation result of one log record of a checked request."""
    nanoseconds = record.time_unix_nano or record.observed_time_unix_nano or time.time_ns()
    happened = datetime.fromtimestamp(min(nanoseconds, LATEST_NS) / 1e9, UTC)
    ids = record.trace_id.hex(), record.span_id.hex()
    attributes = {item.key: _scalar(item.value) for item in resource.attributes}
    return Event(project, *ids, happened, _attributes(record), attributes)


def _problem(record: LogRecord, name: str, max_length: int) -> str:
    """Why the event cannot be stored; "" when it can."""
    if len(record.trace_id) != 16 or not any(record.trace_id):
        return "its trace id is missing: emit it inside the span that it is about"
    if record.ByteSize() > max_length:
        return f"it is longer than {max_length} bytes"
    return _problem_of_score(_attributes(record)) if name == semconv.EVALUATION_EVENT else ""


def _problem_of_score(attributes: Mapping[str, Any]) -> str:
    score = attributes.get(semconv.EVALUATION_SCORE)
    if not attributes.get(semconv.EVALUATION_NAME):
        return f"{semconv.EVALUATION_NAME} is missing"
    if score is not None and (isinstance(score, (str, bool)) or not math.isfinite(score)):
        return f"{semconv.EVALUATION_SCORE} is {score!r}, not a finite number"
    if score is None and not attributes.get(semconv.EVALUATION_LABEL):
        return f"it has neither {semconv.EVALUATION_SCORE} nor {semconv.EVALUATION_LABEL}"
    return ""


def _event_name(record: LogRecord) -> str:
    if record.event_name:
        return record.event_name
    return next((item.value.string_value for item in record.attributes if item.key == "event.name"), "")


def _attributes(record: LogRecord) -> dict[str, Any]:
    return {item.key: _scalar(item.value) for item in record.attributes}


def _scalar(value: AnyValue) -> Any:
    """A scalar as Python has it; anything nested as its JSON text."""
    found = any_value(value)
    return as_json(found) if isinstance(found, list | dict) else found
