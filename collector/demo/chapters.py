"""What follows the traffic: scores, alerts, drift, regression cases and the gate, with the commands that users type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from .assistant import Assistant
from .cases import review_cases
from .found import Cases, Found, Gated
from .scoring import wait_until_scored
from .service import evalspan_command
from .state import State, StateFile
from .traffic import SERVICE
from .watching import wait_for_alerts

_SUITE = "evalspan.collector.demo.suite:SUITE"
_TARGETS = "evalspan.collector.demo.targets"


class Chapters:
    """Runs the chapters in order and collects what they found.

    Args:
        folder: the demo's folder.
        console: where progress goes.
        assistant: the app, for replays.
        environment: variables for the commands.
    """

    def __init__(self, folder: Path, console: Console, assistant: Assistant, environment: dict[str, str]) -> None:
        self.folder = folder
        self.console = console
        self._assistant = assistant
        self.found = Found(folder=folder)
        self._environment = environment

    def run(self, state: State, file: StateFile, check: Callable[[], None]) -> None:
        """Scores, alerts, drift, cases, gate; `check` is called in between and may raise."""
        self.console.print("Waiting for the last scores ...")
        self.found.scored = wait_until_scored(self.folder / "store", SERVICE, check)
        self.console.print("Reading the service's alerts ...")
        self.found.alerts = wait_for_alerts(self.folder / "store", check)
        self.console.print("Looking for drift ...")
        self._look_for_drift(state)
        check()
        self.console.print("Turning failures into regression cases ...")
        self._collect_cases()
        check()
        self._pass_through_the_gate(check)
        state.done.append("story")
        file.save(state)

    def _look_for_drift(self, state: State) -> None:
        arguments = ("drift", "--since", "7d", "--until", f"{state.midnight:%Y-%m-%dT%H:%M:%S}")
        self.found.drift_command = "evalspan " + " ".join(arguments)
        self.found.drift_code, self.found.drift_report = self._command(*arguments)

    def _collect_cases(self) -> None:
        exported = self.folder / "failures.jsonl"
        exported.unlink(missing_ok=True)
        code, said = self._command("export", "failures", "--since", "8d", "--to", str(exported))
        self.found.export_said = said.strip()
        if code == 0 and exported.exists():
            self.found.cases = review_cases(exported, self.folder, self._assistant)

    def _pass_through_the_gate(self, check: Callable[[], None]) -> None:
        cases = self.found.cases
        if cases is None or not cases.regression:
            return
        self._measure_baseline(cases)
        runs = [
            ("the cases against the edited prompt", str(cases.path), "bad_prompt", ()),
            ("the cases against the fixed prompt", str(cases.path), "fixed_prompt", ()),
            ("too few answers to compare", str(cases.thin), "fixed_prompt", ("--baseline", str(cases.thin_baseline))),
        ]
        for title, dataset, target, more in runs:
            self.console.print(f"Gate: {title} ...")
            arguments = ("gate", "--dataset", dataset, "--target", f"{_TARGETS}:{target}", "--suite", _SUITE, *more)
            arguments += ("--concurrency", "1", "--no-cache")
            report = self.folder / f"gate-{len(self.found.gates) + 1}.json"
            code, said = self._command(*arguments, "--report", str(report))
            self.found.gates.append(Gated(title, "evalspan " + " ".join(arguments), code, said.strip()))
            check()

    def _measure_baseline(self, cases: Cases) -> None:
        target = f"{_TARGETS}:bad_prompt"
        about = ("--dataset", str(cases.thin), "--target", target, "--suite", _SUITE, "--out", str(cases.thin_baseline))
        self._command("experiment", "run", *about, "--concurrency", "1", "--no-cache")

    def _command(self, *arguments: str) -> tuple[int, str]:
        return evalspan_command(*arguments, folder=self.folder, environment=self._environment)
