"""Hallucination by claims: a judge splits the output and compares each claim with the context; we check the judge.

Quoted evidence must stand in the context and agree with the claim's numbers, and the score is counted from the claims,
whatever the judge itself says about it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Unpack, get_args

import msgspec

from ...errors import UsageError
from ..contract import Direction, Score, Unscored, fingerprint, unscored_by
from ..judges.connection import Connection, caller_for
from ..judges.fencing import find_injections, strip_injections
from ..judges.material import asked_text, render_material, subject_of
from ..judges.prompts import Prompt, load_prompt
from ..judges.providers import Message, Request
from ..judges.self_preference import self_preference_warning
from ..judges.structured import Unusable, Verdict, add_costs, ask_structured, parse_json, schema_of
from ..text.facts import facts
from ..text.passages import labelled_text, passage_text, source_of_evidence
from ..text.tokens import unicode_tokens
from .claim_by_claim import OneClaim, check_each
from .grounding import Grounding, contradicts

Status = Literal["SUPPORTED", "UNSUPPORTED", "REASONABLE_INFERENCE", "NOT_CHECKABLE"]
Splitting = Literal["auto", "judge", "clauses"]
_CANNOT_LIST = (
    "the judge cannot list claims (its list goes in circles), so each clause was checked by itself; "
    'claims="clauses" asks so from the start'
)
VETOES = ("number", "feature", "scope")
"""Findings of the rules that stand against a judge who passed them over."""
_EVIDENCE_SHARE = 0.8  # of a quote's runs of three words; judges drop a comma or mend a capital
FALSE_POSITIVE_ADVICE = (
    "if people disagree with many of these: the context may be too sparse (give the judge all that the model saw), or "
    "inferences are counted as inventions (they have a status of their own, REASONABLE_INFERENCE)"
)


class Claim(msgspec.Struct, frozen=True):
    """One claim as the judge sees it."""

    claim: str
    status: Status
    evidence: str | None = None


class Claims(msgspec.Struct, frozen=True):
    """What the judge must answer."""

    claims: list[Claim]


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of an output, checked, whoever split it."""

    by: Literal["judge", "clauses"]
    claims: list[dict[str, Any]]
    cost_usd: float | None
    repaired: bool
    warning: str | None = None


