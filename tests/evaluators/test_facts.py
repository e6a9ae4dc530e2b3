"""Numbers of the world: signs, currencies, bounds, units, versions, separators, words; what cannot be read is never a pass."""

from __future__ import annotations

import numpy as np
import pytest

from evalspan.evaluators import Constraints, SemanticSimilarity, Unscored, token_f1
from evalspan.evaluators.builtin.checks import NoInventedPrices
from evalspan.evaluators.builtin.similarity import disagreements
from evalspan.evaluators.text.facts import ENGLISH_NUMBERS, facts, prices, unread_amounts
from evalspan.evaluators.text.propositions import word_keys
from evalspan.evaluators.text.tokens import unicode_segments

CONTRADICTIONS = [
    ("-5", "5"), ("It fell by -5%.", "It rose by 5%."), ("+5%", "-5%"), ("−5 °C", "5 °C"), ("$49", "€49"), ("49 USD", "49 GBP"),
    ("at least 5 users", "at most 5 users"), ("< 5 ms", "> 5 ms"), ("up to 10 days", "more than 10 days"), ("mindestens 5 Tage", "höchstens 5 Tage"),
    ("au moins 5 jours", "au plus 5 jours"), ("5 kg", "5 lb"), ("5 km", "5 miles"), ("10 Mbps", "10 Gbps"), ("20 °C", "20 °F"),
    ("version 1.10", "version 1.1"), ("v2.0.1", "v2.1.0"), ("9007199254740993", "9007199254740992"), ("drei Tage", "vier Tage"),
    ("trois jours", "quatre jours"), ("tres días", "cinco días"), ("tre giorni", "dieci giorni"), ("três dias", "dez dias"), ("drie dagen", "vier dagen"),
    ("tre dagar", "fem dagar"), ("tre dage", "fem dage"), ("trzy dni", "pięć dni"), ("üç gün", "beş gün"), ("tiga hari", "lima hari"),
    ("三天", "五天"), ("三日間", "十日間"), ("49円", "79円"), ("五百円", "六百円"), ("five days", "5 hours"), ("3.5 GB", "5.3 GB"), ("1 000 €", "1 500 €"),
]  # fmt: skip
AGREEMENTS = [
    ("1\u202f000 €", "1000 €"), ("1 000 €", "1.000 EUR"), ("12 500 kr", "12500 kr"), ("1'000 CHF", "CHF 1000"), ("1e3", "1000"), ("$49", "49 USD"),
    ("49 kr", "SEK 49"), ("R$ 30", "30 reais"), ("zł 20", "20 PLN"), ("5 kg", "5000 g"), ("drei Tage", "3 days"), ("fünf Jahre", "5 years"),
    ("vingt et un jours", "21 days"), ("veintiún días", "21 days"), ("einundzwanzig Tage", "21 Tage"), ("quarante-neuf euros", "€49"), ("kırk dokuz lira", "49 TRY"),
    ("三百二十元", "320 元"), ("version 1.2.0", "v1.2"), ("at least 5", "5 or more"), ("٤٩ ﷼", "49 ﷼"), ("$1.5B", "1,500 million USD"), ("1.234,56 €", "€1,234.56"),
    ("within 5 days", "up to 5 days"), ("－", "－"), ("３pm", "15:00"), ("50 percent", "50 %"), ("2 dozen", "24"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), CONTRADICTIONS)
def test_quantities_that_contradict_each_other_are_seen(one: str, other: str) -> None:
    assert disagreements(f"The value is {one}.", f"The value is {other}.")
    assert disagreements(f"The value is {other}.", f"The value is {one}.")


@pytest.mark.parametrize(("one", "other"), AGREEMENTS)
def test_the_same_quantity_in_another_form_is_no_contradiction(one: str, other: str) -> None:
    assert disagreements(f"The value is {one}.", f"The value is {other}.") == []


