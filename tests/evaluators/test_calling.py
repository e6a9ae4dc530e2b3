"""Judge calls through the real SDKs: faults, pace, budget, cache, cost, no spans; against a scripted HTTP server."""

import asyncio
import json
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from evalspan.errors import UsageError
from evalspan.evaluators import Hallucination, Judge, PairwiseJudge, Unscored, run_evaluator
from evalspan.evaluators.judges.budget import Budget, BudgetSpent, use_budget
from evalspan.evaluators.judges.cache import AnswerCache
from evalspan.evaluators.judges.calling import Caller, JudgeUnavailable
from evalspan.evaluators.judges.concurrency_limiter import AdaptiveConcurrencyLimiter
from evalspan.evaluators.judges.prompts import Prompt
from evalspan.evaluators.judges.providers import Message, Request

from ..scripted import Reply, scripted_server

GRADE = json.dumps({"reasoning": "It names the price.", "score": 4, "strengths": [], "weaknesses": []})


@pytest.fixture
def server():
    with scripted_server() as running:
        running.answer = lambda body: GRADE
        yield running


def openai_judge(server, **settings):
    return Judge(model="gpt-4o-mini", **{"provider": "openai", "base_url": server.url, "cache": False, **settings})


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_both_sdks_deliver_a_verdict_with_its_price(server, provider):
    base = server.url if provider == "openai" else server.root
    one = Judge(model="some-model", provider=provider, base_url=base, cache=False, price=(1.0, 2.0), retries=0)
    got = await run_evaluator(one, output="The plan costs $49.")
    assert got.value == 4.0, got.unscored
    assert got.cost_usd > 0
    sent = server.requests[0].json
    assert "The plan costs $49." in json.dumps(sent)
    asked_for = sent["response_format"]["type"] if provider == "openai" else sent["tool_choice"]["type"]
    assert asked_for in ("json_schema", "tool")


@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_b33_passing_faults_are_retried_with_a_pause(server, status):
    server.then(Reply(status=status, headers={"retry-after": "0.05"}))
    got = await run_evaluator(openai_judge(server), output="x")
    assert got.value == 4.0
    assert len(server.requests) == 2


async def test_b33_a_closed_connection_is_retried_and_a_wrong_key_is_not(server):
    server.then(Reply(cut_after=10))
    assert (await run_evaluator(openai_judge(server), output="x")).value == 4.0
    server.requests.clear()
    server.then(*[Reply(status=401)] * 9)
    got = await run_evaluator(openai_judge(server), output="x")
    assert "AuthenticationError" in got.unscored
    assert len(server.requests) == 1


async def test_b33_after_the_last_retry_the_output_is_unscored_with_the_reason(server):
    server.then(*[Reply(status=503, headers={"retry-after": "0.01"})] * 3)
    got = await run_evaluator(openai_judge(server, retries=2), output="x")
    assert "no answer in 3 attempts" in got.unscored


async def test_b33_a_call_that_hangs_is_given_up(server):
    server.then(Reply(delay_s=3.0))
    got = await run_evaluator(openai_judge(server, retries=0, call_timeout_s=0.2), output="x")
    assert "no answer in 1 attempts" in got.unscored


async def test_a_parameter_that_a_server_refuses_is_left_out(server):
    said = {"error": {"message": "Unsupported parameter: 'response_format'", "type": "invalid_request_error"}}
    server.then(Reply(status=400, body=json.dumps(said).encode()))
    one = openai_judge(server)
    assert (await run_evaluator(one, output="x")).value == 4.0
    assert "response_format" not in server.requests[1].json
    await run_evaluator(one, output="y")
    assert len(server.requests) == 3


async def test_b30_waiting_for_a_429_leaves_the_event_loop_running(server):
    server.then(Reply(status=429, headers={"retry-after": "0.5"}))
    ticks = 0

    async def ticker():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    task = asyncio.create_task(ticker())
    await run_evaluator(openai_judge(server), output="x")
    task.cancel()
    assert ticks >= 5


