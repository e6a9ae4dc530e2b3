"""The schema on a cluster: made by the real engine with both shards away, and asked by every query that there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evalspan.errors import StoreError
from evalspan.queries.store.cluster import cluster_of, on_cluster

NO_SHARD_ANSWERS = "279"
NO_TEXT_IN_A_SLOT = {"41", "42"}  # pages whose statements are completed in code


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    command = [
        sys.executable,
        str(Path(__file__).parent / "cluster_schema.py"),
        str(tmp_path_factory.mktemp("cluster")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_every_migration_is_accepted_by_distributed_tables_and_those_below_them(failures: list[list[str]]) -> None:
    assert [line for line in failures if line[0] != "rows" and not line[0].startswith("query")] == []


def test_a_shard_receives_decodes_and_prices_spans_while_all_others_are_away(failures: list[list[str]]) -> None:
    assert ["rows", "20"] in failures


def test_every_query_passes_the_analysis_of_distributed_tables(failures: list[list[str]]) -> None:
    asked = [line for line in failures if line[0].startswith("query")]
    assert len(asked) > 80
    pages = {line[0] for line in asked if line[1] in NO_TEXT_IN_A_SLOT}
    assert len(pages) < 8
    assert [line for line in asked if line[1] not in {NO_SHARD_ANSWERS, *NO_TEXT_IN_A_SLOT}] == []


@pytest.mark.parametrize(
    ("action", "distributed"),
    [
        ("ADD COLUMN IF NOT EXISTS a Nullable(Float64) CODEC(Gorilla, ZSTD(1)) AFTER b", "ADD COLUMN IF NOT EXISTS a Nullable(Float64) AFTER b"),
        ("MODIFY COLUMN a String CODEC(ZSTD(1, 22)) SETTINGS (min_compress_block_size = 1)", "MODIFY COLUMN a String"),
        ("MODIFY COLUMN a String DEFAULT concat('CODEC(', b)", "MODIFY COLUMN a String DEFAULT concat('CODEC(', b)"),
        ("MODIFY SETTING merge_max_block_size = 1024", None),
        ("ADD INDEX IF NOT EXISTS i a TYPE minmax", None),
        ("UPDATE a = 1 WHERE b", None),
        ("DELETE WHERE b SETTINGS mutations_sync = 2", None),
        ("MATERIALIZE COLUMN a", None),
        ("DROP PARTITION ID '20260101'", None),
        ("MODIFY TTL a + INTERVAL 1 DAY", None),
    ],
)  # fmt: skip
def test_a_distributed_table_is_altered_only_in_what_it_has(action: str, distributed: str | None) -> None:
    steps = on_cluster(f"ALTER TABLE spans {action}", "main", "evalspan")
    assert steps[0] == f"ALTER TABLE spans_local ON CLUSTER 'main' {action}"
    assert steps[1:] == ([f"ALTER TABLE spans ON CLUSTER 'main' {distributed}"] if distributed else [])


def test_small_tables_are_on_every_server_and_altered_by_their_replication() -> None:
    made = on_cluster(
        "CREATE TABLE IF NOT EXISTS alerts\n(a String)\nENGINE = ReplacingMergeTree(v)\nORDER BY a", "main", "d"
    )
    assert [one.split("\n")[-2] for one in made] == [
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}', v)"
    ]
    added = "ALTER TABLE alerts ADD COLUMN IF NOT EXISTS b String"
    assert on_cluster(added, "main", "d") == [added]


@pytest.mark.parametrize(
    ("there", "wanted", "found"),
    [
        ([], "", ""),
        ([], "main", "main"),
        ([("ReplacingMergeTree", "ReplacingMergeTree(ingested_at)")], "", ""),
        ([("ReplacingMergeTree", "ReplacingMergeTree(ingested_at)")], "main", None),
        ([("Distributed", "Distributed('main', 'evalspan', 'spans_local', cityHash64(trace_id))")], "", "main"),
        ([("Distributed", "Distributed('main', 'evalspan', 'spans_local', cityHash64(trace_id))")], "main", "main"),
        ([("Distributed", "Distributed('main', 'evalspan', 'spans_local', cityHash64(trace_id))")], "other", None),
    ],
)
def test_commands_find_the_cluster_of_a_store_and_never_mix_two_layouts(
    there: Any, wanted: str, found: str | None
) -> None:
    client: Any = SimpleNamespace(query=lambda *_, **__: SimpleNamespace(result_rows=there))
    if found is None:
        with pytest.raises(StoreError):
            cluster_of(client, "evalspan", wanted)
    else:
        assert cluster_of(client, "evalspan", wanted) == found
