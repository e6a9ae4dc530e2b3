"""Deterministic grounding: what it catches, what it must let pass, and when it does not judge."""

import json
from pathlib import Path

import pytest

from evalspan.evaluators import Grounding, run_evaluator
from evalspan.evaluators.text.facts import facts
from evalspan.evaluators.text.propositions import word_keys
from evalspan.evaluators.text.support import read_support

HELP = """Acme Desk is a support inbox for small teams. The Starter plan costs $29 per month and includes 3 agents, email support and a shared inbox. The Pro plan costs $49 per user per month and includes unlimited agents, live chat, single sign-on and audit logs. The Starter plan does not include single sign-on.

Yearly billing saves 20%. We accept Visa, Mastercard and PayPal.

You can cancel at any time from Settings. Refunds are available within 30 days of the first purchase; after 30 days payments are non-refundable. API access is included in the Enterprise plan only. Support answers Monday to Friday, 9am to 5pm."""
FAITHFUL = [
    "The Pro plan is $49 per user each month. It includes live chat, single sign-on, and audit logs.",
    "Hi there! You can cancel at any time under Settings. Let me know if you need anything else!",
    "Starter is 29 dollars a month and comes with 3 agents, a shared inbox and email support.",
    "Refunds can be requested within thirty days of the first purchase. After that, payments are non-refundable.",
    "1. Choose yearly billing. 2. You save 20 percent.",
    "SSO isn't included in the Starter plan; you would need the Pro plan.",
    "API access is only available on the Enterprise plan.",
    "Our support answers Monday to Friday between 9:00 and 17:00.",
    "**Pro**: $49 per user per month, with unlimited agents.",
]
UNFAITHFUL = [
    ("number", "The Pro plan costs $79 per user per month and includes live chat."),
    ("number", "The Pro plan costs $49 per user per year."),
    ("number", "The Pro plan costs €49 per user per month."),
    ("number", "The Starter plan costs $49 per month."),  # a price of the context, but of another plan
    ("number", "Refunds are available within 30 months of the first purchase."),
    ("number", "Yearly billing saves 30%."),
    ("number", "Support answers Monday to Friday, 9am to 8pm."),
    ("feature", "The Pro plan includes live chat, audit logs and a built-in voice assistant."),
    ("name", "We accept Visa, Mastercard, PayPal and Bitcoin."),
    ("negation", "The Starter plan includes single sign-on."),
    ("negation", "The Pro plan does not include live chat, single sign-on and audit logs."),
    ("negation", "You cannot cancel at any time from Settings."),
    ("negation", "Payments are refundable after 30 days."),
    ("scope", "API access is included in the Starter plan."),
    ("coverage", "Our ticket vault encrypts conversations with quantum keys."),
]


@pytest.mark.parametrize("output", FAITHFUL)
async def test_h09_faithful_answers_pass(output):
    outcome = await run_evaluator(Grounding(), output=output, context=HELP)
    assert outcome.passed is True, outcome.explanation
    assert outcome.value >= 0.5


@pytest.mark.parametrize(("kind", "output"), UNFAITHFUL)
async def test_h09_b38_unfaithful_answers_fail_with_the_reason(kind, output):
    outcome = await run_evaluator(Grounding(), output=output, context=HELP)
    assert outcome.passed is False
    assert kind in [finding["kind"] for finding in outcome.details["findings"]]


@pytest.mark.parametrize(
    ("output", "context", "reason"),
    [
        ("The plan costs $49.", None, "no context"),
        ("The plan costs $49.", ["", " "], "no context"),
        ("Is there anything else?", HELP, "nothing in the output is checkable"),
        ("", HELP, "nothing in the output is checkable"),
        (None, HELP, "nothing in the output is checkable"),
    ],
)
async def test_b35_without_context_or_claims_nothing_is_scored(output, context, reason):
    outcome = await run_evaluator(Grounding(), output=output, context=context)
    assert outcome.value is None
    assert reason in outcome.unscored


def test_contexts_may_be_passages_documents_or_messages():
    for context in (
        ["Pro costs $49.", "Basic costs $19."],
        [{"page_content": "Pro costs $49."}],
        [{"role": "tool", "parts": [{"type": "text", "content": "Pro costs $49."}]}],
        {"documents": "x", "text": "Pro costs $49."},
    ):
        assert Grounding()("Pro costs $49.", context).passed is True
        assert Grounding()("Pro costs $79.", context).passed is False