async def test_the_pace_halves_once_per_congestion_and_grows_with_success():
    pace = AdaptiveConcurrencyLimiter(first=8, highest=10)
    async with pace.slot():
        pace.refused(0.05)
        pace.refused(0.05)
    assert pace.limit == 4
    started = time.monotonic()
    async with pace.slot():
        assert time.monotonic() - started >= 0.02
    for _ in range(200):
        pace.under_way = int(pace.limit)
        pace.succeeded()
    assert pace.limit == 10


async def test_the_pace_never_lets_more_in_than_its_limit():
    pace, inside, most = AdaptiveConcurrencyLimiter(first=3), 0, 0

    async def call():
        nonlocal inside, most
        async with pace.slot():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.002)
            inside -= 1

    await asyncio.gather(*(call() for _ in range(30)))
    assert most == 3


def request(text="x", **more):
    return Request("m", "system", (Message("user", text),), 0.0, 50, "grade", None, **more)


async def test_a_token_budget_stops_the_next_call_before_it_is_made(scripted):
    provider, budget = scripted("ok"), Budget(max_tokens=150)
    caller = Caller(provider, budget=budget)
    await caller.ask(request())
    assert (budget.spent.calls, budget.spent.input_tokens, budget.spent.output_tokens) == (1, 100, 20)
    with pytest.raises(BudgetSpent, match="token budget of 150 is spent"):
        await caller.ask(request())
    assert len(provider.requests) == 1


async def test_an_unpriced_model_is_not_unlimited(scripted):
    provider = scripted("ok")
    with pytest.raises(BudgetSpent, match="price of 'm' is unknown"):
        await Caller(provider, budget=Budget(max_usd=100)).ask(request())
    assert provider.requests == []
    budget = Budget(max_usd=0.001)
    priced = Caller(provider, budget=budget, price=(1.0, 1.0))
    answer = await priced.ask(request())
    assert answer.cost_usd == pytest.approx(120 / 1e6)
    assert budget.spent.usd == answer.cost_usd
    results = await asyncio.gather(*(priced.ask(request()) for _ in range(20)), return_exceptions=True)
    assert any("budget of $0.001 is spent" in str(one) for one in results)
    assert budget.spent.usd <= 0.001


async def test_concurrent_calls_cannot_overrun_the_budget_together(scripted):
    budget = Budget(max_tokens=300)
    caller = Caller(scripted("ok"), budget=budget)
    results = await asyncio.gather(*(caller.ask(request()) for _ in range(20)), return_exceptions=True)
    assert budget.spent.input_tokens + budget.spent.output_tokens <= 300 + 120
    assert sum(isinstance(one, BudgetSpent) for one in results) >= 15


async def test_judges_spend_from_the_surrounding_budget(scripted):
    one = Judge(model="m", provider=scripted(json.loads(GRADE)), cache=False)
    with use_budget(Budget(max_tokens=10)):
        got = await run_evaluator(one, output="x")
    assert "token budget of 10 is spent" in got.unscored
    assert (await run_evaluator(one, output="x")).value == 4.0


async def test_g14_an_unchanged_question_is_not_asked_again_but_repeats_are(scripted, tmp_path):
    provider, cache = scripted(json.loads(GRADE)), AnswerCache(tmp_path)

    def one(**settings):
        return Judge(model="m", **{"provider": provider, "cache": cache, "n_samples": 3, **settings})

    first = await run_evaluator(one(), output="x")
    assert len(provider.requests) == 3  # the repeat number is part of the key
    again = await run_evaluator(one(), output="x")
    assert len(provider.requests) == 3
    assert (again.value, again.details["cached"], again.cost_usd) == (first.value, 3, 0.0)
    await run_evaluator(one(), output="y")
    await run_evaluator(one(criteria="other"), output="x")
    await run_evaluator(one(temperature=0.1), output="x")
    assert len(provider.requests) == 12


async def test_g14_a_damaged_cache_file_is_asked_for_again(scripted, tmp_path):
    provider = scripted(json.loads(GRADE))
    one = Judge(model="m", provider=provider, cache=AnswerCache(tmp_path))
    await run_evaluator(one, output="x")
    for path in tmp_path.rglob("*.json"):
        path.write_bytes(b"{")
    assert (await run_evaluator(one, output="x")).value == 4.0
    assert len(provider.requests) == 2


