"""Sends what waits when a process ends, also where Python's own exit hooks do not run.

SIGTERM ends Python on the spot, and so do pools that are left end their workers. A child of multiprocessing leaves by
`os._exit`: it runs the finalizers of its library and nothing else. A worker of billiard, on which Celery runs, does not
even run those. uvicorn ends its process with the signal that stopped it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from .import_hooks import when_imported
from .safe_call import safe_call

# How long a server that has stopped serving waits for what it sends.
_FLUSH_SECONDS = 2.0
# How long a process that SIGTERM ends waits for it.
_CLOSE_SECONDS = 2.5
# Modules with finalizers of their own, which a child runs before it leaves.
_LIBRARIES = ("multiprocessing.util", "billiard.util")
# After the finalizers of the app, and after the children of the child were waited for.
_LAST = -1000

_closers: list[Callable[[], Any]] = []
_flushers: list[Callable[[float], Any]] = []
_hooked: set[str] = set()
_watching = False
_closing = False
_signal_meanwhile: int | None = None


class _Child:
    """What the libraries hold weakly while a child's finalizers wait for it."""


_child = _Child()


def close_at_exit(close: Callable[[], Any], flush: Callable[[float], Any]) -> None:
    """Calls `close` when the process ends, and in every forked child of it when that ends; it must be quick.

    `flush` is called with the seconds that it may take where the process may also go on.
    """
    global _watching
    _closers.append(close)
    _flushers.append(flush)
    if not _watching:
        _watching = True
        atexit.register(close_all)
        if hasattr(os, "register_at_fork"):
            # Just before a fork: whoever forks with such a library has imported it by then.
            os.register_at_fork(before=lambda: safe_call(hook_libraries))
    safe_call(hook_libraries)
    safe_call(hook_billiard)
    safe_call(hook_uvicorn)
    safe_call(close_on_sigterm)


def forget(close: Callable[[], Any], flush: Callable[[float], Any]) -> None:
    """Takes it back."""
    if close in _closers:
        _closers.remove(close)
    if flush in _flushers:
        _flushers.remove(flush)
    if not _closers:
        safe_call(leave_sigterm_alone)


def close_all() -> None:
    """Sends what waits, in this process; a SIGTERM that comes meanwhile ends the process when that is done."""
    _close_all()
    if _signal_meanwhile is not None:
        end_by(_signal_meanwhile)


def _close_all() -> None:
    global _closing
    _closing = True
    try:
        for close in _closers:
            safe_call(close)
    finally:
        _closing = False


def flush_all() -> None:
    """Sends what waits, in a process that may go on."""
    for flush in _flushers:
        safe_call(flush, _FLUSH_SECONDS)


def hook_libraries() -> None:
    """Has the children of every such library that is imported call us before they leave."""
    for name in _LIBRARIES:
        library = sys.modules.get(name)
        if library is not None and name not in _hooked:
            _hooked.add(name)
            library.register_after_fork(_child, in_child_of(library))


def hook_billiard() -> None:
    """Has the workers of billiard's pools close, whenever it is imported: a spawned worker imports it after the app."""
    if "billiard.pool" not in _hooked:
        _hooked.add("billiard.pool")
        when_imported("billiard.pool", close_before_workers_leave)


def close_before_workers_leave(pool: Any) -> None:
    """Wraps the one way in which all workers of billiard leave."""
    pool.Worker._do_exit = closing_first(pool.Worker._do_exit)  # noqa: SLF001


def closing_first(leave: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps how a worker leaves its process."""

    @wraps(leave)
    def close_and_leave(*args: Any, **kwargs: Any) -> Any:
        close_all()
        return leave(*args, **kwargs)

    return close_and_leave


def hook_uvicorn() -> None:
    """Has a uvicorn server flush when it has shut down, whenever it is imported."""
    if "uvicorn.server" in _hooked:
        return
    _hooked.add("uvicorn.server")
    when_imported("uvicorn.server", lambda module: flush_after_shutdown(module.Server))


def flush_after_shutdown(server: Any) -> None:
    """Wraps the server's `shutdown`: a signal that stopped it is raised again right after, and ends the process."""
    original = server.shutdown

    @wraps(original)
    async def shutdown(*args: Any, **kwargs: Any) -> Any:
        try:
            return await original(*args, **kwargs)
        finally:
            flush_all()

    server.shutdown = shutdown


def in_child_of(library: Any) -> Callable[[Any], None]:
    """What a child of the library runs when it begins: the finalizers of its parent are forgotten by then."""

    def begin(child: Any) -> None:  # noqa: ARG001 - the library hands over what it was given
        safe_call(library.Finalize, None, close_all, (), None, _LAST)
        safe_call(close_on_sigterm)

    return begin


def close_on_sigterm() -> None:
    """Has the process close on SIGTERM, unless the app handles that signal itself or does so later."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, on_sigterm)


def leave_sigterm_alone() -> None:
    """Takes that back, where nobody has put another handler in its place."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def on_sigterm(number: int, frame: Any) -> None:  # noqa: ARG001 - as Python calls it
    """Closes in bounded time, and ends the process by the same signal as if we had not been there."""
    global _signal_meanwhile
    if _closing:
        # A pool sends its workers home and the signal right after: what they are sending is still sent.
        _signal_meanwhile = number
        return
    safe_call(_close_in_time)
    end_by(number)


def _close_in_time() -> None:
    # In a thread: the signal may have come while this one holds a lock that closing needs.
    closing = threading.Thread(target=_close_all, name="evalspan-exit", daemon=True)
    closing.start()
    closing.join(_CLOSE_SECONDS)


def end_by(number: int) -> None:
    """Ends the process by a signal that nobody handles."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
