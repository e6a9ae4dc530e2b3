"""Answers of judges as models really write them, endpoints as they really refuse, values as code really returns them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from evalspan.evaluators import Judge, Score, Unscored, evaluator, run_evaluator
from evalspan.evaluators.builtin.hallucination import Claims
from evalspan.evaluators.experiments.target import Identity, Target
from evalspan.evaluators.judges.judge import Grade
from evalspan.evaluators.judges.providers import Finish, Reply, _openai_reply, _raise_inner_error
from evalspan.evaluators.judges.reply_parsing import parse_json
from evalspan.evaluators.judges.request_parameters import RequestParameters

V = '{"reasoning": "right", "score": 4, "strengths": ["a"], "weaknesses": []}'
OTHER = V.replace("4", "1")
FOUR = [
    V, f'{V}\nA {{score}} is out of 5, as in "score": 4.', f"<analysis>{OTHER}</analysis>{V}", f"```json\n{V}\n```", f"The set {{a, b}}.\n{V}", f"{V}\nNote: {{score}} of 5.", f"<think>{{x}} {OTHER}</think>{V}", f"{{x}}</think>{V}",
    f'<think>Draft {{"score": 2}}</think>\n{V}', f"```\n{{a}}\n```\n```json\n{V}\n```", f"{V}\n{V}", "\ufeff" + V, f"[{V}]", '{"grade": ' + V + "}",
    V.replace("4", "4.0"), V.replace("4", '"4"'), V.replace("4", '"4/5"'), V.replace('["a"]', "null"), V.replace("[]}", "[],}"), V.replace('"', "'"),
    V.replace("right", "ri\nght"), V.replace('"score"', '/* 1-5 */ "score"'), V.replace('"score"', '"Score"'), V.replace("right", "says </think> here"),
]  # fmt: skip
NONE = [
    "", "I cannot help.", V[:40], V + "\n" + OTHER, V.replace('"score": 4', '"score": 1, "score": 4'), V.replace("4", "NaN"), V.replace("4", "4.5"),
    V.replace("4", "7"), V.replace("4", "null"), V.replace("4", '"4/10"'), V.replace("4", "true"), f"<think>{V}", f"<analysis>{V}</analysis> I cannot judge.",
    f"Draft: {V}\nFinal: " + V.replace("4", '"none"'), f"Draft: {V}\nFinal: {V[:40]}", f"{V}\nNo: {{'score': 2, 'reasoning': 'worse", "{" * 5000, "[4]", "null",
]  # fmt: skip


@pytest.mark.parametrize("text", FOUR)
def test_a_verdict_is_found_in_what_stands_around_it(text: str) -> None:
    assert parse_json(text, Grade).score == 4


@pytest.mark.slow
@pytest.mark.parametrize("text", NONE)
def test_what_can_mean_two_things_or_nothing_is_never_a_score(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text, Grade)


class Refused(Exception):
    def __init__(self, message: str, status_code: int = 400) -> None:
        super().__init__(message)
        self.status_code = status_code


BODY = {"model": "m", "messages": [], "max_tokens": 9, "temperature": 0.3, "response_format": {}, "logprobs": True}


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "refused",
    [("max_tokens",), ("temperature",), ("response_format", "temperature"), ("max_tokens", "response_format")],
)
async def test_parameters_that_an_endpoint_refuses_are_learned_once(
    status: int, named: bool, refused: tuple[str, ...]
) -> None:
    asked: list[dict[str, Any]] = []

    async def post(body: dict[str, Any]) -> str:
        asked.append(body)
        bad = [name for name in refused if name in body]
        if bad:
            raise Refused(f"Unsupported parameter: '{bad[0]}'" if named else "Bad request", status)
        return "answer"

    learned = RequestParameters()
    assert await asyncio.gather(*(learned.send(BODY, post) for _ in range(4))) == ["answer"] * 4
    if "max_tokens" in refused:
        assert asked[-1]["max_completion_tokens"] == 9
    before = len(asked)
    assert await learned.send(BODY, post) == "answer"
    assert len(asked) == before + 1, "kept: nothing is tried twice"


async def test_a_refusal_about_the_request_itself_is_not_probed() -> None:
    asked = 0

    async def post(_: dict[str, Any]) -> str:
        nonlocal asked
        asked += 1
        raise Refused("This model's maximum context length is 8192 tokens")

    with pytest.raises(Refused):
        await RequestParameters().send(BODY, post)
    assert asked == 1


def reply(finish: str, content: Any = "", **message: Any) -> Reply:
    return _openai_reply({"choices": [{"finish_reason": finish, "message": {"content": content, **message}}]})


def test_how_an_answer_ended_is_read() -> None:
    assert reply("length").finish is Finish.CUT_OFF
    assert reply("content_filter").finish is Finish.FILTERED
    assert reply("stop", None, refusal="no").finish is Finish.REFUSED
    assert reply("stop", None, reasoning_content="so").finish is Finish.ONLY_REASONING
    assert reply("stop", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]).text == "ab"
    with pytest.raises(Exception, match="overloaded") as inner:
        _raise_inner_error({"error": {"message": "overloaded", "code": 503}}, "x")
    assert inner.value.status_code == 503  # type: ignore[attr-defined]


async def test_an_answer_that_was_cut_off_is_asked_for_with_more_room_and_then_said(scripted: Any) -> None:
    class Cutting:
        key = "cutting"

        def __init__(self, enough: int) -> None:
            self.enough = enough
            self.asked: list[int] = []

        async def complete(self, request: Any, timeout_s: float) -> Reply:
            self.asked.append(request.max_tokens)
            done = request.max_tokens >= self.enough
            return Reply(V if done else V[:30], "m", 1, 1, finish=Finish.ANSWERED if done else Finish.CUT_OFF)

    provider = Cutting(3000)
    one: Any = Judge(model="m", provider=provider, cache=False, retries=0)
    assert (await run_evaluator(one, output="x")).value == 4.0
    assert (await run_evaluator(one, output="y")).value == 4.0
    assert provider.asked == [800, 3200, 3200], "the room that was needed is kept"
    never: Any = Judge(model="m", provider=Cutting(10**9), cache=False, retries=0)
    hopeless = await run_evaluator(never, output="x")
    assert "cut off at max_tokens=32000" in str(hopeless.unscored)


class Text(str):
    __slots__ = ()


class Odd:
    def __str__(self) -> str:
        raise RuntimeError("no text")


ODD: Any = {
    "a": Text("x"),
    "b": Odd(),
    "c": float("nan"),
    "d": {1, 2},
    "e": b"\xff",
    "f": 10**40,
    "g": "\ud83d",
    7: object,
}


async def test_odd_values_cost_that_value_and_never_the_record() -> None:
    import msgspec

    made: list[Any] = [
        Score(1.0, label=Text("l"), explanation="\ud83d", details=ODD), Unscored(Text("why \ud83d"), ODD), 10**400, Odd(), Text("x"),
    ]  # fmt: skip
    for value in made:
        one = evaluator(name="odd", version="1")(lambda output, value=value: value)
        msgspec.json.encode(await run_evaluator(one, output="x"))

    def raising(_: Any) -> Any:
        raise ValueError("half \ud83d")

    for function in (lambda _: Text("49"), lambda _: {"output": Text("49"), "more": ODD}, lambda _: Odd(), raising):
        answer = await Target(function, Identity("t")).answer({}, 5.0)
        msgspec.json.encode(answer)
        assert answer.error is not None or (type(answer.output) is str and answer.output == "49")


def test_words_of_a_form_are_read_in_any_case_and_the_final_channel_is_the_answer() -> None:
    found = parse_json('{"claims": [{"claim": "a", "status": "supported "}]}', Claims)
    assert found.claims[0].status == "SUPPORTED"
    harmony = (
        '<|channel|>analysis<|message|>{"claims": []}<|end|><|start|>assistant<|channel|>final<|message|>'
        '{"claims": [{"claim": "z", "status": "NOT_CHECKABLE"}]}'
    )
    assert parse_json(harmony, Claims).claims[0].claim == "z"
    with pytest.raises(ValueError, match="maybe"):
        parse_json('{"claims": [{"claim": "a", "status": "maybe"}]}', Claims)
