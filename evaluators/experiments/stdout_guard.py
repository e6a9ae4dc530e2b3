"""Keeps stdout for data: what code under test prints, itself, through C or in a child process, goes to stderr."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO, cast

from ...queries.untrusted_text import safe_stream

STDOUT, STDERR = 1, 2


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Inside, Python's stdout and the process's file descriptor 1 both lead to stderr."""
    with suppress(ValueError, AttributeError):
        sys.stdout.flush()
    with redirect_stdout(_writer_to_stderr()), _descriptor_to_stderr():
        yield


@contextmanager
def data_stdout() -> Iterator[TextIO]:
    """Gives a command its stdout for data alone; everything else that is printed inside goes to stderr.

    Where stdout is the process's own, descriptor 1 leads to stderr until the process ends: threads and children that
    code under test left behind, and what it registered to run at exit, cannot write into the data either.
    """
    if not _is_process_stdout():
        with _only_python_stdout(sys.stdout) as captured:
            yield captured
        return
    sys.stdout.flush()
    out = safe_stream(os.fdopen(os.dup(STDOUT), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors))
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(_writer_to_stderr()):
            yield out
    finally:
        out.close()


@contextmanager
def _only_python_stdout(stdout: TextIO) -> Iterator[TextIO]:
    """The same where something already captures Python's stdout."""
    with redirect_stdout(_writer_to_stderr()):
        yield stdout


def _is_process_stdout() -> bool:
    try:
        os.fstat(STDERR)
        return sys.stdout.fileno() == STDOUT
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    try:
        saved = os.dup(STDOUT)
    except OSError:  # closed: there is nothing to keep clean
        yield
        return
    try:
        os.dup2(STDERR, STDOUT)
    except OSError:  # no stderr: the noise goes nowhere
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, STDOUT)
        os.close(null)
    try:
        yield
    finally:
        os.dup2(saved, STDOUT)
        os.close(saved)


def _writer_to_stderr() -> TextIO:
    """A text stream that writes to the present stderr, and that the code under test may close without harm to it."""
    return cast("TextIO", _Forward(sys.stderr))


class _Forward(io.TextIOBase):
    """Hands everything on; closing it closes nothing behind it."""

    def __init__(self, behind: TextIO) -> None:
        self._behind = behind

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream behind."""
        return getattr(self._behind, "encoding", None) or "utf-8"

    @property
    def buffer(self) -> io.BufferedIOBase:
        """For those who write bytes."""
        return self._behind.buffer  # type: ignore[return-value]

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Whether a person reads the stream behind."""
        return self._behind.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream behind."""
        return self._behind.fileno()

    def write(self, text: str) -> int:
        """Writes to the stream behind; what it cannot encode is escaped."""
        try:
            return self._behind.write(text)
        except UnicodeEncodeError:
            self._behind.write(text.encode("ascii", "backslashreplace").decode("ascii"))
            return len(text)

    def flush(self) -> None:
        """Flushes the stream behind."""
        self._behind.flush()
