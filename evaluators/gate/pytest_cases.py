"""The cases behind the pytest plugin: each asked and judged as the gate does, when its test runs."""

from __future__ import annotations

from pathlib import Path

from ..datasets import Dataset, Example
from ..experiments.case_verdict import describe
from ..experiments.record import CaseResult
from ..experiments.run import RunSettings, run_cases
from ..experiments.target import load_target
from ..loading import load_suite
from .repeat import at_the_threshold, settle
from .report import Reason
from .run import importing

REPEATS_AT_THE_THRESHOLD = 2


class Cases:
    """The cases of one dataset under one target and suite, loaded once."""

    def __init__(self, dataset: Path, target: str, suite: str, partition: str = "") -> None:
        self.dataset = Dataset.load(dataset)
        self.partition = partition
        with importing():
            self.target = load_target(target)
            self.suite = load_suite(suite)

    def all(self) -> list[Case]:
        """A case per example, first the set itself where something about it keeps it from gating."""
        examples = self.dataset.partition(self.partition) if self.partition else self.dataset.examples
        lines = {example.id: number for number, example in enumerate(self.dataset.examples)}
        trouble = self._trouble(examples)
        own = [Case(self, None, 0, trouble)] if trouble else []
        return own + [Case(self, example, lines[example.id]) for example in examples]

    def _trouble(self, examples: list[Example]) -> Reason | None:
        if not examples:
            return Reason("inconclusive", "empty", f"{self.dataset.path} holds no example", "add examples")
        why = self.dataset.why_unapproved() if any(one.partition == "golden" for one in examples) else None
        return Reason("failed", "unapproved", why, f"evalspan dataset approve {self.dataset.path}") if why else None

    def ask(self, example: Example) -> CaseResult:
        """The case's result, asked again when it lies at a threshold."""
        (first,) = run_cases([example], self.target, self.suite)
        if not at_the_threshold(first, self.suite):
            return first
        settings = RunSettings(first_repeat=1, repeats=REPEATS_AT_THE_THRESHOLD)
        return settle(first, run_cases([example], self.target, self.suite, settings))


class Case:
    """What a test holds: `check()` asks and judges; `result` is the full result once it was."""

    def __init__(self, cases: Cases, example: Example | None, line: int, trouble: Reason | None = None) -> None:
        self._cases, self._trouble = cases, trouble
        self.example = example
        self.line = line
        self.name = example.id if example else "dataset"
        self.result: CaseResult | None = None

    def check(self) -> CaseResult | None:
        """Raises AssertionError, with the verdict in words, unless the case passed."""
        if self.example is None:
            # Raised, not asserted: `python -O` takes assertions away.
            if self._trouble is not None:
                raise AssertionError(f"{self._trouble.verdict}: {self._trouble.message}. {self._trouble.hint}")
            return None
        result = self.result = self._cases.ask(self.example)
        if result.status != "passed":
            raise AssertionError(_in_words(result))
        return result


def _in_words(result: CaseResult) -> str:
    lines = [f"{result.status}: {result.failure_reason}"]
    if result.root_cause:
        lines.append(f"root cause of the first time: {result.root_cause}")
    lines += [f"input:  {result.input}", f"output: {result.model_output}"]
    return "\n".join(lines + [f"{one.name}: {one.unscored or describe(one)}" for one in result.metrics])
