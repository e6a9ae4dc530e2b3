"""Exact match and token F1: the official SQuAD numbers, the corners, languages without spaces."""

import random
from pathlib import Path

import pytest

from evalspan.errors import UsageError
from evalspan.evaluators import Constraints, Unscored, exact_match, run_evaluator, token_f1
from evalspan.evaluators.builtin.checks import WordCount
from evalspan.evaluators.contract import EvaluationWarning
from evalspan.evaluators.text.tokens import fold_case, unicode_segments, unicode_tokens


def test_r02_exact_match_is_one_or_zero_and_compares_json_as_data():
    assert exact_match("approved", "approved").value == 1.0
    assert exact_match("approved", "Approved").passed is False
    assert exact_match('{"a": 1, "b": 2}', '{"b":2,"a":1}').value == 1.0
    assert exact_match("b", ["a", "b"]).value == 1.0
    assert isinstance(exact_match("x", None), Unscored)


def test_r02_free_text_scores_zero_for_the_same_meaning_and_warns():
    with pytest.warns(EvaluationWarning, match="free text"):
        score = exact_match(
            output="Your order ships within 3-5 business days.", expected="Orders ship in 3 to 5 business days."
        )
    assert score.value == 0.0
    assert "token_f1" in score.details["warning"]


@pytest.mark.parametrize(
    ("output", "expected", "f1", "precision", "recall"),
    [
        ("the cat", "cat", 1.0, 1.0, 1.0),  # b37: articles do not count
        ("", "", 1.0, 1.0, 1.0),
        ("a", "the", 1.0, 1.0, 1.0),  # nothing is left of either
        ("", "cat", 0.0, 0.0, 0.0),
        ("cat", "", 0.0, 0.0, 0.0),
        ("dog", "cat", 0.0, 0.0, 0.0),
        ("cat cat", "cat", 2 / 3, 0.5, 1.0),
        ("The Eiffel Tower, in Paris!", "Eiffel Tower", 2 / 3, 0.5, 1.0),
        ("$49.00", "4900", 1.0, 1.0, 1.0),  # the official script deletes punctuation inside words too
        ("naïve café", "Naïve café", 1.0, 1.0, 1.0),
    ],
)
def test_r03_r04_b37_token_f1_equals_the_official_squad_script(output, expected, f1, precision, recall):
    score = token_f1(output=output, expected=expected)
    assert score.value == pytest.approx(f1)
    assert score.details == {"precision": pytest.approx(precision), "recall": pytest.approx(recall)}


def test_r03_several_references_give_the_best_f1():
    assert token_f1("Paris", ["London", "Paris France"]).value == pytest.approx(2 / 3)


async def test_b37_languages_without_spaces_need_the_unicode_tokenizer():
    output, expected = "退款需要五天", "退款需要三天"
    assert token_f1(output, expected).value == 0.0
    assert token_f1(output, expected, tokenizer="unicode").value == pytest.approx(5 / 6)
    unicode = token_f1.using(tokenizer="unicode", threshold=0.8)
    assert unicode.version != token_f1.version
    assert (await run_evaluator(unicode, output=output, expected=expected)).passed is True
    with pytest.raises(UsageError, match="no tokenizer 'unicod'") as caught:
        token_f1("a", "b", tokenizer="unicod")
    assert "did you mean 'unicode'" in caught.value.hint


async def test_r03_without_a_reference_nothing_is_scored():
    assert (await run_evaluator(token_f1, output="x")).unscored == "no expected output to compare with"


def test_r01_the_documentation_helps_to_choose_by_task_error_and_cost():
    text = (Path(__file__).parents[2] / "docs" / "evaluators.md").read_text()
    table = text.split("## Which metric")[1].split("\n## ")[0]
    for name in ("exact_match", "token_f1", "SemanticSimilarity", "Grounding", "Hallucination", "Constraints", "Judge"):
        assert name in table
    assert "| cost |" in table
    assert "false alarm" in table


def test_a06_copying_raises_overlap_and_a_rule_of_another_kind_sees_it():
    source = (
        "Pro costs $49 a month. Starter costs $29 a month. Every plan has a free trial of 14 days. Refunds take 5 days."
    )
    expected = "Pro costs $49 a month. Every plan has a free trial of 14 days."
    honest = "It is $49 monthly, after two free weeks."
    copied, said = token_f1(source, expected), token_f1(honest, expected)
    assert copied.details["recall"] == 1.0
    assert copied.value > said.value + 0.3
    short = Constraints("short").add("at most 15 words", WordCount(at_most=15))
    assert (short(source).passed, short(honest).passed) == (False, True)


@pytest.mark.parametrize("seed", range(5))
def test_words_of_ascii_text_are_those_that_the_rules_for_every_script_find(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        text = "".join(rng.choices([chr(code) for code in range(128)], k=rng.randint(0, 40)))
        # A letter that is no ASCII, and no word with its neighbours, takes the way of every script.
        assert unicode_tokens(text) == unicode_tokens(f"{text} é")[:-1]
        assert unicode_segments(f"{text} .a") == unicode_segments(f"{text} .a é")[:-1]
        assert fold_case(text) == fold_case(f"{text}é")[:-1]
