"""Says whether anything changed since an answer was cached: the code, the files read, the environment it names.

A cache that misses an edit would let a gate pass on old answers. So an answer is only reused when the source of every
module of the project, every file that the target opened and every environment variable that the source names are the
same; and a target that talks to the network is only cached when it declares which model answers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from ... import __version__

_who: ContextVar[str] = ContextVar("evalspan_cache_who", default="")
_listener: Callable[[str, str, str], None] | None = None
_installed = False

OUTSIDE = ("socket.connect", "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "sqlite3.connect")
WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
SDK_VARIABLES = ("OPENAI_", "ANTHROPIC_", "AZURE_OPENAI_", "GOOGLE_")


@contextmanager
def watching(who: str) -> Iterator[None]:
    """Marks what runs inside: "target", "score:<evaluator>", or "ours" for what nobody needs to hear."""
    token = _who.set(who)
    try:
        yield
    finally:
        _who.reset(token)


@contextmanager
def listening(listener: Callable[[str, str, str], None]) -> Iterator[None]:
    """Calls `listener(what, which, who)` with what = read, write (a path) or outside (an event).

    Threads that a target starts carry no mark; what they do counts as the target's.
    """
    global _listener, _installed
    _foreign()  # asked by the hook alone, it could find sysconfig half-made: making it opens files, which the hook hears
    if not _installed:
        sys.addaudithook(_hear)  # it cannot be taken away again, only made deaf
        _installed = True
    _listener = listener
    try:
        yield
    finally:
        _listener = None


class Touched:
    """What loading the code under test touched: the files it read, and the first step outside, '' for none."""

    def __init__(self) -> None:
        self.read: set[str] = set()
        self.outside = ""

    def hear(self, what: str, which: str, _who: str) -> None:
        """Takes down one event."""
        if what == "read":
            self.read.add(which)
        elif what == "outside":
            self.outside = self.outside or which


@contextmanager
def recording() -> Iterator[Touched]:
    """Takes down what an import touches: a prompt file that it reads, a connection that it opens and keeps."""
    touched = Touched()
    with listening(touched.hear):
        yield touched


def _hear(event: str, args: tuple[Any, ...]) -> None:
    listener = _listener
    if listener is None or (event != "open" and event not in OUTSIDE):
        return
    who = _who.get() or "target"
    if who == "ours":
        return
    if event != "open":
        listener("outside", event, who)
    elif isinstance(args[0], str | bytes):
        path = own_file(os.fsdecode(args[0]))
        if path:
            listener("write" if _writes(args) else "read", path, who)


def _writes(args: tuple[Any, ...]) -> bool:
    mode, flags = args[1], args[2]
    return bool(mode and any(letter in mode for letter in "wax")) or bool(
        isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    )


def own_file(path: str) -> str | None:
    """The absolute path when the file belongs to the project rather than to Python, a library or the system."""
    absolute = os.path.realpath(path)
    if absolute.endswith(".pyc"):
        try:
            absolute = importlib.util.source_from_cache(absolute)
        except ValueError:
            return None
    return None if absolute.startswith(_foreign()) else absolute


@cache
def _foreign() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    libraries = [place for place in sys.path if "site-packages" in place or "dist-packages" in place]
    places = {os.path.realpath(place) + os.sep for place in [*paths, *libraries] if place}
    return (*places, "/dev/", "/proc/", "/sys/", "/usr/", "/etc/")


def project_fingerprint(named: list[Any], declared: str, read: Iterable[str] = ()) -> str:
    """SHA-256 over the source of the project's modules, the environment they name, and what is declared.

    `named` are the objects under test: their own modules count wherever they stand, even inside a library. `read` are
    the files that were read while they were loaded.
    """
    sources = {path: _read(path) for path in sorted(_module_files(named))}
    words = {word for source in sources.values() for word in WORD.findall(source)}
    digest = hashlib.sha256()
    for part in (__version__, sys.version, declared, str(Path.cwd())):
        digest.update(part.encode() + b"\x00")
    for path, source in sources.items():
        digest.update(path.encode() + b"\x00" + source + b"\x00")
    for path in sorted(read):
        digest.update(f"{path}={file_hash(path)}\x00".encode())
    for name in sorted(os.environ):
        if name.startswith(SDK_VARIABLES) or (len(name) > 1 and name.encode() in words):
            digest.update(f"{name}={os.environ[name]}\x00".encode())
    return digest.hexdigest()


def file_hash(path: str) -> str:
    """SHA-256 of a file, '' when it is gone."""
    return hashlib.sha256(_read(path)).hexdigest() if Path(path).is_file() else ""


def _module_files(named: list[Any]) -> set[str]:
    package = str(Path(__file__).resolve().parents[2])
    places = {getattr(sys.modules.get(getattr(thing, "__module__", "") or ""), "__file__", None) for thing in named}
    found = {os.path.realpath(place) for place in places if place}
    for module in list(sys.modules.values()):
        place = getattr(module, "__file__", None)
        if isinstance(place, str) and not os.path.realpath(place).startswith(package + os.sep):
            own = own_file(place)
            if own:
                found.add(own)
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
