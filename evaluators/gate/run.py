"""Runs the gate from names: loads dataset, target, suite and baseline, runs the cases, decides, and stores nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from ...errors import UsageError
from ..contract import Evaluator
from ..datasets import Dataset, Example
from ..experiments.block_os_exit import block_os_exit
from ..experiments.identity import record_of
from ..experiments.record import CaseResult, Experiment
from ..experiments.run import RunSettings, run_cases
from ..experiments.stdout_guard import stdout_to_stderr
from ..experiments.target import Target, load_target
from ..loading import load_suite
from .decide import Policy, decide
from .repeat import at_the_threshold, settle
from .report import GateReport, Reason


class GateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to gate, by name, and how."""

    dataset: Dataset
    target: str
    suite: str
    baseline: Experiment | None = None
    baseline_name: str = ""
    prompts: tuple[str, ...] = ()
    """Files of prompts that no case may occur in; the prompts of the suite's judges are checked in any case."""
    training: tuple[str, ...] = ()
    flag_contamination: bool = False
    """Only say which cases occur in a prompt or in training data, instead of failing."""
    policy: Policy = Policy()
    settings: RunSettings = RunSettings()
    repeats: int = 3
    """How often a case at the threshold is run in all."""
    model: str = ""
    prompt_version: str = ""
    name: str = ""


def run_gate(request: GateRequest, progress: Callable[[CaseResult], None] | None = None) -> GateReport:
    """The gate's report. Raises UsageError when the target, the suite or the baseline cannot be loaded."""
    with importing():
        target = load_target(request.target, model=request.model, prompt_version=request.prompt_version)
        suite = load_suite(request.suite)
    contamination = _contamination(request, suite)
    results = _results(request, target, suite, progress)
    experiment = record_of(request.dataset, target, suite, results, name=request.name)
    report = decide(
        request.dataset,
        experiment,
        request.policy,
        baseline=request.baseline,
        baseline_name=request.baseline_name,
        contamination=() if request.flag_contamination else contamination,
    )
    if not request.flag_contamination:
        return report
    return msgspec.structs.replace(report, notes=[*report.notes, *(reason.message for reason in contamination)])


@contextmanager
def importing() -> Iterator[None]:
    """Runs imports of the user's code: fresh from source, never ending the process, what they print on stderr.

    A module that calls sys.exit while it is imported is bad input, not success: UsageError.
    """
    before = sys.dont_write_bytecode
    # Compiled files are matched by whole seconds: an edit in the same second would run the old code.
    sys.dont_write_bytecode = True
    try:
        with block_os_exit(), stdout_to_stderr():
            yield
    except SystemExit as error:
        raise UsageError(
            f"the code under test ended the process ({error.code!r}) while it was imported",
            hint='put what runs as a program under `if __name__ == "__main__":`',
        ) from error
    finally:
        sys.dont_write_bytecode = before


def _contamination(request: GateRequest, suite: list[Evaluator]) -> list[Reason]:
    """A case that stands in a prompt or in training data measures memory: it may not decide."""
    from ..datasets.contamination import find_overlaps, judge_prompts, read_source

    sources = [read_source(path) for path in (*request.prompts, *request.training)]
    found = find_overlaps(_chosen(request), [*sources, *judge_prompts(suite)])
    by_source: dict[str, list[str]] = {}
    for overlap in found:
        by_source.setdefault(overlap.source, []).append(overlap.example_id)
    return [
        Reason("failed", "contaminated", f"{len(ids)} cases occur in {source}: {ids[0]}", "replace the cases", ids)
        for source, ids in by_source.items()
    ]


def _chosen(request: GateRequest) -> list[Example]:
    chosen = request.policy.partitions
    return [example for example in request.dataset if not chosen or example.partition in chosen]


def _results(
    request: GateRequest,
    target: Target,
    suite: list[Evaluator],
    progress: Callable[[CaseResult], None] | None,
) -> list[CaseResult]:
    examples = _chosen(request)
    results = run_cases(examples, target, suite, request.settings, progress=progress)
    unsure = {result.example_id for result in results if at_the_threshold(result, suite)}
    if request.repeats < 2 or not unsure:
        return results
    settings = msgspec.structs.replace(request.settings, first_repeat=1, repeats=request.repeats - 1)
    again = run_cases([one for one in examples if one.id in unsure], target, suite, settings)
    return [
        settle(first, [one for one in again if one.example_id == first.example_id])
        if first.example_id in unsure
        else first
        for first in results
    ]