PRICES = [
    ("49 kr", "59 kr"), ("₩6,000", "₩5,000"), ("R$ 30", "R$ 20"), ("49円", "79円"), ("49 zł", "59 zł"), ("Kč 49", "Kč 59"), ("49 Kč", "59 Kč"), ("฿49", "฿59"),
    ("₺49", "₺59"), ("₫49000", "₫59000"), ("AED 49", "AED 59"), ("49 THB", "59 THB"), ("Rp 49.000", "Rp 59.000"), ("RM49", "RM59"), ("₿49", "₿59"), ("A$49", "A$59"),
    ("vierzig Euro", "fünfzig Euro"), ("quarante euros", "cinquante euros"), ("cuarenta euros", "cincuenta euros"), ("forty-nine dollars", "fifty-nine dollars"),
    ("1 000 kr", "1 200 kr"), ("-$5", "$5"), ("49 pesos", "59 pesos"), ("49 рублей", "59 рублей"), ("四十九元", "五十九元"), ("49元", "59元"), ("49 lei", "59 lei"),
]  # fmt: skip


@pytest.mark.parametrize(("invented", "known"), PRICES)
def test_an_invented_price_fails_in_any_currency_and_a_known_one_passes(invented: str, known: str) -> None:
    rules = Constraints().add("prices", NoInventedPrices())
    wrong = rules(f"It costs {invented} a month.", context=f"It costs {known} a month.")
    assert not isinstance(wrong, Unscored)
    assert wrong.passed is False
    right = rules(f"It costs {known} a month.", context=f"It costs {known} a month.")
    assert not isinstance(right, Unscored)
    assert right.passed is True


@pytest.mark.parametrize("amount", ["½ €", "€ ½", "Ⅳ euros", "①$", "$½", "½ hours"])
def test_what_cannot_be_read_is_not_checkable_and_never_a_pass(amount: str) -> None:
    assert unread_amounts(f"It is {amount} now")
    if "hours" not in amount:
        got = Constraints().add("prices", NoInventedPrices())(f"It costs {amount}.", context="It costs $5.")
        assert isinstance(got, Unscored)
        assert "not checkable" in got.reason


def test_a_broken_rule_beside_what_cannot_be_checked_is_a_failure() -> None:
    rules = Constraints().add("prices", NoInventedPrices()).add("short", lambda text: len(text) < 3)
    got = rules("It costs ½ €.", context="$5")
    assert not isinstance(got, Unscored)
    assert (got.passed, got.value, got.details["constraints"]["prices"]["passed"]) == (False, 0.0, None)


async def test_similar_texts_with_an_unreadable_amount_are_unscored() -> None:
    class Same:
        identity = "same"

        async def embed(self, texts: list[str]) -> list[np.ndarray]:
            return [np.ones(2, dtype=np.float32) for _ in texts]

    metric = SemanticSimilarity(embedder=Same())  # type: ignore[arg-type]
    got = await metric.evaluate(output="It takes ½ hours.", expected="It takes 2 hours.")
    assert isinstance(got, Unscored)
    assert "not checkable" in got.reason
    same = await metric.evaluate(output="It takes ½ hours.", expected="It takes ½ hours.")
    assert not isinstance(same, Unscored)
    assert same.passed


WORDS = ["It depends on dollar amounts.", "Convert to euros.", "TOP 10 list", "TRY 5 times", "a set of rules", "I won 5 games", "Please try on days like this"]  # fmt: skip


@pytest.mark.parametrize("text", WORDS)
def test_words_that_only_look_like_money_are_none(text: str) -> None:
    assert prices(text) == ()


def test_a_range_is_two_numbers_and_no_negative_one() -> None:
    assert [sorted(fact.values) for fact in facts("3-5 days")] == [[3], [120]]
    assert [sorted(fact.values) for fact in facts("iPhone 15 128 GB")] == [[15], [128_000_000_000]]


