"""Gives a time to spans that came without a usable one: retention would take them for the oldest of all and drop them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ...instrument import semconv

LATEST_NS = 2**63  # nanoseconds since 1970, in the year 2262: the store's times end there
_MINUTE = 60 * 10**9


def set_missing_times(spans: Iterable[Span], usual: tuple[int, int] = (0, LATEST_NS)) -> tuple[int, list[int]]:
    """Sets the start of spans that have none, or one after 2262, and keeps what was said; returns how many those were,
    and the starts of those outside of the `usual` times, nanoseconds since 1970.

    The start becomes the end if there is one, else the minute of arrival: a client that sends the same again right
    away sends the same span.
    """
    timed, (begin, end) = 0, usual
    far: list[int] = []
    for span in spans:
        if 0 < (start := span.start_time_unix_nano) < LATEST_NS:
            if not begin <= start < end:
                far.append(start)
            continue
        said = span.attributes.add(key=semconv.START_TIME_SAID)
        said.value.string_value = str(span.start_time_unix_nano)
        if not 0 < span.end_time_unix_nano < LATEST_NS:
            span.end_time_unix_nano = time.time_ns() // _MINUTE * _MINUTE
        span.start_time_unix_nano = span.end_time_unix_nano
        timed += 1
    return timed, far
