"""The process in which a replay runs: the operator's target and evaluators, apart from the service; JSON in, a record out."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from ..errors import EvalspanError
from ..evaluators.datasets import Dataset, Example
from ..evaluators.experiments.identity import record_of
from ..evaluators.experiments.run import RunSettings, run_cases
from ..evaluators.experiments.stdout_guard import data_stdout
from ..evaluators.experiments.target import load_target
from ..evaluators.loading import load_suite

ANSWER_SECONDS, RUN_SECONDS = 60.0, 240.0


class Work(msgspec.Struct, frozen=True):
    """What is asked: examples as lines of a dataset, the target, the suite ('' for none), the name of the run."""

    examples: list[dict[str, Any]]
    target: str
    suite: str = ""
    name: str = ""


def run(work: Work) -> dict[str, Any]:
    """The record of the run as plain data; `error` and `hint` when it cannot run."""
    try:
        target = load_target(work.target)
        suite = load_suite(work.suite) if work.suite else []
        examples = [Example.from_json({k: v for k, v in item.items() if k != "content_hash"}) for item in work.examples]
    except EvalspanError as error:
        return {"error": str(error), "hint": error.hint}
    settings = RunSettings(timeout_s=ANSWER_SECONDS, budget_s=RUN_SECONDS, golden_budget_s=RUN_SECONDS)
    results = run_cases(examples, target, suite, settings)
    dataset = Dataset(name="replay", examples=examples)
    return {"record": msgspec.to_builtins(record_of(dataset, target, suite, results, name=work.name), enc_hook=str)}


def main() -> None:
    """Reads one piece of work from stdin, writes its outcome to stdout; what the target prints goes to stderr."""
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    with data_stdout() as out:
        out.write(msgspec.json.encode(run(work), enc_hook=str).decode())


if __name__ == "__main__":
    main()
