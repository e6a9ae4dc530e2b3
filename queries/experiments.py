"""The tables `experiments` and `experiment_results`: runs on record, so that trends over them are SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store.protocol import StoreClient

ONE = """
SELECT experiment_id, name, config
FROM experiments
WHERE project = {project:String} AND (experiment_id = {key:String} OR name = {key:String})
ORDER BY started_at DESC
LIMIT 1
"""

RESULTS = """
SELECT metrics
FROM experiment_results
WHERE project = {project:String} AND experiment_id = {experiment_id:String}
ORDER BY example_id, repeat
"""

LIST = """
SELECT e.experiment_id AS experiment_id, e.name AS name, e.dataset AS dataset, e.target AS target, e.model AS model,
    e.prompt_version AS prompt_version, e.git_sha AS git_sha, e.status AS verdict, e.started_at AS started_at,
    count() AS cases, countIf(r.passed = 'pass') AS passed, countIf(r.passed = 'unknown') AS unmeasured,
    passed / cases AS pass_rate, avg(r.latency_ms) AS avg_latency_ms
FROM experiments AS e
INNER JOIN experiment_results AS r ON r.project = e.project AND r.experiment_id = e.experiment_id
WHERE e.project = {project:String}
GROUP BY ALL
ORDER BY started_at DESC
LIMIT {limit:UInt32}
"""


def store_experiment(store: StoreClient, experiment: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> None:
    """Writes one run; written again under the same id it replaces itself."""
    store.insert("experiment_results", results)
    store.insert("experiments", [experiment])  # last: a run is on record when its results are


def stored_experiment(store: StoreClient, key: str, project: str = "default") -> tuple[str, list[str]] | None:
    """The record (JSON) and the results (JSON each) of the newest run with this id or name, None when there is none."""
    found = store.query(ONE, {"project": project, "key": key}).dicts()
    if not found:
        return None
    parameters = {"project": project, "experiment_id": found[0]["experiment_id"]}
    return found[0]["config"], [row[0] for row in store.query(RESULTS, parameters).rows]
