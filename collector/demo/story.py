"""Tells the story from the first span to the gate, chapter by chapter, each resumable."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import evalspan

from ...errors import EvalspanError
from . import traffic
from .assistant import Assistant
from .chapters import Chapters
from .clock import ShiftedClock
from .local_model import local_model
from .service import serving
from .state import State, StateFile
from .targets import MODEL_URL, connect_assistant
from .watching import alert_settings

_TRAFFIC_SHARE = 0.6
"""Of the whole time: the rest is for scoring, drift and three runs of the gate."""

CONFIG = """\
# The demo keeps four of five conversations and writes the probability beside each, so that every estimate is right.
[sampling]
mode = "head"
rate = 0.8

[[sampling.rules]]
name = "errors"
errors = true

# Every stored answer is scored while the service runs; the same suite gates the regression cases later.
[[evaluation.rules]]
name = "answers"
where = "operation = 'chat' AND status != 'ERROR'"
evaluators = ["evalspan.collector.demo.suite:SUITE"]
quiet_s = 1
"""
"""What the demo's service samples and scores by; its alert rules follow."""


class Interrupted(Exception):
    """Ctrl-C between two requests: everything up to here is kept."""


class Story:
    """The demo in one folder.

    Args:
        folder: where the store, the cases and the reports go; a run that was cut short goes on there.
        minutes: how long it may take.
        console: where progress goes.
    """

    def __init__(self, folder: Path, minutes: float, console: Console) -> None:
        self.folder = folder
        self.minutes = minutes
        self.console = console
        self._file = StateFile(folder)
        self._stop = threading.Event()

    def tell(self) -> Chapters:
        """Runs what is not done yet and returns what was found.

        Raises:
            Interrupted: by Ctrl-C; the next run goes on from there.
            EvalspanError: the model or the collector could not be started.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "evalspan.toml"
        state = self._file.load() or State(ends=datetime.now(UTC))
        config.write_text(CONFIG + alert_settings(state.midnight), encoding="utf-8")
        with ExitStack() as stack:
            stack.enter_context(self._interruptible())
            model_url = None if os.environ.get("OPENAI_BASE_URL") else stack.enter_context(local_model())
            assistant = connect_assistant(model_url)
            with serving(self.folder, config) as url:
                self._send_traffic(assistant, state, url)
                chapters = Chapters(self.folder, self.console, assistant, {MODEL_URL: model_url or ""})
                chapters.run(state, self._file, self._check)
        return chapters

    def _send_traffic(self, assistant: Assistant, state: State, url: str) -> None:
        provider = TracerProvider(resource=Resource.create({"service.name": traffic.SERVICE}))
        provider.add_span_processor(BatchSpanProcessor(ShiftedClock(OTLPSpanExporter(endpoint=f"{url}/v1/traces"))))
        handle = evalspan.init(tracer_provider=provider)
        try:
            if not state.requests_a_week:
                self.console.print(f"Measuring how fast [bold]{assistant.model}[/bold] answers here ...")
                state.seconds_each = traffic.seconds_per_request(assistant)
                state.requests_a_week = traffic.fits(state.seconds_each, self.minutes * 60 * _TRAFFIC_SHARE)
                state.model = assistant.model
                self._file.save(state)
            self.console.print(
                f"One answer takes {state.seconds_each:.2f} s: about {state.requests_a_week} customers a week fit."
            )
            for week in (1, 2):
                self._serve_week(assistant, week, state)
        finally:
            handle.shutdown()
            provider.shutdown()
            evalspan.uninstrument()
        self._check()

    def _serve_week(self, assistant: Assistant, week: int, state: State) -> None:
        planned = [r for r in traffic.plan(state.requests_a_week, state.ends) if r.week == week]
        answered = set(state.answered)
        waiting = [request for request in planned if request.number not in answered]
        if not waiting or f"week {week}" in state.done:
            return
        done = len(planned) - len(waiting)
        deadline = time.monotonic() + self.minutes * 60 * _TRAFFIC_SHARE / 2

        def over() -> bool:
            return self._stop.is_set() or (done >= traffic.MIN_QUESTIONS and time.monotonic() > deadline)

        with self._progress() as progress:
            bar = progress.add_task(f"week {week}", total=len(planned), completed=done)
            for reply in traffic.send(assistant, waiting, over):
                done += 1
                state.answered.append(reply.number)
                state.errors += bool(reply.error)
                progress.advance(bar)
                if done % 10 == 0:
                    self._file.save(state)
        if not self._stop.is_set():
            state.done.append(f"week {week}")
        self._file.save(state)
        if state.errors > len(state.answered) / 2:
            raise EvalspanError(
                f"{state.errors} of {len(state.answered)} calls to {assistant.model} failed.",
                hint="Check OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL, then run with --fresh.",
            )
        self._check()

    def _check(self) -> None:
        if self._stop.is_set():
            raise Interrupted

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C ends the running requests and saves; a second one is Python's own."""

        def stop(_number: int, _frame: object) -> None:
            self._stop.set()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.console.print("stopping after the running requests; run it again to go on ...")

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
