"""Metrics are accepted as requests and refused as data: evalspan computes its numbers from spans, with their weights."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from .rejection import RequestRejected

REASON = "metrics are not stored here: set OTEL_METRICS_EXPORTER=none, or send them to a metrics backend"


def parse(body: bytes) -> ExportMetricsServiceRequest:
    """The request; RequestRejected when the bytes are not one."""
    try:
        return ExportMetricsServiceRequest.FromString(body)
    except DecodeError as error:
        raise RequestRejected.malformed(
            f"the body ({len(body)} bytes) is not a protobuf ExportMetricsServiceRequest: {error}"
        ) from error


def data_points(request: ExportMetricsServiceRequest) -> int:
    """How many data points the request has."""
    points = 0
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                if kind := metric.WhichOneof("data"):
                    points += len(getattr(metric, kind).data_points)
    return points