class Hallucination:
    """Share of the checkable claims that the context supports or lets infer, in [0, 1]; one unsupported claim fails.

    `claims` says who splits the output: "judge" (it lists the claims), "clauses" (each clause is checked by rule and, where
    no rule settles it, put to the judge by itself: for small models) or "auto" (the judge, and the clauses where it cannot
    list: its answer goes in circles until it is cut off).
    `details` hold `claims` (claim, status, evidence, and `corrected` where the judge's status did not stand),
    `overall_faithfulness_score` and `has_hallucinations`, both counted here. Without a context or a checkable claim the
    result is Unscored. The judge runs at temperature 0.
    `calibration` says on which human labels it was checked (50 with every claim labelled are needed before production). Keywords beyond `model` are those of `Connection`.
    """

    kind = "hallucination"
    source = "llm_judge"
    direction: Direction = "higher"
    threshold: float | None = None
    timeout_s = 300.0

    def __init__(
        self,
        name: str = "hallucination",
        *,
        model: str,
        claims: Splitting = "auto",
        prompt: str | Path | Prompt = "claims",
        subject_model: str | None = None,
        calibration: str | None = None,
        max_tokens: int = 2000,
        **connection: Unpack[Connection],
    ) -> None:
        self.name = name
        self.subject_model = subject_model
        self.calibration = calibration
        if claims not in get_args(Splitting):
            raise UsageError(f"claims={claims!r} is unknown", hint='there are "auto", "judge" and "clauses"')
        self.claims = claims
        self.prompt = load_prompt(prompt, slots=("material",))
        self._one = load_prompt("claim", slots=("material",))
        self.model, self._caller = caller_for(model, connection)
        self._max_tokens = max_tokens

    @property
    def calibrated(self) -> bool:
        """Whether it was held against human labels, as `calibration` says."""
        return self.calibration is not None

    @property
    def version(self) -> str:
        """A fingerprint of model, prompt and the rules that check the judge."""
        prompts = (self.prompt.fingerprint, self._one.fingerprint)
        return fingerprint("hallucination-3", self._caller.identity, self.model, self.claims, *prompts)

    def printed_prompt(self) -> str:
        """The prompt as the model gets it, with slots where the judged texts go."""
        system, user = self.prompt.render(nonce="{{nonce}}", material="{{material}}")
        return f"# {self.prompt.name} {self.prompt.version} ({self.prompt.fingerprint})\n\n{system}\n\n{user}"

    async def evaluate(
        self,
        *,
        input: Any = None,  # noqa: A002
        output: Any = None,
        context: Any = None,
        span: Any = None,
        **_: Any,
    ) -> Score | Unscored:
        """The score of an output against its context."""
        text, passages = passage_text(output), labelled_text(context)
        if not passages.strip():
            return Unscored("no context to check the output against")
        if not text.strip():
            return Unscored("no checkable claim: the output is empty")
        # Where the output speaks to the judge, it is also judged without those sentences, and all claims count.
        texts = [text, strip_injections(text)] if find_injections(text) else [text]
        try:
            found = await self._check(input, context, texts)
        except Unusable as error:
            return unscored_by(error, {"cost_usd": error.cost_usd, "judge_model": self.model})
        except Exception as error:  # noqa: BLE001 - whatever the judge's endpoint did, there is no score
            return unscored_by(error, {"judge_model": self.model})
        checked = found.claims
        if found.by == "judge":  # clauses have gone through these rules
            checked += unlisted_findings(text, passage_text(context), input, checked)
        for claim in checked:
            if source := source_of_evidence(context, claim.get("evidence")):
                claim["source"] = source
        self_preference = self_preference_warning(self.model, subject_of(span, self.subject_model))
        details = {
            "claims": checked,
            "calibration": self.calibration or "uncalibrated",
            "judge_model": self.model,
            "prompt": f"{self.prompt.name} {self.prompt.version} ({self.prompt.fingerprint})",
            "claims_by": found.by,
            "repaired": found.repaired,
            "orders_to_the_judge": len(texts) > 1,
            "warnings": [one for one in (self_preference, found.warning) if one],
            "cost_usd": found.cost_usd,
        }
        return _score(checked, details)

    __call__ = evaluate

    async def _check(self, question: Any, context: Any, texts: list[str]) -> _Found:
        """The checked claims of all texts. Raises Unusable, and what the judge's endpoint raises."""
        if self.claims == "clauses":
            return await self._by_clause(question, context, texts)
        passages = labelled_text(context)
        try:
            verdicts = [await self._ask(asked_text(question), passages, one) for one in texts]
        except Unusable as error:
            if self.claims == "judge" or not error.endless:
                raise
            return await self._by_clause(question, context, texts, listing=error)
        claims = dict.fromkeys(claim for verdict in verdicts for claim in verdict.value.claims)
        return _Found(
            by="judge",
            claims=[check_claim(claim, passages) for claim in claims],
            cost_usd=add_costs(*(verdict.cost_usd for verdict in verdicts)),
            repaired=any(verdict.repaired for verdict in verdicts),
        )

    async def _by_clause(
        self, question: Any, context: Any, texts: list[str], *, listing: Unusable | None = None
    ) -> _Found:
        spent = listing.cost_usd if listing else 0.0
        try:
            found = [await check_each(one, context, question, self._ask_one) for one in texts]
        except Unusable as error:
            raise Unusable(str(error), cost_usd=add_costs(spent, error.cost_usd)) from None
        claims = {one["claim"]: one for each in found for one in each.claims}
        return _Found(
            by="clauses",
            claims=list(claims.values()),
            cost_usd=add_costs(spent, *(one.cost_usd for one in found)),
            repaired=any(one.repaired for one in found),
            warning=_CANNOT_LIST if listing else None,
        )

    async def _ask_one(self, clause: str, passages: str) -> Verdict:
        def build(nonce: str) -> Request:
            system, user = self._one.render(
                nonce=nonce, material=render_material(nonce, passages=passages, claim=clause)
            )
            return Request(self.model, system, (Message("user", user),), 0.0, 64, "claim", schema_of(OneClaim))

        return await ask_structured(
            self._caller, build, lambda reply: parse_json(reply, OneClaim), texts=(passages, clause)
        )

    async def _ask(self, question: str, passages: str, text: str) -> Verdict:
        def build(nonce: str) -> Request:
            material = render_material(nonce, question=question, context=passages, response=text)
            system, user = self.prompt.render(nonce=nonce, material=material)
            return Request(
                self.model, system, (Message("user", user),), 0.0, self._max_tokens, "claims", schema_of(Claims)
            )

        texts = (question, passages, text)
        return await ask_structured(self._caller, build, lambda reply: parse_json(reply, Claims), texts=texts)


