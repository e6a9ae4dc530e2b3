"""Switches one instrumentor on per framework, when the app imports the framework; a fault of theirs stays outside."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from importlib import import_module
from typing import Any

from ..config import InstrumentConfig
from ..import_hooks import when_imported
from ..safe_call import safe_call
from .content_setting import ContentSetting
from .installed import Installed, installed_for, version_of
from .patches import Patches
from .table import Framework, release_of

log = logging.getLogger(__name__)

ITSELF = "itself"
_BASE = "opentelemetry.instrumentation.instrumentor"
_DISABLED_VARIABLE = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


class State:
    """What became of one framework."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.traced_by: str | None = None
        """The package that traces it, `itself`, or None."""
        self.note = ""
        """Why nobody does, or what is missing."""
        self.imported = False
        self.scopes: tuple[str, ...] = ()
        """Beginnings of the names under which its spans come."""
        self.ours: Any = None
        """The instrumentor that we switched on, to be switched off again."""
        self.patches = Patches()

    def switch_off(self) -> None:
        """Takes out what we put in."""
        self.patches.restore()
        if self.ours is not None:
            safe_call(self.ours.uninstrument)
            self.ours = None


class Activation:
    """The frameworks of one `init`."""

    def __init__(self, frameworks: Iterable[Framework], config: InstrumentConfig, provider: Any) -> None:
        self.states = {framework.name: State(framework) for framework in frameworks}
        self._content = ContentSetting(config)
        self._provider = provider
        self._lock = threading.RLock()
        self._on = True
        self._switching = threading.local()
        self._coming: set[str] = set()
        """Modules of the instrumentors that the app is switching on right now."""

    def start(self) -> None:
        """Switches on what is imported already, and waits for the rest without looking for it."""
        when_imported(_BASE, _see_others_come)
        for state in self.states.values():
            for module in (state.framework.module, *state.framework.through):
                _watch(module)
        for state in self.states.values():
            if _is_whole(state.framework.module, None) and state.framework.module in sys.modules:
                self._imported(state, None)

    def stop(self) -> None:
        """Switches off what was switched on here, and puts variables back."""
        self._on = False
        with self._lock:
            for state in self.states.values():
                state.switch_off()
            self._content.restore()

    def imported(self, module: str) -> None:
        """A module of the table was imported."""
        for state in self.states.values():
            if module == state.framework.module or module in state.framework.through:
                self._imported(state, module)

    def leave_to(self, instrumentor: Any) -> None:
        """The app switches an instrumentor on itself: ours for the same framework goes, so that no call is doubled."""
        if getattr(self._switching, "on", False) or not self._on:
            return
        module = type(instrumentor).__module__
        self._coming.add(module)  # while it is at it, it may import the framework
        for state in self.states.values():
            if state.ours is None:
                continue
            theirs = next((one for one in installed_for(state.framework) if one.module == module), None)
            if theirs is not None:
                state.switch_off()
                self._traced(state, theirs, f"{theirs}, switched on by the app")

    def is_there(self, instrumentor: Any) -> None:
        """The app's instrumentor is switched on; where it refused, ours takes the framework after all."""
        module = type(instrumentor).__module__
        if module not in self._coming:
            return
        self._coming.discard(module)
        is_on = getattr(instrumentor, "is_instrumented_by_opentelemetry", False)
        for state in self.states.values():
            if is_on:
                self._complete(state, module, instrumentor)
            elif state.imported and state.scopes == (module,) and state.ours is None:
                state.imported, state.traced_by, state.scopes = False, None, ()
                self._imported(state, None)

    def _complete(self, state: State, module: str, instrumentor: Any) -> None:
        """The app's instrumentor leaves out the same as ours, where it is the one that we would take."""
        best = installed_for(state.framework)[:1]
        is_best = bool(best) and best[0].module == module
        if state.imported and state.scopes == (module,) and is_best and state.patches.is_empty:
            self._adjust(state, instrumentor)

    def takes_care_of(self, instrumentor: Any) -> bool:
        """Whether it belongs to a framework of ours, for which the best one is switched on at its import."""
        module = type(instrumentor).__module__
        return not getattr(self._switching, "on", False) and any(
            module == one.module for state in self.states.values() for one in installed_for(state.framework)
        )

    def _imported(self, state: State, just_now: str | None) -> None:
        framework = state.framework
        if framework.module not in sys.modules:
            return
        if not all(_is_whole(module, just_now) for module in (framework.module, *framework.through)):
            return  # it is still being imported, further out: its end comes here again
        with self._lock:
            if not self._on or state.imported:
                return
            state.imported = True
            try:
                with self._quietly():
                    self._activate(state)
            except Exception as error:  # noqa: BLE001 - whatever it is, the app's import goes on
                state.note = f"{type(error).__name__}: {error}"
            _report(state)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._switching.on = True
        try:
            yield
        finally:
            self._switching.on = False

    def _activate(self, state: State) -> None:
        if _is_disabled(state.framework):
            state.note = f"switched off by {_DISABLED_VARIABLE}"
            return
        candidates = installed_for(state.framework)
        for candidate in candidates:
            running = candidate.running()
            if candidate.module in self._coming or running is not None:
                self._traced(state, candidate, f"{candidate}, switched on by the app")
                if running is not None:
                    self._complete(state, candidate.module, running)
                return
        if state.framework.native:
            from .native import SWITCHES

            state.note = SWITCHES[state.framework.name](self._provider, self._content.mode) or ""
            state.traced_by = None if state.note else ITSELF
            state.scopes = (state.framework.scope,)
            self._adjust(state, None)
            return
        for candidate in candidates:
            if self._attach(state, candidate):
                return

    def _attach(self, state: State, candidate: Installed) -> bool:
        """Tries one instrumentor; some refuse a newer release with no more than a log line."""
        family = candidate.instrumentor.family
        try:
            kind = candidate.entry_point.load()
            instrumentor = _make(kind, self._content.constructor_arguments(family))
            if conflict := _conflict(instrumentor):
                state.note = f"{candidate} refuses {conflict}"
                return False
            instrumentor.instrument(
                tracer_provider=self._provider, skip_dep_check=True, **self._content.arguments(family)
            )
        except Exception as error:  # noqa: BLE001 - the next one is tried
            state.note = f"{candidate} failed ({type(error).__name__}: {error})"
            return False
        if not candidate.running() or not _is_attached(state.framework.proof):
            safe_call(instrumentor.uninstrument)
            state.note = f"{candidate} did not attach itself"
            return False
        state.ours = instrumentor
        self._traced(state, candidate, str(candidate))
        self._adjust(state, instrumentor)
        return True

    def _adjust(self, state: State, instrumentor: Any) -> None:
        # Loaded with all that single frameworks need, so not before the first of them is imported.
        from .adjustments import ADJUSTMENTS

        if (adjustment := ADJUSTMENTS.get(state.framework.name)) is not None:
            safe_call(adjustment, instrumentor, state.patches)

    def _traced(self, state: State, candidate: Installed, by: str) -> None:
        state.traced_by, state.note, state.scopes = by, "", (candidate.module,)


