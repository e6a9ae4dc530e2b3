"""Offline an evaluator of traces sees what the target did: captured in process, per case, whoever instruments it."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

import evalspan
from evalspan.evaluators import Score, ToolCalls, Unscored, evaluator
from evalspan.evaluators.datasets import Example
from evalspan.evaluators.experiments.run import RunSettings, run_cases
from evalspan.evaluators.experiments.target import Identity, Target
from evalspan.evaluators.trajectory.case_run import CaseSettings, run_case
from evalspan.evaluators.trajectory.replay import replayable
from evalspan.evaluators.trajectory.simulated_user import SimulatedUser

PROVIDER = TracerProvider()
FOREIGN = PROVIDER.get_tracer("openinference.instrumentation.some_agent")


def target(function: Any) -> Target:
    return Target(function, Identity("test:target"))


def case(question: str = "Where is A1?", **more: Any) -> Example:
    return Example(more.pop("id", question), "distribution", {"question": question, **more.pop("input", {})}, **more)


def find_order(order: str) -> dict[str, str]:
    """The tool as another instrumentor tells of it."""
    with FOREIGN.start_as_current_span("find_order") as span:
        span.set_attribute("openinference.span.kind", "TOOL")
        span.set_attribute("tool.name", "find_order")
        span.set_attribute("input.value", json.dumps({"order": order}))
        span.set_attribute("output.value", json.dumps({"status": "shipped"}))
        return {"status": "shipped"}


def agent(given: dict[str, Any]) -> str:
    with FOREIGN.start_as_current_span("support") as span:
        span.set_attribute("openinference.span.kind", "AGENT")
        span.set_attribute("input.value", given["question"])
        order = given["question"].split()[-1].strip("?")
        answer = f"{order}: {find_order(order)['status']}"
        span.set_attribute("output.value", answer)
        return answer


@evaluator(name="seen")
def seen(trace: Any, input: Any, output: Any, context: Any) -> Score:  # noqa: A002
    return Score(len(trace.tool_calls), details={"question": input, "answer": trace.answer, "output": output, "context": context, "orders": [call.arguments["order"] for call in trace.tool_calls]})  # fmt: skip


def test_spans_of_a_foreign_instrumentor_are_captured_per_case_while_many_run() -> None:
    examples = [
        case(f"Where is A{n}?", expected_tools=[{"name": "find_order", "arguments": {"order": f"A{n}"}}])
        for n in range(40)
    ]
    results = run_cases(examples, target(agent), [seen, ToolCalls()], RunSettings(concurrency=16))
    for number, result in enumerate(results):
        one, tools = result.metrics
        assert one.details["orders"] == [f"A{number}"]
        assert (one.details["question"], one.details["answer"]) == (f"Where is A{number}?", f"A{number}: shipped")
        assert "shipped" in one.details["context"]
        assert tools.passed is True
        assert result.tool_calls == [{"name": "find_order", "arguments": {"order": f"A{number}"}, "result": {"status": "shipped"}}]  # fmt: skip
        assert result.trace_id


async def test_async_targets_and_their_threads_and_tasks_stay_with_their_case() -> None:
    async def busy(given: dict[str, Any]) -> str:
        order = given["question"].split()[-1].strip("?")
        await asyncio.sleep(0.01)
        await asyncio.gather(*(asyncio.to_thread(find_order, order) for _ in range(3)))
        carried = context.get_current()

        def work() -> None:
            token = context.attach(carried)
            find_order(order)
            context.detach(token)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return "done"

    runs = await asyncio.gather(*(run_case(target(busy), case(f"Where is B{n}?"), 10) for n in range(10)))
    for number, run in enumerate(runs):
        assert run.trace is not None
        assert [call.arguments for call in run.trace.tool_calls] == [{"order": f"B{number}"}] * 4


async def test_a_provider_that_the_target_makes_itself_is_captured() -> None:
    def makes_its_own(given: dict[str, Any]) -> str:
        with TracerProvider().get_tracer("mine").start_as_current_span("chat") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            said = [{"role": "assistant", "parts": [{"type": "text", "content": "hello"}]}]
            span.set_attribute("gen_ai.output.messages", json.dumps(said))
        return "hello"

    run = await run_case(target(makes_its_own), case(), 10)
    assert run.trace is not None
    assert run.trace.answer == "hello"


async def test_a_span_that_ends_after_the_answer_is_waited_for() -> None:
    def streams(given: dict[str, Any]) -> str:
        span = FOREIGN.start_span("late", attributes={"openinference.span.kind": "TOOL", "tool.name": "late"})
        threading.Timer(0.1, span.end).start()
        return "answer"

    run = await run_case(target(streams), case(), 10)
    assert run.trace is not None
    assert (run.trace.complete, [call.name for call in run.trace.tool_calls]) == (True, ["late"])


def test_what_nothing_instruments_has_no_trace_and_no_pass() -> None:
    (result,) = run_cases([case(expected_tools=[])], target(lambda given: "x"), [ToolCalls()], RunSettings())
    assert "not instrumented" in str(result.metrics[0].unscored)
    assert result.passed is None


@pytest.mark.parametrize(
    "own",
    [
        {"tool_calls": [{"name": "find_order", "arguments": {"order": "A1"}, "result": "shipped"}]},
        {
            "messages": [
                {"role": "user", "content": "Where?"},
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "find_order", "arguments": '{"order": "A1"}'}}]},
                {"role": "tool", "tool_call_id": "1", "content": "shipped"},
                {"role": "assistant", "content": "It has shipped."},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "Where?"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "find_order", "input": {"order": "A1"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "shipped"}]},
            ]
        },
        {"spans": [{"span_id": "1", "name": "execute_tool find_order", "operation": "execute_tool", "tool_name": "find_order", "input": '{"order": "A1"}', "output": "shipped"}]},
    ],
    ids=["tool calls", "messages of OpenAI", "messages of Anthropic", "spans"],
)  # fmt: skip
async def test_a_target_may_return_its_own_steps(own: dict[str, Any]) -> None:
    run = await run_case(target(lambda given: {"output": "It has shipped.", **own}), case(), 10)
    assert run.trace is not None
    assert [(call.name, call.arguments, call.result) for call in run.trace.tool_calls] == [("find_order", {"order": "A1"}, "shipped")]  # fmt: skip
    assert run.trace.answer == ("" if "spans" in own else "It has shipped.")


@pytest.mark.parametrize("own", [{"tool_calls": "x"}, {"messages": [1, None]}, {"spans": [{"span_id": 1, "start_time": "never"}]}, {"tool_calls": [{"nme": 1}]}])  # fmt: skip
async def test_steps_that_are_none_cost_no_case(own: dict[str, Any]) -> None:
    run = await run_case(target(lambda given: {"output": "x", **own}), case(), 10)
    assert run.answer.output == "x"


async def test_the_turns_of_a_case_are_asked_one_after_the_other_with_all_that_was_said() -> None:
    asked: list[dict[str, Any]] = []

    def chat(given: dict[str, Any]) -> str:
        asked.append(given)
        return agent(given)

    example = Example("c", "golden", {"turns": ["Where is A1?", "And where is A2?"], "language": "en"})
    run = await run_case(target(chat), example, 10)
    assert [one["question"] for one in asked] == ["Where is A1?", "And where is A2?"]
    assert [message["content"] for message in asked[1]["messages"]] == [
        "Where is A1?",
        "A1: shipped",
        "And where is A2?",
    ]
    assert len({one["conversation_id"] for one in asked}) == 1
    assert [one["language"] for one in asked] == ["en", "en"]
    assert run.answer.output == "A2: shipped"
    assert run.conversation is not None
    assert [(turn.question, turn.answer) for turn in run.conversation.turns] == [("Where is A1?", "A1: shipped"), ("And where is A2?", "A2: shipped")]  # fmt: skip
    assert run.trace is not None
    assert len(run.trace.tool_calls) == 2


def test_evaluators_of_conversations_get_them_and_those_of_traces_the_whole() -> None:
    @evaluator(name="turns")
    def turns(conversation: Any, input: Any, output: Any) -> Score:  # noqa: A002
        return Score(len(conversation.turns), explanation=f"{input} -> {output}")

    example = Example("c", "distribution", {"turns": ["Where is A1?", "And where is A2?"]})
    (result,) = run_cases([example], target(agent), [turns, seen], RunSettings())
    assert [one.value for one in result.metrics] == [2, 2]
    assert result.metrics[0].explanation == "Where is A1? -> A2: shipped"
    (single,) = run_cases([case()], target(agent), [turns], RunSettings())
    assert single.metrics[0].value == 1


@pytest.mark.parametrize("wrong", [{"turns": []}, {"turns": "hello"}, {"turns": [1]}, {"user": {}}, {"user": {"goal": "x", "max_turns": 0}}, {"user": {"goal": "x", "mood": "y"}}])  # fmt: skip
def test_turns_and_users_that_mean_nothing_are_a_failed_case_that_says_why(wrong: dict[str, Any]) -> None:
    (result,) = run_cases([Example("1", "golden", wrong)], target(agent), [seen], RunSettings())
    assert result.passed is not True
    assert "turns" in str(result.failure_reason) or "user" in str(result.failure_reason)


async def test_a_simulated_user_plays_its_persona_until_the_goal_is_reached(scripted: Any) -> None:
    provider = scripted("Where is A1?", "And where is A2?", "[DONE]")
    user = SimulatedUser(model="m", provider=provider, cache=False, retries=0, seed=3)
    persona = {"persona": "an impatient baker", "goal": "find both parcels", "stop": "both are found"}
    example = Example("u", "golden", {"user": persona})
    run = await run_case(target(agent), example, 10, CaseSettings(user))
    assert run.conversation is not None
    assert [turn.question for turn in run.conversation.turns] == ["Where is A1?", "And where is A2?"]
    assert run.answer.details["user_ended"] == "done"
    for text in ("impatient baker", "find both parcels", "both are found"):
        assert text in provider.requests[0].system
    assert "A1: shipped" in provider.requests[1].messages[-1].text
    again = scripted("Where is A1?", "And where is A2?", "[DONE]")
    await run_case(target(agent), example, 10, CaseSettings(SimulatedUser(model="m", provider=again, cache=False, retries=0, seed=3)))  # fmt: skip
    assert [one.temperature for one in again.requests] == [one.temperature for one in provider.requests]


async def test_a_simulated_user_is_bounded_and_its_failure_is_no_verdict(scripted: Any) -> None:
    endless = SimulatedUser(model="m", provider=scripted("Where is A1?"), cache=False, retries=0)
    example = Example("u", "golden", {"user": {"goal": "x", "first": "Hello A0?", "max_turns": 3}})
    run = await run_case(target(agent), example, 10, CaseSettings(endless))
    assert (run.answer.details["turns"], run.answer.details["user_ended"]) == (3, "turns used up")
    broken = SimulatedUser(model="m", provider=scripted(ConnectionError("away")), cache=False, retries=0)
    failed = await run_case(target(agent), Example("u", "golden", {"user": "x"}), 10, CaseSettings(broken))
    assert "simulated user failed" in str(failed.answer.error)
    nobody = await run_case(target(agent), Example("u", "golden", {"user": "x"}), 10)
    assert "no model plays it" in str(nobody.answer.error)


RECORDED = [
    {"name": "weather", "arguments": {"city": "Oslo"}, "result": "snow"},
    {"name": "weather", "arguments": {"city": "Oslo"}, "result": "rain"},
    {"name": "weather", "arguments": {"city": "Bergen"}, "error": "station down"},
]


async def test_recorded_tools_answer_from_the_recording_and_what_left_it_is_said() -> None:
    ran: list[str] = []

    @evalspan.observe(kind="tool", name="weather")
    def weather(city: str) -> str:
        ran.append(city)
        return "today's"

    async def live(city: str) -> str:
        ran.append(city)
        return "today's"

    wrapped = replayable(live, "weather")

    async def forecast(given: dict[str, Any]) -> str:
        found = [weather("Oslo"), weather(city="Oslo"), await wrapped("Oslo")]
        for city in ("Bergen", "Paris"):
            try:
                found.append(weather(city))
            except evalspan.errors.EvalspanError as error:
                found.append(str(error))
        return ", ".join(found)

    example = case(metadata={"tool_results": RECORDED})
    run = await run_case(target(forecast), example, 10, CaseSettings(replay_tools="error"))
    assert run.answer.output is not None
    assert run.answer.output.startswith("snow, rain, rain, weather: station down, the recording has no call weather")
    assert ran == []
    assert run.answer.details["tool_replay"] == {"replayed": 4, "not_recorded": ['weather({"city":"Paris"})']}
    await run_case(target(forecast), example, 10, CaseSettings(replay_tools="live"))
    assert ran == ["Paris"]
    await run_case(target(forecast), example, 10)
    assert ran[1:] == ["Oslo", "Oslo", "Oslo", "Bergen", "Paris"]


def test_the_recording_of_one_case_is_not_that_of_its_neighbour() -> None:
    @evalspan.observe(kind="tool", name="price")
    def price(item: str) -> str:
        return "live"

    def shop(given: dict[str, Any]) -> str:
        return price("doorbell")

    examples = [case(f"{n}", id=str(n), metadata={"tool_results": [{"name": "price", "arguments": {"item": "doorbell"}, "result": f"{n} euros"}]}) for n in range(20)]  # fmt: skip
    results = run_cases(
        examples, target(shop), [seen], RunSettings(concurrency=10, case=CaseSettings(replay_tools="error"))
    )
    assert [result.model_output for result in results] == [f"{n} euros" for n in range(20)]


def test_a_process_without_a_tracer_provider_has_none_after_a_run_and_can_set_its_own(monkeypatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())

    @evalspan.observe(name="find_order", kind="tool")
    def look_up(order: str) -> str:
        return f"{order} is shipped"

    def shop(given: dict[str, Any]) -> str:
        return look_up(order="A1")

    (first,) = run_cases([case()], target(shop), [seen])
    assert first.metrics[0].value == 1, "observe records inside a run"
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    mine, kept = TracerProvider(), InMemorySpanExporter()
    mine.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(mine)
    look_up(order="A2")
    assert [span.name for span in kept.get_finished_spans()] == ["execute_tool find_order"]
    run_cases([case()], target(shop), [seen])
    assert trace.get_tracer_provider() is mine


def test_nothing_is_captured_outside_of_a_case() -> None:
    find_order("A1")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(find_order, ["A1"] * 20))
    assert isinstance(ToolCalls()(None), Unscored)
    assert trace.get_current_span() is trace.INVALID_SPAN
