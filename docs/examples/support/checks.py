"""The exercise's suite: constraints and grounding, which need no model, and judges when one is configured.

`evalspan score --input answers.jsonl --suite checks:SUITE` scores the stored answers, in this folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from evalspan.evaluators import Constraints, Grounding, Hallucination, Judge
from evalspan.evaluators.builtin.checks import (
    EndsWith,
    InLanguage,
    NoInventedPrices,
    NoRefundPromise,
    WordCount,
    no_competitors,
    no_jargon,
)
from evalspan.evaluators.builtin.private_data import NoPersonalData, OwnLinks

HELP_CENTRE = Path(__file__).with_name("help_centre.md").read_text(encoding="utf-8")

STYLE = (
    Constraints("support_rules")
    .add("8 to 150 words", WordCount(at_least=8, at_most=150))
    .add("in English", InLanguage("en"))
    .add("no competitor", no_competitors("Zendesk", "Intercom", "Front", "Ring"))
    .add("no internal jargon", no_jargon("P0", "L2 queue", "churn risk"))
    .add("closes politely", EndsWith(("let us know", "help@acme.example", "happy to help", "best regards")))
    .add("only prices of the help centre", NoInventedPrices((HELP_CENTRE,)))
    .add("no promise of a refund", NoRefundPromise())
    .add("no personal data", NoPersonalData(allowed=("@acme.example",)))
    .add("links only to acme.example", OwnLinks(("acme.example",)))
)

RULES = [STYLE, Grounding()]


def judges() -> list[Hallucination | Judge]:
    """Judges on JUDGE_MODEL (and JUDGE_BASE_URL for a compatible server); none when it is not set."""
    model = os.environ.get("JUDGE_MODEL")
    if not model:
        return []
    base_url = os.environ.get("JUDGE_BASE_URL")
    return [
        Hallucination(model=model, base_url=base_url),
        Judge("helpful", model=model, base_url=base_url, task="Answer a customer of Acme Desk from the help centre."),
    ]


SUITE = [*RULES, *judges()]
