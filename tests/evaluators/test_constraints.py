"""Constraints: each rule against good and bad text, the set's bookkeeping, and that nothing passes by accident."""

import numpy as np
import pytest

from evalspan.errors import UsageError
from evalspan.evaluators import Constraints, Grounding, Unscored, run_evaluator
from evalspan.evaluators.builtin.checks import (
    EndsWith,
    InLanguage,
    MatchesSchema,
    NoInventedPrices,
    NoRefundPromise,
    NoTerms,
    ValidJSON,
    WordCount,
    no_competitors,
    no_jargon,
)
from evalspan.evaluators.builtin.private_data import NoPersonalData, OwnLinks
from evalspan.evaluators.runner import check_suite


async def test_c02_each_constraint_reports_passed_and_error_by_name():
    suite = Constraints(name="support").add("short", WordCount(at_most=3)).add("polite", lambda text: "please" in text)
    good = await run_evaluator(suite, output="please do")
    bad = await run_evaluator(suite, output="one two three four")
    assert good.details == {
        "all_passed": True,
        "constraints": {"short": {"passed": True, "error": None}, "polite": {"passed": True, "error": None}},
    }
    assert (good.value, good.passed) == (1.0, True)
    assert (bad.value, bad.passed, bad.details["all_passed"]) == (0.0, False, False)
    assert bad.details["constraints"]["short"]["error"] == "4 words, more than 3"


def test_c03_a_constraint_that_raises_fails_with_its_error_and_the_others_run():
    score = Constraints().add("broken", lambda text: 1 / 0).add("fine", lambda text: True)("x")
    assert score.passed is False
    assert score.details["constraints"] == {
        "broken": {"passed": False, "error": "ZeroDivisionError: division by zero"},
        "fine": {"passed": True, "error": None},
    }


@pytest.mark.parametrize(
    ("returned", "passed", "error"),
    [
        (True, True, None),
        (np.bool_(True), True, None),
        (False, False, "not met"),
        ("too rude", False, "too rude"),
        ((True, "unused"), True, None),
        ((False, "too rude"), False, "too rude"),
        (None, False, "the check returned NoneType, not a bool, a text or (bool, text)"),
        (1, False, "the check returned int, not a bool, a text or (bool, text)"),
        ("", False, "not met"),
    ],
)
def test_c02_what_a_check_returns_never_passes_by_accident(returned, passed, error):
    result = Constraints().add("c", lambda text: returned)("x").details["constraints"]["c"]
    assert result == {"passed": passed, "error": error}


async def test_b24_an_empty_set_and_a_name_used_twice_are_refused():
    with pytest.raises(UsageError, match="no constraints"):
        check_suite([Constraints()])
    with pytest.raises(UsageError, match="no constraints"):
        Constraints()("x")
    assert "no constraints" in (await run_evaluator(Constraints(), output="x")).unscored
    with pytest.raises(UsageError, match="'a' exists already"):
        Constraints().add("a", str.isupper).add("a", str.islower)
    with pytest.raises(UsageError, match="cannot be called"):
        Constraints().add("a", "not a function")  # type: ignore[arg-type]
    assert isinstance(Constraints().add("a", lambda text: True)(None), Unscored)


def test_c01_a_changed_rule_is_a_new_version():
    def of(limit):
        return Constraints().add("short", WordCount(at_most=limit))

    def by_closure(limit):
        return Constraints().add("short", lambda text: len(text) < limit)

    assert of(3).version == of(3).version != of(4).version
    assert by_closure(3).version == by_closure(3).version != by_closure(4).version


def test_p07_c07_a_set_that_passes_known_bad_outputs_is_called_lenient():
    bad = ["The plan costs $79.", "lol", "We will refund you."]
    lenient = Constraints("style").add("short", WordCount(at_most=150)).leniency(bad)
    assert (lenient.caught, lenient.never_failing) == (0, ("short",))
    assert "a pass rate is not quality" in lenient.warning
    strict = Constraints().add("prices", NoInventedPrices(("$49",))).add("refund", NoRefundPromise())
    assert "1 of 3 known-bad outputs pass" in strict.leniency(bad).warning
    assert strict.add("substance", WordCount(at_least=2)).leniency(bad).warning is None
    with pytest.raises(UsageError, match="no known-bad"):
        strict.leniency([])


def test_c04_json_validity_refuses_what_python_would_forgive():
    assert ValidJSON()('{"a": [1, null]}')[0]
    for bad in ("{'a': 1}", "NaN", '{"a": 1} trailing', "", '```json\n{"a": 1}\n```'):
        assert not ValidJSON()(bad)[0], bad
    assert Constraints().add("json", ValidJSON())({"text": "an object", "n": 1}).passed is True
    assert ValidJSON(fenced=True)('```json\n{"a": 1}\n```')[0]


def test_c04_json_schema_names_the_place_of_the_mismatch():
    schema = {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "integer"}}}}
    assert MatchesSchema(schema)('{"items": [1, 2]}')[0]
    assert MatchesSchema(schema)('{"items": [1, "2"]}') == (False, "at $.items[1]: '2' is not of type 'integer'")
    with pytest.raises(UsageError, match="not a valid JSON Schema"):
        MatchesSchema({"type": "objekt"})


