"""What the allocation of judge calls is learned from: the traffic of a day and the scores of a week, by stratum."""

# ruff: noqa: S608 - what is put into the text is the operator's own condition and a stratum made of literals
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .literals import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .store.protocol import StoreClient

HISTORY_DAYS = 7
HALF_LIFE_DAYS = 1.5
"""Scores of this age count half: variances drift."""
_RECENT = f"exp2(-dateDiff('second', span_time, now64(3, 'UTC')) / 86400 / {HALF_LIFE_DAYS})"


def stratum_of(segment: str, proxy: str) -> str:
    """The stratum of a span as SQL: segment (an attribute), model, prompt version and the verdict of the cheap evaluator."""
    own = f"attributes[{literal(segment)}]" if segment else "''"
    judged = "''"
    if proxy:
        found = "(trace_id, span_id) IN (SELECT trace_id, span_id FROM evaluations WHERE name = {0} AND passed = '{1}')"
        name = literal(proxy)
        judged = f"multiIf({found.format(name, 'fail')}, 'fail', {found.format(name, 'pass')}, 'pass', '')"
    return f"concat({own}, '|', request_model, '|', prompt_name, ' ', prompt_version, '|', {judged})"


class AllocationStore:
    """Reads sizes and variances of strata, over an open store or through the service."""

    def __init__(self, store: StoreClient) -> None:
        self.store = store

    def strata(
        self, *, project: str, where: str, stratum: str, rule: str, evaluators: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """By stratum: size (calls of the last day by weight), n and variance of the rule's scores (the largest of its evaluators)."""
        parameters = {"project": project, "rule": rule, "names": list(evaluators)}
        scope = "({project:String} = '*' OR project = {project:String})"
        sizes = self.store.query(
            f"SELECT {stratum} AS stratum, sum(sample_weight) AS size FROM spans"
            f" WHERE {scope} AND ({where}) AND start_time >= now64(3, 'UTC') - INTERVAL 1 DAY GROUP BY stratum",
            parameters,
        ).dicts()
        scores = self.store.query(
            "SELECT stratum, max(total) AS n, max(variance) AS variance FROM (SELECT metadata['stratum'] AS stratum, name,"
            f" sum({_RECENT}) AS total, sum({_RECENT} * score) / total AS mean,"
            f" greatest(0, sum({_RECENT} * score * score) / total - mean * mean) AS variance"
            f" FROM evaluations WHERE {scope} AND metadata['rule'] = {{rule:String}} AND name IN {{names:Array(String)}}"
            f" AND score IS NOT NULL AND span_time >= now64(3, 'UTC') - INTERVAL {HISTORY_DAYS} DAY"
            " GROUP BY stratum, name) GROUP BY stratum",
            parameters,
        ).dicts()
        found = {str(row["stratum"]): {"size": float(row["size"]), "n": 0.0, "variance": 0.0} for row in sizes}
        for row in scores:
            if row["stratum"] in found:
                found[row["stratum"]] |= {"n": float(row["n"]), "variance": float(row["variance"])}
        return found
