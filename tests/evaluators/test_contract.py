"""The evaluator contract and its safety valve: what a user's function may be, and what never passes."""

import asyncio
import functools
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from evalspan.errors import UsageError
from evalspan.evaluators import Score, Unscored, evaluator, run_evaluator, run_suite
from evalspan.evaluators.evaluation_rows import evaluation_row
from evalspan.evaluators.loading import load_object, load_suite
from evalspan.evaluators.runner import EvaluationResult, check_suite


@evaluator(name="length", version="1", threshold=3)
def length(output):
    return len(output)


async def outcome(function, **arguments):
    return await run_evaluator(evaluator(name="e", version="1")(function), output="x", **arguments)


async def test_a19_a_decorated_function_is_still_the_function_and_an_evaluator():
    assert length("four") == 4
    assert length(output="four") == 4
    assert await length.evaluate(output="four") == Score(4.0, passed=True)
    assert (length.name, length.version, length.direction, length.threshold) == ("length", "1", "higher", 3)


async def test_b26_async_functions_partials_and_callable_objects_are_evaluators():
    async def slow(output, expected):
        return output == expected

    class Same:
        def __call__(self, output, expected):
            return Score(1.0 if output == expected else 0.0, label="same")

    def scaled(output, *, by):
        return len(output) * by

    by_two = evaluator(functools.partial(scaled, by=2))
    assert by_two.name == "scaled"
    assert (await run_evaluator(by_two, output="ab")).value == 4.0
    assert (await run_evaluator(evaluator(slow), output="a", expected="a")).passed is True
    assert (await run_evaluator(evaluator(Same()), output="a", expected="b")).value == 0.0


async def test_lower_is_better_passes_below_the_threshold():
    lower = evaluator(name="l", version="1", direction="lower", threshold=0.1)(lambda output: float(output))
    assert (await run_evaluator(lower, output="0.1")).passed is True
    assert (await run_evaluator(lower, output="0.2")).passed is False


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (math.nan, "not a finite number"),
        (math.inf, "not a finite number"),
        (np.float64("nan"), "not a finite number"),
        (None, "returned NoneType"),
        ("0.9", "returned str"),
        ({"score": 1}, "returned dict"),
        (Score(math.nan, passed=True), "not a finite number"),
        (Score(None, passed=True), "not a finite number"),  # type: ignore[arg-type]
        (Unscored("no context"), "no context"),
    ],
)
async def test_b23_what_is_not_a_number_is_unscored_and_never_passes(returned, reason):
    got = await outcome(lambda output: returned)
    assert got.value is None
    assert got.passed is None
    assert reason in got.unscored


async def test_b23_an_evaluator_that_raises_is_unscored_with_its_reason():
    def broken(output):
        raise ValueError("no such column")

    assert (await outcome(broken)).unscored == "ValueError: no such column"


async def test_b23_an_evaluator_that_exits_does_not_take_the_run_with_it():
    def leaves(output):
        raise SystemExit("bye")

    assert (await outcome(leaves)).unscored == "SystemExit: bye"


async def test_b33_an_evaluator_that_hangs_is_unscored_after_its_time():
    async def hangs(output):
        await asyncio.sleep(60)

    assert (await outcome(hangs, timeout_s=0.05)).unscored == "timed out after 0.05 s"


async def test_b30_sync_evaluators_run_beside_each_other_and_leave_the_loop_free():
    barrier = __import__("threading").Barrier(3)

    def waits(output):
        return barrier.wait(timeout=20) >= 0  # passes only when all three are inside at the same time

    suite = [evaluator(name=str(n), version="1")(waits) for n in range(3)]
    assert [one.passed for one in await run_suite(suite, output="")] == [True] * 3


async def test_b29_evaluators_gathered_together_each_see_their_own_arguments():
    suite = [evaluator(name=f"is{n}", version="1")(lambda output, n=n: float(n)) for n in (1, 2, 3)]
    assert [one.value for one in await run_suite(suite, output="")] == [1.0, 2.0, 3.0]


async def test_b42_numpy_results_become_plain_json():
    got = await outcome(lambda output: Score(np.float32(0.5), passed=np.bool_(True), details={"n": np.int64(3)}))
    assert json.loads(__import__("msgspec").json.encode(got))["details"] == {"n": 3}
    assert got.passed is True
    assert (await outcome(lambda output: np.bool_(True))).passed is True


