"""Runs dataset cases as pytest tests with the gate's verdicts; does nothing until it is asked to.

    pytest regression.jsonl --evalspan-target app:answer --evalspan-suite app:suite

or in a test file, where the target and suite may be named too:

    @pytest.mark.evalspan(dataset="regression.jsonl", target="app:answer", suite="app:suite")
    def test_regression(evalspan_case):
        evalspan_case.check()

A case that could not be judged fails: a skipped test would look like a pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .gate.pytest_cases import Case, Cases

OPTIONS = {
    "target": "what is under test: module:callable, a URL or a recorded file",
    "suite": "the evaluators: module:name",
    "partition": "only the cases of this partition",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, each also an ini setting: evalspan_target, evalspan_suite, evalspan_partition."""
    group = parser.getgroup("evalspan", "dataset cases as tests")
    for name, what in OPTIONS.items():
        group.addoption(f"--evalspan-{name}", default=None, help=f"dataset cases: {what}")
        parser.addini(f"evalspan_{name}", f"dataset cases: {what}", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line(
        "markers", "evalspan(dataset, target=None, suite=None): one test per case of a dataset, by evalspan_case"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A .jsonl file that is named on the command line is a dataset, once a target is named too."""
    if file_path.suffix != ".jsonl" or not _option(parent.config, "target"):
        return None
    named = {str(Path(str(argument).split("::")[0]).resolve()) for argument in parent.config.args}
    return DatasetFile.from_parent(parent, path=file_path) if str(file_path.resolve()) in named else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per case for a test that takes `evalspan_case`."""
    if "evalspan_case" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("evalspan")
    if marker is None or "dataset" not in marker.kwargs:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} needs @pytest.mark.evalspan(dataset=FILE)")
    cases = _cases(metafunc.config, marker.kwargs)
    metafunc.parametrize("evalspan_case", cases.all(), ids=lambda case: case.name)


class DatasetFile(pytest.File):
    """A dataset file: an item per case, and one for the set itself (its approvals)."""

    def collect(self) -> Iterator[pytest.Item]:
        """The items."""
        for case in _cases(self.config, {"dataset": self.path}).all():
            yield CaseItem.from_parent(self, name=case.name, case=case)


class CaseItem(pytest.Item):
    """One case as a test."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def runtest(self) -> None:
        """Asks the target, judges, and fails unless it passed."""
        self.case.check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The verdict in words; what is no verdict keeps its traceback."""
        return str(excinfo.value) if excinfo.errisinstance(AssertionError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the case stands in its file."""
        return self.path, self.case.line, self.name


def _cases(config: pytest.Config, named: Mapping[str, Any]) -> Cases:
    from ..errors import EvalspanError
    from .gate.pytest_cases import Cases

    target = named.get("target") or _option(config, "target")
    suite = named.get("suite") or _option(config, "suite")
    if not target or not suite:
        raise pytest.UsageError(
            "evalspan: name what to test: --evalspan-target module:callable --evalspan-suite module:name"
        )
    try:
        return Cases(Path(named["dataset"]), str(target), str(suite), _option(config, "partition"))
    except EvalspanError as error:
        raise pytest.UsageError(f"evalspan: {error}. {error.hint}") from error


def _option(config: pytest.Config, name: str) -> str:
    return str(config.getoption(f"evalspan_{name}") or config.getini(f"evalspan_{name}") or "")