WRITTEN = [  # sums of money as written, and as meant
    ("$49-$59", [49, 59]), ("$49–59 a month", [49, 59]), ("from $49 to 59 per month", [49, 59]), ("$49 to $59", [49, 59]), ("49 to 59 dollars", [49, 59]),
    ("49-59 €", [49, 59]), ("20 bis 30 Euro", [20, 30]), ("$49 to 3 users", [49]), ("$49 and 3 users", [49]), ("$5 to 10% of it", [5]), ("€5-$7", [5, 7]), ("£5 - £7", [5, 7]),
    ("$49/€45", [49, 45]), ("$49 €45", [49, 45]), ("49,- €", [49]), ("CHF 49.-", [49]), ("99 cents", [0.99]), ("80 pence", [0.8]), ("ninety-nine cents", [0.99]),
    ("kr 1 200", [1200]), ("NOK 12 500,50", [12500.5]), ("$15 128 GB", [15]), ("$1 000 000", [1000000]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meant"), WRITTEN)
def test_every_sum_of_money_is_read_however_it_is_written(text: str, meant: list[float]) -> None:
    assert [value for fact in prices(text) for value in fact.values] == meant


def test_a_price_beside_a_known_one_is_not_hidden_by_it() -> None:
    page = "Pro costs $49 per month, stickers are $0.99."
    for said in ("$49-$59", "from $49 to 59", "$49-59", "49 to 59 dollars", "49,- €", "59 cents", "$49 €49"):
        got = NoInventedPrices()(said, page)
        assert not isinstance(got, Unscored)
        assert not got[0], said
    for said in ("$49-$49", "99 cents", "$49 for 3 users", "49 dollars"):
        assert NoInventedPrices()(said, page) == (True, None), said


DIFFERENT = [
    ("किताब", "कुतुब"), ("দিন", "দান"), ("పాట", "పేట"), ("கடல்", "கூடல்"), ("👍", "👎"), ("+", "-"), ("!!!", "???"), ("3.5", "5.3"), ("-5", "5"), ("ma", "má"),
    ("👍🏽", "👎🏽"), ("€", "$"), ("<", ">"), ("♥", "☹"), ("བོད", "བད"), ("ក", "ខ"), ("", "."),
]  # fmt: skip
SAME = [
    ("İstanbul", "istanbul"), ("ISPARTA", "ısparta"), ("محمد", "مُحَمَّد"), ("שָׁלוֹם", "שלום"), ("1,000", "1000"), ("1\u202f000", "1000"), ("1'000", "1000"), ("٤٢", "42"),
    ("४२", "42"), ("co\u00adoperate", "cooperate"), ("STRASSE", "straße"), ("天气很好。", "天气很好"), ("ＡＢＣ１２３", "abc123"), ("don’t stop", "don’t  stop!"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_token_f1_is_0_for_texts_that_mean_something_else(one: str, other: str) -> None:
    got = token_f1(one, other, tokenizer="unicode")
    assert got.value == 0.0


@pytest.mark.parametrize(("one", "other"), SAME)
def test_token_f1_is_1_for_the_same_text_in_another_form(one: str, other: str) -> None:
    assert token_f1(one, other, tokenizer="unicode").value == 1.0


def test_number_normalisation_is_an_option_with_its_own_name() -> None:
    assert token_f1("1,000", "1000", tokenizer="unicode", numbers="as_written").value == 0.0
    assert token_f1("٤٢", "42", tokenizer="unicode", numbers="as_written").value == 0.0
    assert unicode_segments("C++ costs -5% at 3-5 pm, a_b") == [
        "c",
        "+",
        "+",
        "costs",
        "-5",
        "%",
        "at",
        "3",
        "5",
        "pm",
        "a_b",
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("$5 or more", "at least $5", True),
        ("$5 or more", "$5 or less", False),
        ("10+ users", "at least 10 users", True),
        ("30 days or less", "30 days or more", False),
        ("99¢", "$0.99", True),
        ("$5–15", "$5-15", True),
        ("$5–15", "$5–10", False),
    ],
)
def test_bounds_after_the_number_ranges_and_cents_are_read(one, other, same):
    there = facts(other)
    assert all(any(fact.agrees(known) for known in there) for fact in facts(one)) is same


def test_a_number_of_fifty_thousand_digits_is_a_number() -> None:
    (fact,) = facts("1" * 50_000)
    assert not fact.agrees(facts("12")[0])


def test_no_number_in_words_is_taken_for_what_a_sentence_is_about() -> None:
    bare = word_keys("The house has rooms.")
    for word in sorted({*ENGLISH_NUMBERS} - {"zero"}):
        assert word_keys(f"The house has {word} rooms.") == bare, word
