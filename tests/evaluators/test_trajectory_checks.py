"""The built-in evaluators of traces: each on what it must pass, fail and refuse to judge, on traces of several dialects."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from evalspan import evaluators
from evalspan.errors import UsageError
from evalspan.evaluators import (
    ArgumentsValid,
    CostBudget,
    ErrorsHandled,
    Grounded,
    HandoffsTo,
    NoRepeatedCalls,
    Score,
    StepBudget,
    ToolCalls,
    Unscored,
    run_evaluator,
)
from evalspan.evaluators.datasets import Example
from evalspan.evaluators.trajectory.trace import Trace, trace_of

from .trajectories import call, recorded, said, span, support, tool

FIND, REFUND = (
    {"name": "find_order", "arguments": {"order": "A1"}},
    {"name": "refund", "arguments": {"order": "A1", "amount": 9}},
)
REFUNDED = {"order": "A1", "amount": 9}


def agent(*tools: tuple[str, Any], answer: str = "Done.") -> Trace:
    """A trace in which these tools were called in order."""
    root = span("invoke_agent a", operation="invoke_agent", agent_name="a", seconds=99, output=json.dumps([said("assistant", answer)]))  # fmt: skip
    return trace_of([root, *(tool(root, name, given, at=1 + at) for at, (name, given) in enumerate(tools))])


def value(result: Score | Unscored) -> tuple[float, bool | None]:
    assert isinstance(result, Score), result
    return round(result.value, 4), result.passed


A, B, C = ("a", {"x": 1}), ("b", {"x": 1}), ("c", {"x": 1})


@pytest.mark.parametrize(
    ("order", "expected", "made", "score"),
    [
        ("exact", "ab", [A, B], (1, True)),
        ("exact", "ab", [B, A], (0.5, False)),
        ("exact", "ab", [A, B, C], (0.6667, False)),
        ("exact", "abc", [A, C], (0.6667, False)),
        ("exact", "", [], (1, True)),
        ("exact", "", [A], (0, False)),
        ("any", "ab", [B, A], (1, True)),
        ("any", "aab", [A, B], (0.6667, False)),
        ("any", "ab", [A, B, C], (0.6667, False)),
        ("subset", "abc", [B], (1, True)),
        ("subset", "abc", [], (1, True)),
        ("subset", "ab", [A, C], (0.5, False)),
        ("subset", "a", [A, A], (0.5, False)),
        ("superset", "ab", [A, C, B], (1, True)),
        ("superset", "ab", [A, C], (0.5, False)),
        ("superset", "", [A], (1, True)),
        ("superset", "aa", [A], (0.5, False)),
    ],
)
def test_orders_of_tool_calls(order: Any, expected: str, made: list[Any], score: tuple[float, bool]) -> None:
    assert value(ToolCalls(list(expected), order=order)(agent(*made))) == score


@pytest.mark.parametrize(
    ("rule", "expected", "actual", "passed"),
    [
        ("exact", {"q": 1}, {"q": 1.0}, True),
        ("exact", {"q": 0.3}, {"q": 0.1 + 0.2}, True),
        ("exact", {"q": 1}, {"q": True}, False),
        ("exact", {"q": 1}, {"q": "1"}, False),
        ("exact", {"q": 1}, {"q": 1, "more": 2}, False),
        ("exact", {"q": {"a": [1, 2]}}, {"q": {"a": [1, 2]}}, True),
        ("exact", {"q": [1, 2]}, {"q": [2, 1]}, False),
        ("exact", {}, {}, True),
        ("exact", {}, {"q": 1}, False),
        ("subset", {"q": 1}, {"q": 1, "more": 2}, True),
        ("subset", {"q": {"a": 1}}, {"q": {"a": 1, "b": 2}}, True),
        ("subset", {"q": [{"a": 1}]}, {"q": [{"a": 1, "b": 2}]}, True),
        ("subset", {"q": 1, "z": 2}, {"q": 1}, False),
        ("subset", {"q": 1}, "no json", False),
        ("ignore", {"q": 1}, {"q": 2}, True),
        (lambda wanted, made: wanted["q"].lower() == made["q"].lower(), {"q": "A1"}, {"q": "a1"}, True),
        (lambda wanted, made: made["q"] > wanted["q"], {"q": 3}, {"q": 2}, False),
    ],
)
def test_rules_for_arguments(rule: Any, expected: Any, actual: Any, passed: bool) -> None:
    result = ToolCalls([{"name": "find", "arguments": expected}], arguments=rule)(agent(("find", actual)))
    assert value(result)[1] is passed


def test_expected_arguments_that_are_left_out_may_be_any() -> None:
    assert value(ToolCalls([{"name": "find"}])(agent(("find", {"q": 1})))) == (1, True)


def test_any_order_finds_the_assignment_that_matches_most() -> None:
    wanted = [{"name": "find", "arguments": {}}, {"name": "find", "arguments": {"q": 1}}]
    made = agent(("find", {"q": 1}), ("find", {"q": 2}))
    assert value(ToolCalls(wanted, order="any", arguments="subset")(made)) == (1, True)
    assert value(ToolCalls(wanted[::-1], order="any", arguments="subset")(made)) == (1, True)


@pytest.mark.parametrize("seed", range(25))
def test_any_order_is_as_good_as_trying_all_assignments(seed: int) -> None:
    drawn = random.Random(seed)
    wanted = [{"name": "t", "arguments": {key: 1 for key in "abc" if drawn.random() < 0.4}} for _ in range(drawn.randint(1, 4))]  # fmt: skip
    made = [("t", {key: 1 for key in "abc" if drawn.random() < 0.6}) for _ in range(drawn.randint(1, 4))]
    fits = [[all(key in given for key in one["arguments"]) for _, given in made] for one in wanted]
    slots = [*range(len(made)), *[None] * len(wanted)]
    best = max(
        sum(at is not None and fits[i][at] for i, at in enumerate(chosen))
        for chosen in itertools.permutations(slots, len(wanted))
    )
    result = ToolCalls(wanted, order="superset", arguments="subset")(agent(*made))
    assert value(result)[0] == round(best / len(wanted), 4)


def test_what_is_wrong_with_tool_calls_is_said_with_the_span() -> None:
    trace = trace_of(support(refund={"order": "A1", "amount": 90}))
    result = ToolCalls([FIND, REFUND])(trace)
    assert isinstance(result, Score)
    (wrong,) = result.details["wrong_arguments"]
    assert (wrong["name"], wrong["expected"], wrong["actual"]) == ("refund", REFUNDED, {"order": "A1", "amount": 90})
    assert wrong["span_id"] == trace.tool_calls[1].span_id
    assert "refund(order=A1, amount=90) instead of refund" in (result.explanation or "")
    missing = ToolCalls([FIND, REFUND])(trace_of(support()))
    assert isinstance(missing, Score)
    assert missing.explanation == "refund was not called"


async def test_expected_tools_come_from_the_example() -> None:
    example = Example("1", "golden", {"question": "?"}, metadata={"expected_tools": [FIND]})
    outcome = await run_evaluator(ToolCalls(), trace=trace_of(support()), example=example)
    assert (outcome.value, outcome.passed) == (1.0, True)
    nothing = await run_evaluator(ToolCalls(), trace=trace_of(support()), example=Example("1", "golden", {}))
    assert "expected_tools" in str(nothing.unscored)
    uninstrumented = await run_evaluator(ToolCalls(), example=example)
    assert "not instrumented" in str(uninstrumented.unscored)


@pytest.mark.parametrize(
    "wrong", [{"order": "sorted"}, {"arguments": "loose"}, {"expected": [{"tool": "x"}]}, {"expected": [3]}]
)
def test_settings_of_tool_calls_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ToolCalls(**wrong)


@pytest.mark.parametrize("dialect", ["mlflow", "openinference", "logfire"])
async def test_built_in_evaluators_read_the_spans_of_other_instrumentors(dialect: str) -> None:
    trace = recorded(dialect)
    expected = [{"name": "find_order", "arguments": {"order_id": "A-17"}}]
    assert value(ToolCalls(expected, order="superset")(trace)) == (1, True)
    assert value(ArgumentsValid()(trace)) == (1, True)
    assert value(StepBudget(20)(trace))[1] is True
    assert value(StepBudget(3)(trace))[1] is False
    assert value(ErrorsHandled()(trace)) == (1, True)
    grounded = Grounded()(trace)
    assert isinstance(grounded, Score)
    assert not grounded.passed  # no tool said anything of a doorbell


SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "amount": {"type": "number", "minimum": 0}},
    "required": ["order"],
}


def offered(arguments: Any, *, name: str = "refund", schema: Any = SCHEMA) -> Trace:
    tools = [{"type": "function", "name": "refund", "description": "", "parameters": schema}]
    asked = call(
        None, [said("user", "x")], [said("assistant", calls=[("1", name, arguments)])],
        attributes={"gen_ai.tool.definitions": json.dumps(tools)},
    )  # fmt: skip
    return trace_of([asked])


@pytest.mark.parametrize(
    ("arguments", "passed", "said_"),
    [
        ({"order": "A1", "amount": 3}, True, "valid"),
        ({"order": "A1", "amount": -3}, False, "amount"),
        ({"order": 7}, False, "order"),
        ({}, False, "required"),
        ("{not json", False, "not JSON"),
        ({"order": "A1", "colour": "red"}, True, "valid"),
    ],
)
def test_arguments_are_held_to_the_definition(arguments: Any, passed: bool, said_: str) -> None:
    result = ArgumentsValid()(offered(arguments))
    assert value(result)[1] is passed
    assert said_ in str(result)


def test_arguments_of_tools_that_were_not_offered_and_unknown_ones_in_strict_mode_are_invalid() -> None:
    result = ArgumentsValid()(offered({"order": "A1"}, name="refnd"))
    assert value(result) == (0, False)
    assert "no such tool" in str(result)
    assert value(ArgumentsValid(strict=True)(offered({"order": "A1", "colour": "red"})))[1] is False


def test_a_definition_that_nobody_can_check_is_no_pass() -> None:
    for schema in ({"type": "nonsense"}, {"$ref": "http://127.0.0.1:9/schema.json"}, None):
        assert isinstance(ArgumentsValid()(offered({"order": "A1"}, schema=schema)), Unscored)
    assert isinstance(ArgumentsValid()(trace_of(support())), Unscored)
    assert isinstance(ArgumentsValid()(agent()), Unscored)


def test_the_definition_is_the_one_that_the_asking_call_carried() -> None:
    strict = {"type": "object", "properties": {"order": {"type": "string"}}, "additionalProperties": False}
    root = span("root", seconds=9)

    def asked(schema: Any, call_id: str, at: float) -> dict[str, Any]:
        tools = json.dumps([{"name": "refund", "parameters": schema}])
        answered = [said("assistant", calls=[(call_id, "refund", REFUNDED)])]
        return call(root, [said("user", "x")], answered, at=at, attributes={"gen_ai.tool.definitions": tools})

    both = trace_of([root, asked(strict, "1", 1), asked(SCHEMA, "2", 2)])
    result = ArgumentsValid()(both)
    assert value(result) == (0.5, False)
    assert isinstance(result, Score)
    assert result.details["span_ids"] == [both.tool_calls[0].span_id]


def test_loops_are_found_and_retries_of_failures_are_none() -> None:
    assert value(NoRepeatedCalls()(agent(A, B, A, B))) == (0.5, False)
    assert value(NoRepeatedCalls()(agent(A, ("a", {"x": 2}), B))) == (1, True)
    assert value(NoRepeatedCalls(allowed=1)(agent(A, A))) == (1, True)
    assert value(NoRepeatedCalls(ignore="a")(agent(A, A, A))) == (1, True)
    assert value(NoRepeatedCalls()(agent())) == (1, True)
    root = span("root", seconds=50)
    tries = [tool(root, "find", {}, "", error="timeout", at=n) for n in range(3)]
    assert value(NoRepeatedCalls()(trace_of([root, *tries]))) == (1, True)
    assert value(NoRepeatedCalls(retries=1)(trace_of([root, *tries])))[1] is False


@pytest.mark.parametrize(
    ("answer", "again", "passed", "label"),
    [
        ("Your refund is on its way.", None, False, "papered over"),
        ("Sorry, I was unable to refund this.", None, True, "admitted"),
        ("Leider konnte ich nichts erstatten.", None, True, "admitted"),
        ("Your refund is on its way.", "ok", True, "retried"),
        ("Your refund is on its way.", {"error": "again"}, False, "papered over"),
        ("", None, True, "passed on"),
    ],
)
def test_a_failed_tool_is_retried_admitted_or_papered_over(answer: str, again: Any, passed: bool, label: str) -> None:
    root = span("ask", seconds=20, output=answer, error="" if answer else "boom")
    rows = [root, tool(root, "refund", {"order": "A1"}, "", error="no permission", at=1)]
    rows += [tool(root, "refund", {"order": "A1"}, again, at=3)] if again is not None else []
    result = ErrorsHandled()(trace_of(rows))
    assert isinstance(result, Score)
    assert (result.passed, result.label) == (passed, label)


def test_an_earlier_success_does_not_hide_a_later_failure() -> None:
    root = span("ask", seconds=20, output="All done.")
    rows = [root, tool(root, "refund", {}, "ok", at=1), tool(root, "refund", {}, "Error: down", at=3)]
    assert value(ErrorsHandled()(trace_of(rows))) == (0, False)


def test_budgets_count_and_refuse_what_is_unknown() -> None:
    trace = trace_of(support(refund=REFUNDED))
    assert value(StepBudget(4)(trace)) == (4, True)
    assert value(StepBudget(3)(trace)) == (4, False)
    assert value(StepBudget(1, kinds=["tool"])(trace)) == (2, False)
    assert value(CostBudget(0.02)(trace)) == (0.02, True)
    assert value(CostBudget(0.01)(trace)) == (0.02, False)
    root = span("root", seconds=9)
    priced, unpriced = call(root, [], [said("assistant", "x")], cost_usd=0.5), call(root, [], [said("assistant", "y")], cost_usd=None)  # fmt: skip
    assert isinstance(CostBudget(1)(trace_of([root, priced, unpriced])), Unscored)
    assert value(CostBudget(0.1)(trace_of([root, priced, unpriced])))[1] is False
    for wrong in (lambda: StepBudget(0), lambda: CostBudget(0), lambda: CostBudget(float("nan")), lambda: HandoffsTo()):
        with pytest.raises(UsageError):
            wrong()


def test_handoffs_are_in_order_and_exactly_means_no_other() -> None:
    root = span("invoke_workflow w", operation="invoke_workflow", seconds=30)
    names = ["triage", "Refund Agent", "Legal"]
    agents = [span(f"invoke_agent {name}", root, operation="invoke_agent", agent_name=name, at=3 * at) for at, name in enumerate(names)]  # fmt: skip
    trace = trace_of([root, *agents])
    assert value(HandoffsTo("refund_agent")(trace)) == (1, True)
    assert value(HandoffsTo("refund agent", "legal")(trace)) == (1, True)
    assert value(HandoffsTo("legal", "refund agent")(trace)) == (0.5, False)
    assert value(HandoffsTo("refund agent", exactly=True)(trace)) == (0.5, False)
    assert value(HandoffsTo("refund agent", "legal", exactly=True)(trace)) == (1, True)


def test_the_answer_is_held_to_what_tools_returned() -> None:
    root = span("ask", seconds=9, input="What does it cost?", output="It costs 30 euros.")
    good = trace_of([root, tool(root, "price", {}, "The doorbell costs 30 euros.", at=1)])
    bad = trace_of([root, tool(root, "price", {}, "The doorbell costs 80 euros.", at=1)])
    assert value(Grounded()(good))[1] is True
    assert value(Grounded()(bad))[1] is False
    assert isinstance(Grounded()(trace_of([root])), Unscored)


@pytest.mark.parametrize(
    "one",
    [
        ToolCalls(),
        ArgumentsValid(),
        NoRepeatedCalls(),
        ErrorsHandled(),
        StepBudget(9),
        CostBudget(1),
        HandoffsTo("a"),
        Grounded(),
    ],
    ids=lambda one: one.name,
)
async def test_no_evaluator_of_traces_passes_what_was_never_recorded(one: Any) -> None:
    assert one.unit == "trace"
    assert one.name in repr(one)
    for nothing in (None, trace_of([])):
        outcome = await run_evaluator(one, trace=nothing)
        assert outcome.unscored
        assert outcome.passed is None


def test_every_setting_that_moves_scores_moves_the_version() -> None:
    made: list[Any] = [
        ToolCalls(), ToolCalls(order="any"), ToolCalls(arguments="subset"), ToolCalls(["a"]), ToolCalls(ignore=["a"]),
        ToolCalls(arguments=lambda a, b: a == b), StepBudget(3), StepBudget(4), StepBudget(3, kinds=["tool"]),
        CostBudget(1), CostBudget(2), NoRepeatedCalls(), NoRepeatedCalls(allowed=1), NoRepeatedCalls(retries=0),
        HandoffsTo("a"), HandoffsTo("b"), HandoffsTo("a", exactly=True), ArgumentsValid(), ArgumentsValid(strict=True),
        Grounded(), Grounded(coverage=0.5), ErrorsHandled(), ErrorsHandled(admits=lambda text: "no" in text),
    ]  # fmt: skip
    assert len({(type(one).__name__, one.version) for one in made}) == len(made)
    assert ToolCalls().version == ToolCalls().version


def test_the_unit_follows_from_the_parameters_and_what_contradicts_it_is_refused() -> None:
    @evaluators.evaluator
    def short(trace: Any) -> bool:
        return len(trace.steps) < 5

    @evaluators.evaluator
    def polite(conversation: Any, output: Any) -> bool:
        return bool(output)

    @evaluators.evaluator(unit="trace")
    def by_answer(output: Any, context: Any) -> bool:
        return output in context

    assert (short.unit, polite.unit, by_answer.unit) == ("trace", "conversation", "trace")
    assert short.using(name="other").unit == "trace"
    with pytest.raises(UsageError, match="judges a span"):
        evaluators.evaluator(unit="span")(lambda trace: True)
    with pytest.raises(UsageError, match="unit"):
        evaluators.evaluator(unit="session")  # type: ignore[call-overload]