def check_claim(claim: Claim, context: str) -> dict[str, Any]:
    """The claim with the status that stands: SUPPORTED needs evidence that is in the context and has its numbers."""
    checked: dict[str, Any] = msgspec.to_builtins(claim)
    if claim.status not in ("SUPPORTED", "REASONABLE_INFERENCE"):
        return checked
    problem = None
    if not claim.evidence:
        problem = "no evidence was quoted" if claim.status == "SUPPORTED" else None
    elif not is_quoted(claim.evidence, context):
        problem = "the quoted evidence is not in the context"
    elif claim.status == "SUPPORTED":
        stated = facts(claim.evidence, bare_words=True)
        missing = [fact.text for fact in facts(claim.claim) if not any(fact.agrees(one) for one in stated)]
        problem = f"the evidence does not say {', '.join(missing)}" if missing else None
        if problem is None and contradicts(claim.claim, claim.evidence):
            problem = "the evidence says the opposite"
    return {**checked, "status": "UNSUPPORTED", "corrected": problem} if problem else checked


def unlisted_findings(text: str, context: str, asked: Any, checked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the rules of `Grounding` find and the judge passed over: a wrong figure, an invented feature, what only others have."""
    judged = Grounding()(text, context, input=asked)
    if isinstance(judged, Unscored):
        return []
    unsupported = " ".join(one["claim"] for one in checked if one["status"] == "UNSUPPORTED").casefold()
    return [
        {
            "claim": one["text"],
            "status": "UNSUPPORTED",
            "evidence": one["evidence"],
            "corrected": f"found by rule: {one['kind']}",
        }
        for one in judged.details["findings"]
        if one["kind"] in VETOES and one["text"].casefold() not in unsupported
    ]


def is_quoted(evidence: str, context: str) -> bool:
    """Whether the evidence stands in the context, but for case, punctuation and the odd word."""
    quote, words = unicode_tokens(evidence), unicode_tokens(context)
    length = min(3, len(quote))
    if not length:
        return False
    known = {tuple(words[n : n + length]) for n in range(len(words) - length + 1)}
    runs = [tuple(quote[n : n + length]) for n in range(len(quote) - length + 1)]
    return sum(run in known for run in runs) >= _EVIDENCE_SHARE * len(runs)


def _score(claims: list[dict[str, Any]], details: dict[str, Any]) -> Score | Unscored:
    checkable = [one for one in claims if one["status"] != "NOT_CHECKABLE"]
    if not checkable:
        return Unscored("no checkable claim in the output", details)
    invented = [one["claim"] for one in checkable if one["status"] == "UNSUPPORTED"]
    value = 1 - len(invented) / len(checkable)
    return Score(
        value,
        label="hallucinated" if invented else "faithful",
        passed=not invented,
        explanation=f"not supported: {'; '.join(invented)}" if invented else "every checkable claim is supported",
        details={**details, "overall_faithfulness_score": value, "has_hallucinations": bool(invented)},
    )
