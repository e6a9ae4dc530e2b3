"""Sends what waits when a process ends, also where Python's own exit hooks do not run.

A child of multiprocessing (or of billiard, Celery's own) leaves by `os._exit`: it runs the finalizers of its library
and nothing else, and a pool that is left ends its workers with SIGTERM.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from .safe_call import safe_call

# Modules with finalizers of their own, which a child runs before it leaves.
_LIBRARIES = ("multiprocessing.util", "billiard.util")
# After the finalizers of the app, and after the children of the child were waited for.
_LAST = -1000

_closers: list[Callable[[], Any]] = []
_hooked: set[str] = set()
_watching = False


class _Child:
    """What the libraries hold weakly while a child's finalizers wait for it."""


_child = _Child()


def close_at_exit(close: Callable[[], Any]) -> None:
    """Calls this when the process ends, and in every forked child of it when that ends; it must be quick."""
    global _watching
    _closers.append(close)
    atexit.register(close)
    if not _watching and hasattr(os, "register_at_fork"):
        _watching = True
        # Just before a fork: whoever forks with such a library has imported it by then.
        os.register_at_fork(before=lambda: safe_call(hook_libraries))
    safe_call(hook_libraries)
    safe_call(close_on_sigterm_in_child)


def forget(close: Callable[[], Any]) -> None:
    """Takes it back."""
    atexit.unregister(close)
    while close in _closers:
        _closers.remove(close)


def close_all() -> None:
    """Sends what waits, in this process."""
    for close in _closers:
        safe_call(close)


def hook_libraries() -> None:
    """Has the children of every such library that is imported call us before they leave."""
    for name in _LIBRARIES:
        library = sys.modules.get(name)
        if library is not None and name not in _hooked:
            _hooked.add(name)
            library.register_after_fork(_child, in_child_of(library))


def in_child_of(library: Any) -> Callable[[Any], None]:
    """What a child of the library runs when it begins: the finalizers of its parent are forgotten by then."""

    def begin(child: Any) -> None:  # noqa: ARG001 - the library hands over what it was given
        safe_call(library.Finalize, None, close_all, (), None, _LAST)
        safe_call(close_on_sigterm_in_child)

    return begin


def close_on_sigterm_in_child() -> None:
    """Has a child of multiprocessing close on SIGTERM, unless the app handles that signal itself."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, on_sigterm)


def on_sigterm(number: int, frame: Any) -> None:  # noqa: ARG001 - as Python calls it
    """Closes, and ends the process by the same signal as if we had not been there."""
    close_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