def test_c04_word_counts_include_their_bounds_and_count_unspaced_scripts_by_character():
    between = WordCount(at_least=2, at_most=3)
    assert [between(text)[0] for text in ("one", "one two", "one, two: three", "one two three four")] == [
        False, True, True, False,
    ]  # fmt: skip
    assert WordCount(at_least=6)("退款需要五天")[0]


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("Ring", "during the call", False),  # b40
        ("Ring", "a RING doorbell", True),
        ("Ring", "Ring's doorbell", True),
        ("Zendesk", "try zen\u200bdesk", True),
        ("Zendesk", "try Ｚｅｎｄｅｓｋ", True),
        ("STRASSE", "in der Straße", True),
        ("Help Scout", "like help\nscout does", True),
        ("C++", "written in c++.", True),
        ("竞品", "使用竞品公司的", True),
        ("Ring", "strings and springs", False),
        ("İstanbul", "in istanbullu", False),
    ],
)
def test_b40_c04_terms_match_whole_words_after_unicode_folding(term, text, found):
    assert no_competitors(term)(text)[0] is not found


def test_c04_jargon_is_named_in_the_error():
    assert no_jargon("L2 queue", "P0")("I moved it to the l2 queue.") == (False, "internal jargon: L2 queue")
    with pytest.raises(UsageError, match="empty term"):
        NoTerms(("",))("x")


def test_b40_a_closing_phrase_counts_only_at_the_end():
    closing = EndsWith(("reach out", "let us know", "best regards"))
    assert closing("Restart the app. If it fails again, please reach out.")[0]
    assert closing("Restart the app.\nBest regards,\nThe Acme team")[0]
    assert not closing("You can reach out to us. First restart the app. Then wait. Then log in. It works.")[0]


@pytest.mark.parametrize(
    ("language", "text", "passed"),
    [
        ("en", "You can cancel at any time and the change is visible in your account.", True),
        ("en", "Puede cancelar su plan en la página de la cuenta y no se le cobra más.", False),
        ("es", "Puede cancelar su plan en la página de la cuenta y no se le cobra más.", True),
        ("de", "Sie können den Vertrag mit einem Klick kündigen und das Geld ist nicht weg.", True),
        ("en", "いつでもキャンセルできます。", False),
        ("ja", "いつでもキャンセルできます。", True),
        ("zh", "您可以随时取消订阅。", True),
        ("en", "您可以随时取消订阅。", False),
        ("ru", "Вы можете отменить подписку.", True),
        ("en", "OK", True),
        ("en", "49", True),
    ],
)
def test_c05_language(language, text, passed):
    assert InLanguage(language)(text)[0] is passed


def test_c05_an_unknown_language_is_refused():
    with pytest.raises(UsageError, match="'english'"):
        InLanguage("english")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to jane.doe@example.org today", "email"),
        ("card 4111 1111 1111 1111", "card"),
        ("order 4111 1111 1111 1112", None),  # fails the Luhn test
        ("IBAN DE89 3704 0044 0532 0130 00", "iban"),
        ("reference DE00370400440532013000", None),
        ("SSN 078-05-1120", "ssn"),
        ("from 203.0.113.9", "ip"),
        ("version 1.2.3.400", None),
        ("call +49 30 901820", "phone"),
        ("call (555) 012-3456", "phone"),
        ("it costs $1,200.50 for 30 days, 24/7, since 2026-03-03", None),
        ("call +49 30 901820 or jane@example.org", "email, phone"),
        ("help@acme.example is ours", None),
    ],
)
def test_c05_personal_data_is_found_by_kind_and_never_repeated(text, kinds):
    passed, error = NoPersonalData(allowed=("@acme.example",))(text)
    assert (passed, error) == (kinds is None, f"personal data: {kinds}" if kinds else None)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("see https://acme.com/help and https://docs.acme.com.", True),
        ("see www.acme.com/pricing", True),
        ("open config.json or app.py, e.g. now", True),
        ("see https://acme.com.evil.io/help", False),
        ("see https://acme.com@evil.io", False),
        ("see [help](http://evil.io/acme.com)", False),
        ("see notacme.com", False),
        ("see //evil.io/x", False),
        ("see HTTPS://ACME.COM", True),
    ],
)
def test_c05_links_lead_only_to_the_own_domain(text, passed):
    assert OwnLinks(("acme.com",))(text)[0] is passed


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("The plan costs 49 dollars a month.", True),
        ("The plan costs $49.00/month.", True),
        ("The plan costs $79 per month.", False),
        ("The plan costs €49 per month.", False),
        ("The plan costs $49 per year.", False),
        ("It takes 79 days.", True),
    ],
)
async def test_c05_invented_prices(text, passed):
    suite = Constraints().add("prices", NoInventedPrices())
    assert (await run_evaluator(suite, output=text, context="Pro: $49 per month")).passed is passed


def test_c05_without_any_known_price_every_price_fails():
    assert not NoInventedPrices()("It costs $49.")[0]
    assert NoInventedPrices(("$49",))("It costs $49.")[0]


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("We will refund you in full.", False),
        ("I've issued a full refund for you.", False),
        ("You'll receive a refund within 5 days.", False),
        ("Your refund has been processed.", False),
        ("We'll credit your account.", False),
        ("We cannot refund partial months.", True),
        ("Refunds are available within 30 days of purchase.", True),
        ("I will check whether a refund is possible.", True),
        ("We will not be able to refund you.", True),
    ],
)
def test_c05_promises_of_refunds(text, passed):
    assert NoRefundPromise()(text)[0] is passed


async def test_c01_c06_one_broken_rule_of_many_fails_and_stands_first_in_the_gates_order():
    from evalspan.evaluators.experiments.case_verdict import in_order

    many = Constraints()
    for n in range(9):
        many.add(f"fine {n}", lambda text: True)
    many.add("broken", lambda text: False)
    got = await run_evaluator(many, output="x")
    assert (got.value, got.passed) == (pytest.approx(0.9), False)
    assert in_order([Grounding(), many])[0] is many