def _make(kind: Any, arguments: dict[str, Any]) -> Any:
    try:
        return kind(**arguments)
    except TypeError:
        return kind()


def _conflict(instrumentor: Any) -> str:
    """The release that it says it cannot trace; that a package is missing is no conflict: the import just happened."""
    conflict = instrumentor._check_dependency_conflicts()  # noqa: SLF001 - `instrument()` only logs it
    found = getattr(conflict, "found", None)
    return f"{found} (it takes {conflict.required})" if found else ""


def _is_attached(proof: str) -> bool:
    if not proof:
        return True
    module, _, path = proof.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return hasattr(found, "__wrapped__")


def _is_disabled(framework: Framework) -> bool:
    names = {name.strip() for name in os.environ.get(_DISABLED_VARIABLE, "").split(",")}
    return bool(names & {"*", framework.name, framework.name.replace("-", "_"), framework.package})


def _report(state: State) -> None:
    """One line: who traces it, or that nobody does and what to install."""
    framework, version = state.framework, version_of(state.framework.package) or ""
    if state.traced_by is not None:
        release = release_of(framework.name, framework.package, version)
        log.info("evalspan: %s is traced by %s", release, state.traced_by)
        return
    if not framework.carries_calls and not framework.extra and not state.note:
        return
    if framework.name == "bedrock" and not state.note:
        safe_call(_wait_for_bedrock, state)
        return
    log.warning("%s", untraced_line(state))


