"""Goes through the log records of a segment one by one: one that our code cannot read costs itself and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from ..log import framing
from ..log.quarantine import Quarantine

E = TypeVar("E")
logger = logging.getLogger(__name__)


def events(segment: bytes, read: Callable[[LogRecord, Resource, str], E], quarantine: Quarantine) -> Iterator[E]:
    """What `read` makes of each log record; those on which it raises are set aside. Raises OSError when that fails."""
    for record in framing.records(segment):
        for resource_logs in ExportLogsServiceRequest.FromString(record.body).resource_logs:
            for scope_logs in resource_logs.scope_logs:
                for one in scope_logs.log_records:
                    try:
                        event = read(one, resource_logs.resource, record.project)
                    except Exception as error:  # noqa: BLE001 - strangers wrote it, and it must not hold up the others
                        alone = _alone(record, resource_logs, scope_logs, one)
                        quarantine.set_aside(alone, f"{type(error).__name__}: {error}")
                    else:
                        yield event


def _alone(
    record: framing.Record, resource_logs: ResourceLogs, scope_logs: ScopeLogs, one: LogRecord
) -> framing.Record:
    """A request with this log record only."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url=resource_logs.schema_url)
    group.resource.CopyFrom(resource_logs.resource)
    scope = group.scope_logs.add(schema_url=scope_logs.schema_url)
    scope.scope.CopyFrom(scope_logs.scope)
    scope.log_records.add().CopyFrom(one)
    return record._replace(body=request.SerializeToString(deterministic=True))
