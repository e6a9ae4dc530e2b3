"""Spans on days far from the present: stored while there are places, then refused with the reason, one project never for all."""

from __future__ import annotations

import time

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from evalspan.collector.receivers import spans
from evalspan.collector.receivers.far_days import DAY_NS, FarDays, usual_times
from evalspan.queries.host.limits import LimitsConfig, ProjectShares

from .traffic import add_span, request_of

NOW = time.time_ns()


def days(*offsets: int) -> ExportTraceServiceRequest:
    request = request_of(0)
    there = request.resource_spans[0].scope_spans.add().spans
    for offset in offsets:
        add_span(there, start_ns=NOW + offset * DAY_NS)
    return request


def places(total: int, part: int, projects: int = 2) -> FarDays:
    return FarDays(ProjectShares(LimitsConfig(far_days=total, far_days_per_project=part), projects=projects).far_days)


def checked(request: ExportTraceServiceRequest, far: FarDays, project: str = "a", keep_days: int = 0) -> spans.Checked:
    return spans.check(
        request, None, 1 << 20, keep_days=keep_days, refused_days=lambda found: far.refused(project, found)
    )


def test_a_thousand_days_in_a_request_are_stored_up_to_the_bound_and_the_rest_is_told() -> None:
    far = places(100, 100)
    told = checked(days(*range(-1000, 0)), far)
    assert (told.accepted, told.rejected, told.crowded) == (499, 501, 501)  # 399 usual ones, and 100 places
    assert "[limits] far_days" in told.message
    kept = ExportTraceServiceRequest.FromString(told.body).resource_spans[0].scope_spans
    assert sum(len(group.spans) for group in kept) == 499


def test_days_that_have_their_place_are_taken_again_and_by_others() -> None:
    far = places(3, 3)
    for project in "aab":
        assert checked(days(-500, -501, -502), far, project).rejected == 0
    assert checked(days(-503), far).rejected == 1


def test_one_project_leaves_places_for_the_others() -> None:
    far = places(10, 4)
    assert checked(days(*range(-600, -580)), far).rejected == 16
    assert checked(days(*range(-700, -680)), far, "b").rejected == 16
    assert "far_days_per_project" in checked(days(-900), far).message


@pytest.mark.parametrize("offset", [-399, -31, -1, 0, 1])
def test_what_is_near_needs_no_place(offset: int) -> None:
    far = places(1, 1)
    checked(days(-9000), far)
    assert checked(days(offset), far).rejected == 0


@pytest.mark.parametrize("offset", [-9000, -401, 4, 3650, 80_000])
def test_clocks_wrong_by_years_either_way_need_one(offset: int) -> None:
    far = places(1, 1)
    assert checked(days(offset), far).rejected == 0
    assert checked(days(offset - 1), far).rejected == 1


def test_what_is_older_than_is_kept_needs_one_and_is_said() -> None:
    told = checked(days(-45, -29), places(1, 1), keep_days=30)
    assert (told.accepted, told.rejected) == (2, 0)
    assert "1 spans are older than the 30 days" in told.message
    assert usual_times(NOW, 30)[0] == NOW - 30 * DAY_NS