async def test_judge_calls_leave_no_spans_in_the_apps_traces(server):
    import evalspan

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    evalspan.init(tracer_provider=provider)
    try:
        assert (await run_evaluator(openai_judge(server), output="x")).value == 4.0
    finally:
        evalspan.uninstrument()
    assert exporter.get_finished_spans() == ()


def test_one_judge_serves_several_event_loops(server):
    one = openai_judge(server)
    for text in ("x", "y"):
        assert asyncio.run(run_evaluator(one, output=text)).value == 4.0


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(UsageError, match="no judge provider 'opnai'"):
        Judge(model="m", provider="opnai")
    with pytest.raises(UsageError, match="no setting base_ur"):
        Judge(model="m", base_ur="x")
    with pytest.raises(UsageError, match="needs a model"):
        Judge(model="")
    with pytest.raises(UsageError, match="n_samples is 0"):
        Judge(model="m", n_samples=0)


async def test_a_missing_key_is_said_before_anything_is_sent():
    got = await run_evaluator(Judge(model="gpt-4o-mini", cache=False), output="x")
    assert "no key for the judge's provider openai" in got.unscored


BODIES = {
    "no choices": b'{"choices": []}',
    "another object": b'{"hello": 1}',
    "an array": b"[1]",
    "null": b"null",
    "a page": b"<html>gateway</html>",
    "content in no known parts": b'{"choices": [{"message": {"content": ["4"]}}]}',
    "a broken usage": b'{"choices": [{"message": {"content": "4"}}], "usage": "much"}',
}
LLM_JUDGES = {
    "judge": lambda **where: Judge(model="m", **where),
    "hallucination": lambda **where: Hallucination(model="m", **where),
    "pairwise": lambda **where: PairwiseJudge(model="m", **where),
}


@pytest.mark.parametrize("kind", LLM_JUDGES)
@pytest.mark.parametrize("body", BODIES)
async def test_b34_an_answer_in_no_known_form_leaves_the_output_unscored_and_names_the_endpoint(server, body, kind):
    server.then(*[Reply(body=BODIES[body])] * 2)
    judge = LLM_JUDGES[kind](provider="openai", base_url=server.url, cache=False, retries=0)
    got = await judge(input="q", output="The plan costs $49.", expected="$49", context="It costs $49.")
    assert isinstance(got, Unscored)
    assert f"{server.url} answered, but not in the form of its API" in got.reason


@pytest.mark.parametrize("kind", LLM_JUDGES)
@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_b33_called_by_hand_a_judge_gives_a_reason_and_no_exception(server, status, kind):
    server.then(*[Reply(status=status)] * 40)
    judge = LLM_JUDGES[kind](provider="openai", base_url=server.url, cache=False, retries=0)
    got = await judge(input="q", output="The plan costs $49.", expected="$49", context="It costs $49.")
    assert isinstance(got, Unscored)
    assert str(status) in got.reason


async def test_b34_a_refusal_is_shown_as_the_reason(server):
    refusal = b'{"choices": [{"message": {"content": null, "refusal": "I cannot grade this."}}]}'
    server.then(*[Reply(body=refusal)] * 2)
    got = await openai_judge(server)(output="x")
    assert isinstance(got, Unscored)
    assert "I cannot grade this." in got.reason


async def test_the_last_error_is_kept_when_nothing_answers(scripted):
    with pytest.raises(JudgeUnavailable, match="attempts; last: TimeoutError: slow"):
        await Caller(scripted(TimeoutError("slow")), retries=1).ask(request())


SHORT = Prompt("short", "1", "Grade the text from 1 to 5. Answer as JSON.", "{{material}}")


@pytest.mark.model
async def test_the_real_small_model_gives_verdicts_or_reasons_over_both_apis(model_url):
    for provider, base in (("openai", f"{model_url}/v1"), ("anthropic", model_url)):
        one = Judge(
            model="smollm2", provider=provider, base_url=base, cache=False, max_tokens=24, retries=0, prompt=SHORT
        )
        got = await run_evaluator(one, output="The plan costs $49.")
        assert (got.value is None) is (got.unscored is not None)
        assert got.value is None or 1 <= got.value <= 5
