"""What every way in ends in: a request is checked, made durable in the log, and only then answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ...queries.host.limits import ProjectShares
from ...queries.host.telemetry import Telemetry
from ...queries.prices import ModelKey
from ..dialects import normalise, remember
from ..dialects.nested_calls import NestedCalls
from ..log.durable import DurableLog, LogRefused
from . import logs, metrics, spans
from .body_parser import BodyParser
from .dedup import RecentRequests
from .defects import Defects
from .far_days import FarDays
from .memory import Reservation
from .otlp_json import from_json
from .rejection import RequestRejected


class Ingestor:
    """Takes decompressed export requests; each method returns OTLP's response or raises RequestRejected."""

    def __init__(
        self,
        spans: DurableLog,
        scores: DurableLog,
        messages: DurableLog,
        telemetry: Telemetry,
        longest_attribute: int,
        announce: Callable[[set[ModelKey]], None] = lambda _: None,
        *,
        keep_days: int = 0,
        far_days: FarDays | None = None,
    ) -> None:
        self._spans, self._scores, self._messages = spans, scores, messages
        self._telemetry, self._longest = telemetry, longest_attribute
        self._recent = RecentRequests()
        self.nested, self._announce, self._keep_days = NestedCalls(), announce, keep_days
        self._parser = BodyParser()
        self._far_days = far_days or FarDays(ProjectShares().far_days)

    def close(self) -> None:
        """Ends the threads that parse."""
        self._parser.close()

    def recall(self, recent: Iterable[Mapping[str, Any]] = ()) -> None:
        """Remembers what an earlier process made durable: requests, whose answers may have been lost, and `recent` spans."""
        for row in recent:
            self.nested.remember(row)
        for log in (self._messages, self._scores, self._spans):
            for record in log.recovered():
                self._recent.remember(self._recent.key(record.body, record.project))
                if log is self._spans:
                    remember(record.body, self.nested, record.project)

    async def traces(self, body: bytes, project: str, *, json: bool, reservation: Reservation) -> Message:
        """ExportTraceServiceResponse once every accepted span is on disk."""
        defects = Defects()

        def parse() -> spans.Checked:
            request = from_json(body, ExportTraceServiceRequest, defects) if json else spans.parse(body, defects)
            kept = None if json or defects else body
            rewritten = normalise(request, self.nested, project, body=kept)
            self._announce(self.nested.take_named())  # before the spans are in the log: no insert overtakes it
            kept = None if rewritten else kept
            return spans.check(
                request,
                kept,
                self._longest,
                defects,
                keep_days=self._keep_days,
                refused_days=lambda days: self._far_days.refused(project, days),
            )

        checked = await self._parser.run(body, "traces", reservation, parse, json=json)
        if checked.accepted:
            await self._make_durable(self._spans, checked.body, project)
            self._telemetry.add("spans_accepted_total", checked.accepted, project=project)
        if checked.rejected:
            named = checked.rejected - defects.dropped - checked.crowded
            for reason, count in (("id", named), ("unreadable", defects.dropped), ("far day", checked.crowded)):
                self._telemetry.add("spans_rejected_total", count, reason=reason, project=project)
        if defects.repaired:
            self._telemetry.add("values_repaired_total", defects.repaired, project=project)
        if checked.timed:
            self._telemetry.add("spans_without_time_total", checked.timed, project=project)
        if not checked.message:
            return ExportTraceServiceResponse()
        partial = ExportTracePartialSuccess(rejected_spans=checked.rejected, error_message=checked.message)
        return ExportTraceServiceResponse(partial_success=partial)

    async def logs(self, body: bytes, project: str, *, json: bool, reservation: Reservation) -> Message:
        """ExportLogsServiceResponse once every evaluation result and message is on disk; other records are refused in it."""
        defects = Defects()

        def parse() -> logs.CheckedLogs:
            request = from_json(body, ExportLogsServiceRequest, defects) if json else logs.parse(body, defects)
            return logs.check(request, self._longest, defects)

        checked = await self._parser.run(body, "logs", reservation, parse, json=json)
        if checked.scores:
            await self._make_durable(self._scores, checked.scores, project)
            self._telemetry.add("evaluations_accepted_total", checked.accepted_scores, project=project)
        if checked.messages:
            await self._make_durable(self._messages, checked.messages, project)
            self._telemetry.add("messages_accepted_total", checked.accepted_messages, project=project)
        if not checked.message:
            return ExportLogsServiceResponse()
        self._telemetry.add("log_records_rejected_total", checked.rejected, project=project)
        partial = ExportLogsPartialSuccess(rejected_log_records=checked.rejected, error_message=checked.message)
        return ExportLogsServiceResponse(partial_success=partial)

    async def metrics(self, body: bytes, project: str, *, json: bool, reservation: Reservation) -> Message:
        """ExportMetricsServiceResponse that refuses every data point with the reason: metrics are not stored."""

        def parse() -> int:
            request = from_json(body, ExportMetricsServiceRequest) if json else metrics.parse(body)
            return metrics.data_points(request)

        points = await self._parser.run(body, "metrics", reservation, parse, json=json)
        if not points:
            return ExportMetricsServiceResponse()
        self._telemetry.add("metric_points_rejected_total", points, project=project)
        partial = ExportMetricsPartialSuccess(rejected_data_points=points, error_message=metrics.REASON)
        return ExportMetricsServiceResponse(partial_success=partial)

    async def _make_durable(self, log: DurableLog, body: bytes, project: str) -> None:
        key = self._recent.key(body, project)
        earlier = self._recent.begin(key)
        try:
            if earlier is not None:
                await earlier
                self._telemetry.add("duplicate_requests_total", project=project)
                return
            await log.append(body, project)
        except LogRefused as refused:
            if earlier is None:
                self._recent.finish(key, refused)
            raise RequestRejected.busy(str(refused)) from refused
        except BaseException as error:  # the client hung up: whether the record is on disk is open, so forget it
            if earlier is None:
                self._recent.finish(key, error)
            raise
        self._recent.finish(key, None)
