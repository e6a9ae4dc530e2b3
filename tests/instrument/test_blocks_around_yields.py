"""Blocks around a `yield`: wherever their generator is closed, nothing is logged and no span gets a parent that is over."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.trace import get_current_span

import evalspan
from evalspan.instrument import semconv

from .conftest import Spans

Block = Callable[[], Any]
BLOCKS: dict[str, Block] = {
    "span": lambda: evalspan.span("block"),
    "context": lambda: evalspan.context(session="s"),
    "suppress": evalspan.suppress,
}
BY_BLOCK = pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)


def numbers(block: Block) -> Iterator[int]:
    with block():
        yield 1
        yield 2


async def async_numbers(block: Block) -> AsyncIterator[int]:
    with block():
        yield 1
        yield 2


@contextmanager
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert [record for record in caplog.records if record.exc_info] == []


def after(spans: Spans) -> Any:
    """A span that starts where the block was: it must not be inside it, nor have what belongs to it."""
    with evalspan.span("after"):
        pass
    found = [span for span in spans.all() if span.name == "after"]
    assert len(found) == 1
    assert found[0].parent is None
    return found[0]


@BY_BLOCK
def test_a_generator_that_is_closed_in_another_thread(block: Block, spans: Spans, caplog) -> None:
    with quiet(caplog):
        generator: Any = numbers(block)
        next(generator)
        thread = threading.Thread(target=generator.close)
        thread.start()
        thread.join()
        if block is not BLOCKS["suppress"]:
            assert semconv.CONVERSATION_ID not in (after(spans).attributes or {})


@BY_BLOCK
def test_a_generator_that_is_closed_in_another_context(block: Block, spans: Spans, caplog) -> None:
    with quiet(caplog):
        generator: Any = numbers(block)
        contextvars.copy_context().run(next, generator)
        generator.close()
        after(spans)


@BY_BLOCK
def test_a_generator_that_is_forgotten(block: Block, spans: Spans, caplog) -> None:
    with quiet(caplog):
        generator: Any = numbers(block)
        next(generator)
        del generator
        gc.collect()
        after(spans)


@BY_BLOCK
def test_generators_whose_blocks_overlap(block: Block, spans: Spans, caplog) -> None:
    with quiet(caplog):
        first: Any = numbers(block)
        second: Any = numbers(block)
        next(first)
        next(second)
        first.close()
        second.close()
        after(spans)
        assert not get_current_span().get_span_context().is_valid


@BY_BLOCK
def test_an_asynchronous_generator_that_is_closed_in_another_task(block: Block, spans: Spans, caplog) -> None:
    async def main() -> None:
        generator: Any = async_numbers(block)
        await asyncio.create_task(generator.__anext__())
        await asyncio.create_task(generator.aclose())
        after(spans)

    with quiet(caplog):
        asyncio.run(main())


@BY_BLOCK
def test_an_asynchronous_generator_that_the_loop_closes_at_its_end(block: Block, spans: Spans, caplog) -> None:
    kept: list[Any] = []

    async def main() -> None:
        generator: Any = async_numbers(block)
        await generator.__anext__()
        kept.append(generator)

    with quiet(caplog):
        asyncio.run(main())
        after(spans)


@BY_BLOCK
def test_a_task_that_was_begun_inside_the_block_and_closes_it(block: Block, spans: Spans, caplog) -> None:
    async def main() -> None:
        generator: Any = async_numbers(block)
        await generator.__anext__()

        async def close() -> None:
            await generator.aclose()
            after(spans)

        await asyncio.create_task(close())

    with quiet(caplog):
        asyncio.run(main())


def test_a_block_that_is_left_by_closing_its_generator_is_no_error(spans: Spans) -> None:
    generator: Any = numbers(BLOCKS["span"])
    next(generator)
    generator.close()
    assert spans.one().status.status_code.name == "UNSET"
    assert semconv.ERROR_TYPE not in spans.attributes()


def test_a_live_span_that_began_where_a_block_was_left_stays_the_parent(spans: Spans) -> None:
    tracer = spans.provider.get_tracer("theirs")
    generator: Any = numbers(BLOCKS["span"])
    next(generator)
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()
    with tracer.start_as_current_span("theirs"), evalspan.span("inner"):
        pass
    inner = next(span for span in spans.all() if span.name == "inner")
    theirs = next(span for span in spans.all() if span.name == "theirs")
    assert inner.parent is not None
    assert inner.parent.span_id == theirs.context.span_id


def test_work_that_outlives_its_block_still_belongs_to_it(spans: Spans) -> None:
    async def late(begun: asyncio.Event) -> None:
        await begun.wait()
        with evalspan.span("late"):
            pass

    async def main() -> None:
        ended = asyncio.Event()
        with evalspan.span("request"):
            task = asyncio.create_task(late(ended))
        ended.set()
        await task

    asyncio.run(main())
    late_span = next(span for span in spans.all() if span.name == "late")
    request = next(span for span in spans.all() if span.name == "request")
    assert late_span.parent is not None
    assert late_span.parent.span_id == request.context.span_id


# evalspan.suppress as a decorator


def made(name: str) -> None:
    with evalspan.span(name):
        pass


@evalspan.suppress()
def plain_function() -> str:
    made("inside")
    return "done"


@evalspan.suppress()
async def coroutine_function() -> str:
    made("inside")
    await asyncio.sleep(0)
    made("inside")
    return "done"


@evalspan.suppress()
def generator_function() -> Iterator[str]:
    made("inside")
    yield "a"
    made("inside")
    yield "b"


@evalspan.suppress()
async def async_generator_function() -> AsyncIterator[str]:
    made("inside")
    yield "a"
    await asyncio.sleep(0)
    made("inside")
    yield "b"


async def all_of_them() -> list[Any]:
    seen: list[Any] = [plain_function()]
    made("between")
    seen.append(await coroutine_function())
    made("between")
    for item in generator_function():
        made("between")
        seen.append(item)
    async for item in async_generator_function():
        made("between")
        seen.append(item)
    seen += await asyncio.gather(coroutine_function(), coroutine_function())
    made("between")
    return seen


def test_suppress_decorates_every_kind_of_function_and_only_what_runs_inside(spans: Spans) -> None:
    assert asyncio.run(all_of_them()) == ["done", "done", "a", "b", "a", "b", "done", "done"]
    assert [span.name for span in spans.all()] == ["between"] * 7
    assert inspect.iscoroutinefunction(coroutine_function)
    assert inspect.isgeneratorfunction(generator_function)
    assert inspect.isasyncgenfunction(async_generator_function)
    assert plain_function.__name__ == "plain_function"


def test_suppress_works_around_awaited_calls(spans: Spans) -> None:
    async def main() -> None:
        with evalspan.suppress():
            await asyncio.sleep(0)
            made("inside")
        made("between")

    asyncio.run(main())
    assert spans.one().name == "between"
