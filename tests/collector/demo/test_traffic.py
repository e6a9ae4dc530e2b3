"""The demo's customers come at the right time, in the right number, from the right help centre."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from evalspan.collector.demo import traffic
from evalspan.collector.demo.clock import SHIFT_TAG, ShiftedClock
from evalspan.collector.demo.knowledge import known_answer, passages, questions, search
from evalspan.instrument import semconv

END = datetime(2026, 3, 16, 10, 30, tzinfo=UTC)


def test_the_help_centre_covers_the_five_topics_with_enough_passages() -> None:
    assert len(passages()) >= 12
    assert {passage.topic for passage in passages()} == {
        "pricing", "features", "billing", "cancellation", "troubleshooting",
    }  # fmt: skip


def test_retrieval_finds_the_passage_that_answers() -> None:
    for question, passage in [
        ("How much does the Pro plan cost?", "pricing-plans"),
        ("Does Pro include API access?", "features-api"),
        ("How do I cancel my plan?", "cancellation-how"),
        ("My board does not sync, how do I fix it?", "troubleshooting-sync"),
    ]:
        assert search(question)[0][0].id == passage


def test_a_question_about_nothing_retrieves_nothing() -> None:
    assert search("qwertz") == []


def test_every_question_has_its_agreed_answer() -> None:
    assert all(known_answer(question.question) == question.answer for question in questions())
    assert known_answer("What is the meaning of life?") is None


def test_a_plan_is_two_equal_weeks_that_end_before_today() -> None:
    planned = traffic.plan(90, END)
    assert [request.week for request in planned] == [1] * 90 + [2] * 90
    assert [request.number for request in planned] == list(range(180))
    midnight = END.replace(hour=0, minute=0)
    for request in planned:
        begins = midnight - timedelta(days=14 if request.week == 1 else 7)
        assert begins <= request.at < begins + timedelta(days=7)


def test_a_week_that_is_cut_short_still_covers_its_days() -> None:
    started = traffic.plan(90, END)[:45]
    assert len({request.at.date() for request in started}) == 7


def test_a_resumed_plan_is_the_same_plan() -> None:
    assert traffic.plan(90, END) == traffic.plan(90, END)


def test_the_number_of_requests_follows_the_speed_within_bounds() -> None:
    assert traffic.fits(0.5, 100) == 100
    assert traffic.fits(60.0, 100) == traffic.MIN_QUESTIONS
    assert traffic.fits(0.0, 100) == traffic.MAX_QUESTIONS


def test_the_clock_moves_tagged_spans_and_keeps_their_durations() -> None:
    exporter = InMemorySpanExporter()
    tag = {semconv.TAG_PREFIX + SHIFT_TAG: "-86400.5"}
    moved = ReadableSpan("moved", attributes=tag, start_time=10**18, end_time=10**18 + 7)
    still = ReadableSpan("still", start_time=10**18, end_time=10**18 + 7)
    assert ShiftedClock(exporter).export([moved, still]) is SpanExportResult.SUCCESS
    first, second = exporter.get_finished_spans()
    assert first.start_time == 10**18 - 86_400_500_000_000
    assert first.end_time is not None
    assert first.end_time - first.start_time == 7
    assert second.start_time == 10**18
