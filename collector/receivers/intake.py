"""What every way in ends in: a request is checked, made durable in the log, and only then answered."""

from __future__ import annotations

from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ..log.durable import DurableLog, LogRefused
from ..telemetry import Telemetry
from . import spans
from .dialects import normalise
from .otlp_json import from_json
from .recent import RecentRequests
from .refusal import Refused


class Intake:
    """Takes decompressed export requests; each method returns OTLP's response or raises Refused."""

    def __init__(self, log: DurableLog, telemetry: Telemetry, longest_attribute: int) -> None:
        self._log, self._telemetry, self._longest = log, telemetry, longest_attribute
        self._recent = RecentRequests()

    def recall(self) -> None:
        """Remembers the requests that an earlier process made durable: their answers may have been lost with it."""
        for record in self._log.recovered():
            self._recent.remember(self._recent.key(record.body, record.project))

    async def traces(self, body: bytes, project: str, *, json: bool) -> Message:
        """ExportTraceServiceResponse once every accepted span is on disk."""
        request = from_json(body, ExportTraceServiceRequest) if json else spans.parse(body)
        rewritten = normalise(request)
        checked = spans.check(request, None if json or rewritten else body, self._longest)
        if checked.accepted:
            await self._make_durable(checked.body, project, checked.accepted)
        if checked.rejected:
            self._telemetry.add("spans_rejected_total", checked.rejected, reason="id")
        if not checked.message:
            return ExportTraceServiceResponse()
        partial = ExportTracePartialSuccess(rejected_spans=checked.rejected, error_message=checked.message)
        return ExportTraceServiceResponse(partial_success=partial)

    async def _make_durable(self, body: bytes, project: str, accepted: int) -> None:
        key = self._recent.key(body, project)
        earlier = self._recent.begin(key)
        try:
            if earlier is not None:
                await earlier
                self._telemetry.add("duplicate_requests_total")
                return
            await self._log.append(body, project)
        except LogRefused as refused:
            if earlier is None:
                self._recent.finish(key, refused)
            raise Refused.busy(str(refused)) from refused
        except BaseException as error:  # the client hung up: whether the record is on disk is open, so forget it
            if earlier is None:
                self._recent.finish(key, error)
            raise
        self._recent.finish(key, None)
        self._telemetry.add("spans_accepted_total", accepted, project=project)
