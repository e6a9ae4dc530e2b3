"""`evalspan.init`: the one line that switches tracing on, and the handle to flush and stop it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource

from ..errors import UsageError
from . import config as settings
from .config import InstrumentConfig, RedactOption
from .content import ContentPolicy
from .exit_hooks import close_at_exit, forget
from .foreign_spans import ForeignSpans
from .frameworks.activation import Activation, activate, deactivate, loader_begins
from .frameworks.selection import FrameworksOption, select
from .frameworks.table import Framework
from .libraries.coexistence import switched_on
from .libraries.hooks import HOOKS
from .metrics import ClientMetrics, make_meter_provider
from .provider import EXIT_SECONDS, BoundedProcessor, find_or_make, fitting_bytes
from .threads import patch_threading, unpatch_threading
from .tracing import Tracing, set_active
from .well_formed import well_formed_resource

if TYPE_CHECKING:
    from .events import Events
    from .foreign_logs import ForeignLogs
    from .frameworks.coverage import LibraryCoverage

log = logging.getLogger(__name__)

SCOPE = "evalspan"
SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"


class Handle:
    """What `init` returns: sends what waits, stops what runs."""

    def __init__(
        self,
        config: InstrumentConfig,
        provider: Any,
        processor: BoundedProcessor | None,
        logger_provider: Any = None,
    ) -> None:
        self.config = config
        self.tracing: Tracing | None = None
        self.tracer_provider = provider
        self._processor = processor
        self._stopped = False
        self._logger_provider = logger_provider
        self.activation: Activation | None = None
        self.foreign_spans: ForeignSpans | None = None
        self.foreign_logs: ForeignLogs | None = None
        self._events: Events | None = None
        self._events_lock = threading.Lock()
        self._meter_provider = make_meter_provider(config, self.resource) if provider is not None else None

    def _attach(self, libraries: Iterable[str], frameworks: Iterable[Framework]) -> None:
        """Puts in place what traces: the hooks of the SDKs, what masks spans and log events of others, the frameworks."""
        self.tracing = activate_libraries(libraries, self.config, self.tracer_provider, self.events)
        set_active(self.tracing)
        self.foreign_spans = add_foreign_spans(self.tracer_provider, self.tracing.policy)
        self.foreign_logs = add_foreign_logs(self._logger_provider, self.tracing.policy)
        self.activation = activate(frameworks, self.config, self.tracer_provider)

    @property
    def resource(self) -> Resource:
        """What the spans say their process is."""
        return well_formed_resource(getattr(self.tracer_provider, "resource", None) or Resource.create())

    @property
    def dropped(self) -> int:
        """Spans and scores that were not delivered: the queue was full, or the collector was away or refused them.

        What is still on its way, or tried again, is not among them before `shutdown`.
        """
        spans = self._processor.dropped if self._processor is not None else 0
        return spans + (self._events.dropped if self._events is not None else 0)

    def coverage(self) -> dict[str, LibraryCoverage]:
        """Every LLM library that is installed here, by name: its release, who traces it, whether a call was seen."""
        from .frameworks.coverage import coverage

        ours = {name: switched_on(name) for name, hooks in HOOKS.items() if hooks.tracing is not None}
        return coverage(self.activation, ours)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Sends every ended span now; False when that took longer than `timeout_s` seconds or did not arrive."""
        if self.tracer_provider is None:
            return True
        done = _in_time(self._flush, timeout_s)
        return done and not (self._processor is not None and self._processor.failing)

    def shutdown(self, timeout_s: float = 5.0) -> None:
        """Takes the hooks out, sends what waits and stops our export; the tracer provider itself goes on."""
        if _handle is self:
            uninstall()
        _in_time(self._close, timeout_s)
        forget(self._close, self.flush)

    def events(self) -> Events:
        """Where scores go; made at the first one, because few processes send any."""
        with self._events_lock:
            if self._events is None:
                from .events import Events

                self._events = Events(self.config, self.resource, self._logger_provider)
            return self._events

    def _flush(self) -> None:
        self.tracer_provider.force_flush()
        if self._events is not None:
            self._events.provider.force_flush()
        if self._meter_provider is not None:
            self._meter_provider.force_flush()

    def _close(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        if self._events is not None:
            self._events.close()
        if self._meter_provider is not None:
            self._meter_provider.shutdown(timeout_millis=EXIT_SECONDS * 1000)
        if self._processor is not None:
            self._processor.shutdown()


_lock = threading.Lock()
_handle: Handle | None = None


def init(
    service_name: str | None = None,
    endpoint: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    capture_content: bool | str | None = None,
    redact: RedactOption = None,
    tracer_provider: Any = None,
    logger_provider: Any = None,
    instrument: Iterable[str] = ("openai", "anthropic"),
    frameworks: FrameworksOption = "auto",
    environment: str | None = None,
    threads: bool = True,
    max_content_bytes: int | None = None,
) -> Handle:
    """Traces every call of the openai and anthropic SDKs from now on, with inputs and outputs.

    Joins the tracer provider that is there or makes one that exports OTLP over HTTP to `endpoint` (else to
    OTEL_EXPORTER_OTLP_ENDPOINT, else to http://localhost:4318). A second call changes nothing and returns the first
    handle. OTEL_SDK_DISABLED=true makes it do nothing but say so.

    Args:
        service_name: `service.name` of the spans; default OTEL_SERVICE_NAME.
        endpoint: base URL of the collector; `/v1/traces` is appended.
        headers: sent with every export, such as an Authorization header.
        capture_content: whether inputs and outputs are recorded; True, False or a value of
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT. Default: that variable, else True.
        redact: True for every built-in rule, or names of rules (email, phone, card, iban, api_key), regular
            expressions and functions from text to text. Default: EVALSPAN_REDACT, else nothing.
        tracer_provider: use this one; without `endpoint` (or its variables) its own exports are all there is.
        logger_provider: send scores and content events through this one.
        instrument: the SDKs to trace.
        frameworks: "auto" traces every framework that the app imports by the best of its instrumentors that are
            installed; a list of names leaves the others alone, False all. Default: EVALSPAN_FRAMEWORKS, else "auto".
        environment: `deployment.environment.name` of the spans, for a provider that is made here.
        threads: whether threads and thread pools inherit the context of whoever starts or feeds them.
        max_content_bytes: longest content attribute in bytes of JSON; longer ones are cut, visibly. Default 262,144.

    Raises ConfigError or UsageError for a value that cannot be.
    """
    global _handle
    libraries, chosen = _libraries(instrument), select(frameworks)
    with _lock:
        if (running := current()) is not None:
            return running
        config = settings.load(
            service_name=service_name,
            endpoint=endpoint,
            headers=headers,
            capture_content=capture_content,
            redact=redact,
            max_content_bytes=max_content_bytes,
        )
        if settings.sdk_disabled():
            log.warning("OTEL_SDK_DISABLED is true: evalspan traces nothing")
            return Handle(config, None, None)
        provider, processor = find_or_make(config, tracer_provider, environment=environment)
        _handle = Handle(config, provider, processor, logger_provider)
        _handle._attach(libraries, chosen)  # noqa: SLF001 - same module
        if threads:
            patch_threading()
        # At exit no thread can be started any more, so this closes directly; the processor keeps to its own limit.
        close_at_exit(_handle._close, _handle.flush)  # noqa: SLF001 - same module
        return _handle


def prepare_for_loader(libraries: list[str]) -> None:
    """`init` by the variables alone, for `opentelemetry-instrument`, whose loader comes next."""
    handle = init(instrument=libraries)
    if handle.tracing is not None:
        loader_begins()
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            log.warning("there is no tracer provider: spans of other instrumentations go nowhere")


def current() -> Handle | None:
    """The handle of the `init` that is in force, None when there is none."""
    return _handle if _handle is not None and not _handle._stopped else None  # noqa: SLF001 - same module


def activate_libraries(
    libraries: Iterable[str], config: InstrumentConfig, provider: Any, events: Callable[[], Events]
) -> Tracing:
    """Puts the hooks of these SDKs in place, sending spans to the provider; returns what other spans may use."""
    policy = ContentPolicy(
        on_span=config.content.on_span,
        on_event=config.content.on_event,
        redactor=config.redactor,
        max_bytes=fitting_bytes(config, provider),
    )
    metrics = ClientMetrics()
    event = (lambda span, found: events().content(span, found)) if config.content.on_event else None

    def tracing(scope: str) -> Tracing:
        tracer = trace.get_tracer(scope, _version(), tracer_provider=provider, schema_url=SCHEMA_URL)
        return Tracing(tracer, policy, metrics=metrics, event=event)

    for name in libraries:
        HOOKS[name].activate(tracing(f"{SCOPE}.{name}"))
    return tracing(SCOPE)


def add_foreign_spans(provider: Any, policy: ContentPolicy) -> ForeignSpans | None:
    """Puts our content policy on the spans of other instrumentations, where the provider takes processors."""
    if not hasattr(provider, "add_span_processor"):
        return None
    processor = ForeignSpans(policy)
    provider.add_span_processor(processor)
    return processor


def add_foreign_logs(given: Any, policy: ContentPolicy) -> ForeignLogs | None:
    """The same for log events of all logger providers, where there is something to mask or to leave out."""
    if policy.redactor is None and policy.kept:
        return None
    from .foreign_logs import watch_logs

    return watch_logs(policy, given)


def uninstrument() -> None:
    """Takes the hooks out of both SDKs and stops our export; `init` can be called again."""
    handle = _handle
    if handle is not None:
        handle.shutdown()
    uninstall()


def uninstall() -> None:
    """Restores every function that was wrapped; spans that are open still end."""
    global _handle
    for hooks in HOOKS.values():
        hooks.deactivate()
    deactivate()
    if _handle is not None and _handle.foreign_spans is not None:
        _handle.foreign_spans.active = False
    if _handle is not None and _handle.foreign_logs is not None:
        _handle.foreign_logs.detach()
    unpatch_threading()
    set_active(None)
    _handle = None


def _libraries(names: Iterable[str]) -> list[str]:
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in HOOKS:
            raise UsageError(f"instrument={name!r} is not known.", hint=f"There are {', '.join(HOOKS)}.")
    return wanted


def _version() -> str:
    # The root package is loaded by now; importing it by name here would turn the import arrows round.
    return str(getattr(sys.modules.get(__name__.partition(".")[0]), "__version__", ""))


def _in_time(work: Callable[[], Any], seconds: float) -> bool:
    """Does the work in a thread of its own and waits at most so long; False when it is not done by then."""
    done = threading.Event()

    def run() -> None:
        try:
            work()
        except Exception:
            log.debug("could not flush", exc_info=True)
        done.set()

    threading.Thread(target=run, name="evalspan-flush", daemon=True).start()
    return done.wait(seconds)
