"""Checks an output clause by clause, for judges that cannot list claims: rules first, then one short question for each clause.

A clause that the rules of `Grounding` refute, or that a passage says nearly word for word, is settled without the
judge; every other clause is put to it with the passages closest to it, and it answers with one of two words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from ..contract import Unscored
from ..judges.structured import Verdict, add_costs
from ..text.context import Clause, Context, clauses, read_context
from ..text.facts import facts
from ..text.passages import content_stems, is_negated, passage_text
from .grounding import Grounding, is_checkable

CLOSEST = 3
"""Passages that the judge is shown with a clause."""
_SAID = 0.9
"""Share of a clause's content words (by rarity) that one passage holds when it says the clause nearly word for word."""
_SAID_RUNS = 0.5
"""Share of the clause's runs of two words that stand in the context then; the same words in another order say other things."""


class OneClaim(msgspec.Struct, frozen=True):
    """What the judge must answer about one clause."""

    status: Literal["SUPPORTED", "UNSUPPORTED"]


AskClaim = Callable[[str, str], Awaitable[Verdict]]
"""Puts a clause and its closest passages to the judge."""


class Checked(msgspec.Struct, frozen=True):
    """The claims with their statuses, what the judge's part cost, and whether an answer of it was repaired."""

    claims: list[dict[str, Any]]
    cost_usd: float | None
    repaired: bool


async def check_each(text: str, context: Any, asked: Any, ask: AskClaim) -> Checked:
    """Every clause of the text with its status, its evidence and who decided it ("rule" or "judge").

    Raises what `ask` raises.
    """
    passages = passage_text(context)
    known = read_context(passages)
    found, cost, repaired = [], 0.0, False
    total: float | None = cost
    for clause in clauses(text):
        if not is_checkable(clause):
            found.append({"claim": clause, "status": "NOT_CHECKABLE", "evidence": None})
            continue
        settled = _refuted(clause, passages, asked) or _said(clause, known)
        if settled is None:
            closest = _closest(clause, known)
            verdict = await ask(clause, "\n".join(one.text for one in closest))
            total, repaired = add_costs(total, verdict.cost_usd), repaired or verdict.repaired
            settled = _judged(clause, verdict.value.status, closest)
        found.append({"claim": clause, **settled})
    return Checked(found, total, repaired)


def _refuted(clause: str, passages: str, asked: Any) -> dict[str, Any] | None:
    judged = Grounding()(clause, passages, input=asked)
    # "coverage" only says that other words were used: that is the judge's question.
    findings = [] if isinstance(judged, Unscored) else [one for one in judged.details["findings"] if one["kind"] != "coverage"]  # fmt: skip
    if not findings:
        return None
    said = "; ".join(f"{one['kind']} {one['text']!r}" for one in findings)
    return {"status": "UNSUPPORTED", "evidence": findings[0]["evidence"], "decided_by": "rule", "rule": said}


def _said(clause: str, known: Context) -> dict[str, Any] | None:
    stems = content_stems(clause)
    for share, one in zip(known.overlaps(stems), known.clauses, strict=True):
        if share >= _SAID and known.runs(clause, 2) >= _SAID_RUNS and _agrees(clause, one):
            return {"status": "SUPPORTED", "evidence": one.text, "decided_by": "rule"}
    return None


def _agrees(clause: str, passage: Clause) -> bool:
    stated = all(any(fact.agrees(other) for other in passage.facts) for fact in facts(clause))
    return stated and is_negated(clause) == is_negated(passage.text)


def _closest(clause: str, known: Context) -> list[Clause]:
    ranked = sorted(zip(known.overlaps(content_stems(clause)), known.clauses, strict=True), key=lambda one: -one[0])
    return [one for _, one in ranked[:CLOSEST]]


def _judged(clause: str, status: str, shown: list[Clause]) -> dict[str, Any]:
    """The judge's status, which does not stand where no passage that it was shown has the clause's figures."""
    judged = {"status": status, "evidence": shown[0].text if shown else None, "decided_by": "judge"}
    stated = [fact for one in shown for fact in one.facts]
    missing = [fact.text for fact in facts(clause) if not any(fact.agrees(one) for one in stated)]
    if status == "SUPPORTED" and missing:
        judged |= {"status": "UNSUPPORTED", "corrected": f"the evidence does not say {', '.join(missing)}"}
    return judged