def test_lists_of_names_with_prices_are_not_mixed_up():
    context = "Three tiers: Basic at $19 per month, Professional at $49 per month, and Enterprise."
    assert Grounding()("Professional costs $49 per month.", context).passed is True
    assert Grounding()("Basic costs $49 per month.", context).passed is False


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("$1,200", "1200 dollars", True),
        ("USD 1.2k", "$1,200", True),
        ("€1.200,50", "EUR 1200.50", True),
        ("two weeks", "14 days", True),
        ("12 months", "1 year", True),
        ("30 days", "30 hours", False),
        ("30 days", "30", True),
        ("15%", "15 percent", True),
        ("15%", "$15", False),
        ("March 3, 2026", "2026-03-03", True),
        ("3 March", "2026-03-03", True),
        ("March 4, 2026", "2026-03-03", False),
        ("5:30 pm", "17:30", True),
        ("500 MB", "0.5 GB", True),
        ("twenty-five days", "25 days", True),
        ("$49/mo", "$49 monthly", True),
        ("$49/mo", "$49 yearly", False),
        ("$49", "$49 yearly", True),
    ],
)
def test_facts_agree_whatever_way_they_are_written(one, other, same):
    (first,), (second,) = facts(one), facts(other)
    assert first.agrees(second) is same
    assert second.agrees(first) is same


PAGES = json.loads((Path(__file__).parent / "grounding_pages.json").read_text())


@pytest.mark.parametrize(("split", "least", "most"), [("dev", 0.92, 0.0), ("unseen", 0.85, 0.1)])
def test_wrong_answers_on_pages_of_other_domains_are_caught_and_right_ones_pass(split, least, most):
    """The published figures: rules were written on `dev` alone; `unseen` was only measured."""
    grounding = Grounding()
    pages = [page for page in PAGES.values() if page["split"] == split]
    caught = [grounding(text, page["page"]).passed is False for page in pages for text in page["wrong"]]
    alarms = [
        getattr(grounding(text, page["page"]), "passed", None) is False for page in pages for text in page["right"]
    ]
    assert sum(caught) / len(caught) >= least
    assert sum(alarms) / len(alarms) <= most


RULES_PAGE = (
    "Small has 5 GB and costs 8 euros, Large has unlimited data and costs 25 euros. 5G is available in Large, not in Small. "
    "The sauna is for members only. Meals are served on flights longer than four hours. Parking is free; charging costs 3 euros. "
    "A bag costs 35 euros online and 55 euros at the counter. A guest may come once a month. Results come after three days and are "
    "never sent by e-mail. We do not carry birds or reptiles. You pay a fifth of every bill. Tours last ninety minutes. "
    "The desk accepts only cards. Pro includes everything in Small and chat support. Children travel only with an adult."
)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Large has unlimited data.", "Small has unlimited data."),
        ("Small costs 8 euros.", "Large costs 8 euros."),
        ("5G is available in Large.", "5G is available in all plans."),
        ("5G isn't available in Small.", "5G is available in Large and Small."),
        ("Only members can use the sauna.", "All visitors can use the sauna."),
        ("Meals are served on flights of more than four hours.", "Meals are served on all flights."),
        ("Parking is free.", "Charging is free."),
        ("A bag costs 55 euros at the counter.", "A bag costs 35 euros at the counter."),
        ("One guest may come per month.", "Two guests may come per month."),
        ("Results come after three days.", "Results are sent by e-mail."),
        ("Birds are not carried.", "We carry birds."),
        ("You pay 20 percent of every bill.", "You pay a tenth of every bill."),
        ("Tours last one and a half hours.", "Tours last half an hour."),
        ("The desk accepts cards.", "The desk accepts cards and cash."),
        ("Pro includes 5 GB and chat support.", "Small includes chat support."),
        ("Children travel only with an adult.", "Children may travel without an adult."),
    ],
)
def test_a_figure_a_limit_or_an_item_of_another_thing_is_found_and_the_right_one_passes(right, wrong):
    assert Grounding()(right, RULES_PAGE).passed is True, Grounding()(right, RULES_PAGE).explanation
    assert Grounding()(wrong, RULES_PAGE).passed is False


def test_what_a_story_tells_in_several_sentences_may_be_joined():
    story = "Police said the van was robbed in Glasgow. Three men took the cash. The car was found near a college on Monday."
    assert Grounding()("A van was robbed by three men and the car was found near a college.", story).passed is True


def test_an_invented_item_among_true_ones_and_what_others_have_are_found():
    page = "Pro includes rules and surveys. Single sign-on and audit log are only part of Enterprise. There is no mobile app."
    found = Grounding()("Pro includes rules, surveys and a mobile app for iOS.", page)
    assert found.details["findings"][0]["evidence"] == "There is no mobile app."
    assert Grounding()("Pro includes rules, an audit log and surveys.", page).passed is False
    assert Grounding()("Enterprise includes the audit log.", page).passed is True
    assert Grounding()("There is no mobile app.", page).passed is True


def test_the_passages_nearest_to_a_statement_are_those_that_hold_most_of_its_rare_words() -> None:
    support = read_support(
        "Basic costs $5. Basic has chat. Pro costs $9 and has chat and audit logs. Pro is for teams."
    )
    for text in ("Pro has audit logs", "Basic has chat", "Pro costs $9", "unknown things"):
        keys = word_keys(text)
        shares = [support._share(keys, unit.keys) for unit in support.units]
        best, near = support._near(keys)
        assert best == pytest.approx(max(shares))
        wanted = [unit for unit, share in zip(support.units, shares, strict=True) if share >= 0.9 * max(shares) > 0]
        assert near == wanted