def test_a_misspelt_parameter_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="'outptu'") as caught:
        evaluator(lambda outptu: 1.0)
    assert "did you mean 'output'" in caught.value.hint


def test_edited_code_is_a_new_version_of_the_metric():
    def one(output):
        return 1.0

    def other(output):
        return 0.5

    assert evaluator(one).version == evaluator(one).version != evaluator(other).version
    assert evaluator(functools.partial(one)).version != evaluator(other).version


def test_b24_empty_suites_and_names_twice_are_refused():
    with pytest.raises(UsageError, match="empty"):
        check_suite([])
    with pytest.raises(UsageError, match="two evaluators named 'length'"):
        check_suite([length, length])
    with pytest.raises(UsageError, match="not an evaluator"):
        check_suite([len])


def test_a19_a_suite_is_loaded_from_the_working_directory_and_errors_say_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite_a.py").write_text(
        "from evalspan.evaluators import evaluator\n@evaluator\ndef short(output): return len(output) < 9\n"
        "checks = [short]\n"
    )
    (tmp_path / "needs_more.py").write_text("import a_package_nobody_has\n")
    (tmp_path / "breaks.py").write_text("1 / 0\n")
    assert load_suite("suite_a:checks")[0].name == "short"
    assert load_object(f"{tmp_path}/suite_a.py:checks")
    for reference, message, hint in [
        ("suite_b:checks", "no module 'suite_b'", "did you mean 'suite_a'"),
        ("suite_a:check", "has no 'check'", "did you mean 'checks'"),
        ("needs_more:x", "it imports 'a_package_nobody_has'", "pip install a_package_nobody_has"),
        ("breaks:x", r"breaks.py:1: ZeroDivisionError", ""),
        ("suite_a", "does not name an object", "module:name"),
    ]:
        with pytest.raises(UsageError, match=message) as caught:
            load_object(reference)
        assert hint in caught.value.hint


def test_a_target_named_as_a_module_of_python_replaces_it_for_nobody(tmp_path):
    (tmp_path / "statistics.py").write_text("import fractions_of_mine\ndef f(given): return fractions_of_mine.ONE\n")
    (tmp_path / "fractions_of_mine.py").write_text("ONE = 'one'\n")
    program = (
        "import sys\n"
        "from evalspan.evaluators.loading import load_object\n"
        "from evalspan.errors import UsageError\n"
        "before = set(sys.modules)\n"
        "assert load_object('statistics.py:f')({}) == 'one'\n"
        "assert load_object('./statistics.py:f') is load_object('statistics.py:f')\n"
        "assert 'statistics' in before or 'statistics' not in sys.modules\n"
        "import statistics\n"
        "assert statistics.mean([1, 3]) == 2\n"
        "try: load_object('statistics:f')\n"
        "except UsageError as error: assert 'statistics.py:f' in error.hint, error.hint\n"
        "else: raise AssertionError\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rows_overwrite_themselves_on_retry_and_carry_dimensions_and_weights():
    span = {"trace_id": "a" * 32, "span_id": "b" * 16, "service": "shop", "prompt_version": "v2", "sample_weight": 20.0}
    judged = EvaluationResult("tone", "1", 4.0, passed=True, details={"judge_model": "m", "n": 3}, cost_usd=0.01)
    row = evaluation_row(judged, project="p", source="llm_judge", span=span, evaluation_weight=2.0)
    again = evaluation_row(judged, project="p", source="llm_judge", span=span, evaluation_weight=2.0)
    assert row["evaluation_id"] == again["evaluation_id"]
    assert row["sample_weight"] == 40.0
    assert (row["service"], row["prompt_version"], row["judge_model"]) == ("shop", "v2", "m")
    assert row["passed"] == "pass"
    assert row["metadata"]["n"] == "3"
    others = [
        evaluation_row(judged, project="q", source="llm_judge", span=span),
        evaluation_row(judged, project="p", source="human", span=span),
        evaluation_row(judged, project="p", source="llm_judge", span=span, repeat=1),
        evaluation_row(EvaluationResult("tone", "2", 4.0), project="p", source="llm_judge", span=span),
    ]
    assert len({row["evaluation_id"], *(other["evaluation_id"] for other in others)}) == 5
    assert evaluation_row(EvaluationResult("tone", "1", unscored="timed out"))["passed"] == "unknown"
