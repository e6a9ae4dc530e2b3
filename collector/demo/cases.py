"""The review between an exported failure and a case that may gate: what the edit broke, and what was never right.

In a team people do this (`evalspan dataset review`). Here the agreed answers and a replay do: a failure that the old
prompt gets right and the edited one gets wrong, asked again without chance, was caused by the edit.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

from ...evaluators.datasets import Dataset, Example
from ...evaluators.runner import run_suite
from .assistant import BAD_PROMPT, GOOD_PROMPT, Assistant
from .found import Cases
from .knowledge import known_answer
from .suite import SUITE, question_of

Cause = Literal["edit", "weakness", "flaky"]
_REVIEWER = "support-team"
_THIN = 6


def review_cases(exported: Path, folder: Path, assistant: Assistant) -> Cases:
    """Replays every exported failure on both prompts and writes what each of them turned out to be."""
    failures = Dataset.load(exported).examples
    causes = {example.id: _cause(example, assistant) for example in failures}
    cases = Dataset("regression", "question answering", [_reviewed(e) for e in failures if causes[e.id] == "edit"])
    aside = Dataset(
        "set-aside", "question answering", [_noted(e, causes[e.id]) for e in failures if causes[e.id] != "edit"]
    )
    thin = Dataset("thin", "question answering", [_as_distribution(e) for e in failures[:_THIN]])
    result = Cases(
        path=folder / "regression.jsonl",
        set_aside=folder / "set-aside.jsonl",
        thin=folder / "thin.jsonl",
        thin_baseline=folder / "thin-baseline.json",
        exported=len(failures),
        regression=len(cases),
        weaknesses=sum(cause == "weakness" for cause in causes.values()),
        flaky=sum(cause == "flaky" for cause in causes.values()),
    )
    for dataset, path in ((cases, result.path), (aside, result.set_aside), (thin, result.thin)):
        dataset.save(path)
    return result


def _cause(example: Example, assistant: Assistant) -> Cause:
    if not _passes(example, assistant, GOOD_PROMPT):
        return "weakness"
    return "flaky" if _passes(example, assistant, BAD_PROMPT) else "edit"


def _passes(example: Example, assistant: Assistant, prompt: str) -> bool:
    question = question_of(example.input)
    answer = assistant.answer(question, prompt)
    outcomes = asyncio.run(
        run_suite(
            SUITE,
            input=example.input,
            output=answer["output"],
            context=answer["context"],
            expected=known_answer(question),
        )
    )
    return all(outcome.passed is not False for outcome in outcomes) and any(outcome.passed for outcome in outcomes)


def _reviewed(example: Example) -> Example:
    about = {
        "root_cause": "the system prompt was rewritten with a holiday greeting",
        "fix": "the system prompt without the greeting",
        "reviewers": [_REVIEWER],
        "review": "done",
    }
    return _changed(example, expected_output=known_answer(question_of(example.input)), **about)


def _noted(example: Example, cause: Cause) -> Example:
    why = "the old prompt fails it too" if cause == "weakness" else "passed when it was asked again"
    return _changed(example, expected_output=known_answer(question_of(example.input)), reason=why)


def _as_distribution(example: Example) -> Example:
    changed = _changed(example, expected_output=known_answer(question_of(example.input)), review="done")
    changed.partition = "distribution"
    return changed


def _changed(example: Example, *, expected_output: str | None, **about: Any) -> Example:
    item = example.to_json()
    return Example.from_json({**item, "expected_output": expected_output, "metadata": {**example.metadata, **about}})
