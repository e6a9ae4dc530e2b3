"""Runs generators step by step, each step in a block of its own, so that nothing of ours is current between them.

A block around a whole generator would also be current in the app's code that asks for the next item.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol

from .safe_call import safe_call


class Scope(Protocol):
    """What one step runs in."""

    def leave(self) -> None:
        """Ends it."""


class Steps:
    """What happens around the steps of one generator. No method may raise."""

    def enter(self) -> Scope | None:
        """Begins one step."""

    def item(self, item: Any) -> None:
        """Sees what a step gave."""

    def finished(self, returned: Any) -> None:
        """The generator came to its end, or was closed."""

    def failed(self, error: BaseException) -> None:
        """The generator raised."""


Start = Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, Steps]]


def stepped(start: Start) -> Callable[..., Generator[Any, Any, Any]]:
    """A generator function whose generators give, take and raise what those of `start` do."""

    def iterate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator, steps = start(args, kwargs)
        step = functools.partial(generator.send, None)
        try:
            while True:
                try:
                    item = _step(step, steps)
                except StopIteration as stop:
                    steps.finished(stop.value)
                    return stop.value
                steps.item(item)
                try:
                    step = functools.partial(generator.send, (yield item))
                except GeneratorExit:
                    generator.close()
                    steps.finished(None)
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it goes on into the app's generator
                    step = functools.partial(generator.throw, thrown)
        except BaseException as error:
            steps.failed(error)
            raise

    return iterate


def stepped_async(start: Start) -> Callable[..., AsyncGenerator[Any, Any]]:
    """The same for asynchronous generators; what it returns is one itself, which frameworks look for."""

    async def iterate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator, steps = start(args, kwargs)
        step = functools.partial(generator.asend, None)
        try:
            while True:
                scope = steps.enter()
                try:
                    item = await step()
                except StopAsyncIteration:
                    steps.finished(None)
                    return
                finally:
                    _leave(scope)
                steps.item(item)
                try:
                    step = functools.partial(generator.asend, (yield item))
                except GeneratorExit:
                    await generator.aclose()
                    steps.finished(None)
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it goes on into the app's generator
                    step = functools.partial(generator.athrow, thrown)
        except BaseException as error:
            steps.failed(error)
            raise

    return iterate


def _step(step: Callable[[], Any], steps: Steps) -> Any:
    scope = steps.enter()
    try:
        return step()
    finally:
        _leave(scope)


def _leave(scope: Scope | None) -> None:
    if scope is not None:
        safe_call(scope.leave)