def untraced_line(state: State) -> str:
    """What is lost and what to install, in one line."""
    framework = state.framework
    lost = (
        "its calls are not traced"
        if framework.carries_calls
        else "its model calls through openai and anthropic are traced one by one, without the steps around them"
    )
    why = f" ({state.note})" if state.note else ""
    return f"evalspan: {framework.name} is imported and has no instrumentor{why}: {lost}. {to_install(framework)}"


def to_install(framework: Framework) -> str:
    """The command that brings what is missing."""
    if framework.extra and not framework.native:
        return f"pip install 'evalspan[{framework.extra}]'"
    if framework.instrumentors:
        return f"pip install {framework.instrumentors[0].package}"
    return "No instrumentor of it is known." if not framework.native else ""


def _wait_for_bedrock(state: State) -> None:
    """Says so when the first client of Bedrock is made: whoever imports boto3 for storage needs no advice."""
    creator = sys.modules["botocore.client"].ClientCreator
    original = creator.create_client

    @wraps(original)
    def create_client(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        if str(service_name).startswith("bedrock"):
            if creator.create_client is create_client:
                creator.create_client = original
            log.warning("%s", untraced_line(state))
        return original(self, service_name, *args, **kwargs)

    creator.create_client = create_client


_watched: set[str] = set()
_current: Activation | None = None
_loading = False


def activate(frameworks: Iterable[Framework], config: InstrumentConfig, provider: Any) -> Activation:
    """Traces these frameworks from now on, or from when they are imported."""
    global _current
    deactivate()
    _current = Activation(frameworks, config, provider)
    _current.start()
    return _current


def loader_begins() -> None:
    """The loader of `opentelemetry-instrument` is about to switch on all that is installed, several per framework."""
    global _loading
    _loading = True
    _see_others_come(import_module(_BASE))


def loader_is_done() -> None:
    """From here on it is the app that switches instrumentors on."""
    global _loading
    _loading = False


def deactivate() -> None:
    """Switches off what `activate` switched on."""
    global _current
    if _current is not None:
        _current.stop()
    _current = None


def _watch(module: str) -> None:
    # A module that is there, even in the middle of its import, would be called back for at once.
    if module in _watched or module in sys.modules:
        return
    _watched.add(module)
    when_imported(module, partial(_report_untraced, module))


def _report_untraced(module: str, _: Any) -> None:
    if _current is not None:
        safe_call(_current.imported, module)


def _is_whole(module: str, just_now: str | None) -> bool:
    """Whether the module is not in the middle of its import; its hook runs a moment before Python says so."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return module == just_now or not getattr(spec, "_initializing", False)


def _see_others_come(module: Any) -> None:
    """Hears when the app switches an instrumentor on itself."""
    base = module.BaseInstrumentor
    original = base.instrument
    if getattr(original, "_evalspan", False):
        return

    @wraps(original)
    def instrument(instrumentor: Any, *args: Any, **kwargs: Any) -> Any:
        if _current is not None:
            if _loading and safe_call(_current.takes_care_of, instrumentor):
                return None
            safe_call(_current.leave_to, instrumentor)
        try:
            return original(instrumentor, *args, **kwargs)
        finally:
            if _current is not None:
                safe_call(_current.is_there, instrumentor)

    instrument._evalspan = True  # type: ignore[attr-defined] # noqa: SLF001 - marks our own function
    base.instrument = instrument
