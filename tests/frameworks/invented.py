"""Frameworks and instrumentors that exist for one test only: packages on the path with the metadata of real ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What an instrumentor does, told by name.
BEHAVIOURS = {
    "good": "events.append(('on', NAME, kwargs.get('tracer_provider'), kwargs.get('config')))",
    "imports": "import agents; events.append(('on', NAME, kwargs.get('tracer_provider'), kwargs.get('config')))",
    "refuses": "import agents; raise RuntimeError('refused')",
    "raises": "raise RuntimeError('broken instrumentor')",
    "exits": "raise SystemExit(3)",
}
SOURCE = """
import os
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from invented_events import events
NAME = {name!r}
{preamble}
class Instrumentor(BaseInstrumentor):
    def __init__(self, **arguments):
        events.append(("made", NAME, arguments))
    def instrumentation_dependencies(self):
        return {requires!r}
    def _instrument(self, **kwargs):
        events.append(("content", os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"), os.environ.get("TRACELOOP_TRACE_CONTENT")))
        {action}
    def _uninstrument(self, **kwargs):
        events.append(("off", NAME))
"""


class Invented:
    """A folder on the path in which packages can be made up; everything of them is forgotten at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: set[str] = {"invented_events"}
        (folder / "invented_events.py").write_text("events = []\n")

    def framework(self, package: str, module: str, version: str = "1.5", body: str = "") -> None:
        """A framework: an importable module and its metadata."""
        self._metadata(package, version)
        self._module(module, body)

    def instrumentor(
        self, package: str, does: str = "good", requires: tuple[str, ...] = (), preamble: str = "", entry: str = "same"
    ) -> str:
        """An instrumentor with an entry point; returns its module."""
        module = package.replace("-", "_")
        source = SOURCE.format(name=package, requires=requires, action=BEHAVIOURS[does], preamble=preamble)
        self._module(module, source)
        self._metadata(package, "0.1", f"[opentelemetry_instrumentor]\n{entry} = {module}:Instrumentor\n")
        return module

    @property
    def events(self) -> list[tuple[object, ...]]:
        """What the instrumentors did, in order."""
        import invented_events  # type: ignore[import-not-found]

        return list(invented_events.events)

    def did(self, what: str) -> list[object]:
        """The names of those who did it."""
        return [event[1] for event in self.events if event[0] == what]

    def _module(self, module: str, body: str) -> None:
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            folder = self.folder.joinpath(*parts[:depth])
            folder.mkdir(exist_ok=True)
            init = folder / "__init__.py"
            if depth == len(parts):
                init.write_text(body)
            elif not init.exists():
                init.write_text("")
            self.modules.add(".".join(parts[:depth]))

    def _metadata(self, package: str, version: str, entry_points: str = "") -> None:
        folder = self.folder / f"{package.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (folder / "entry_points.txt").write_text(entry_points)


@contextmanager
def invented(folder: Path) -> Iterator[Invented]:
    """The folder on the path for a while."""
    from evalspan.instrument.frameworks import activation

    made = Invented(folder)
    sys.path.insert(0, str(folder))
    watched = set(activation._watched)
    try:
        yield made
    finally:
        sys.path.remove(str(folder))
        for name in list(sys.modules):
            if any(name == module or name.startswith(f"{module}.") for module in made.modules):
                del sys.modules[name]
        # An import is called back for once; what was imported here is watched anew by the next test.
        activation._watched.intersection_update(watched - made.modules)
