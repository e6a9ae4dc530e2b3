"""Rows are kept, moved and deleted as their owner says, also while the service takes spans."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest

from evalspan.errors import QueryError
from evalspan.queries.store.client import connect

from ..collector.serving import Collector, rows_of, serving
from ..collector.traffic import request_of


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evalspan", *arguments], capture_output=True, text=True, check=False, timeout=180
    )


def arrived(service: Collector, wanted: int) -> None:
    store = f"chdb://{service.path}"
    for _ in range(150):
        done = command("sql", "SELECT count() FROM spans", "--store", store, "--format", "csv")
        if done.stdout.split()[-1:] == [str(wanted)]:
            return
        time.sleep(0.2)
    raise AssertionError(done.stdout + done.stderr)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("keep") / "store"
    with serving(path, "--sql-port", "0") as collector:
        for user in ("ann", "bob"):
            body = request_of(20, attributes={"user.id": user, "gen_ai.conversation.id": f"talk-{user}"})
            assert collector.post(body.SerializeToString()).status == 200
        arrived(collector, 40)
        yield collector


def test_a_backup_of_a_running_service_is_restored_with_every_row_and_column(service, tmp_path) -> None:
    folder, target = tmp_path / "backup", tmp_path / "restored"
    done = command("backup", str(folder), "--store", f"chdb://{service.path}")
    assert done.returncode == 0, done.stderr
    again = command("backup", str(folder), "--store", f"chdb://{service.path}")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    restored = command("restore", str(folder), "--store", f"chdb://{target}")
    assert restored.returncode == 0, restored.stderr
    everything = "SELECT count(), sum(cityHash64(toString(tuple(*))) % 1000003) FROM spans"
    direct = command("sql", everything, "--store", f"chdb://{service.path}", "--format", "jsonl")
    assert rows_of(target, everything)[0] == [int(n) for n in json.loads(direct.stdout).values()]
    twice = command("restore", str(folder), "--store", f"chdb://{target}")
    assert twice.returncode == 2
    assert "is not empty: 40 rows in spans" in twice.stderr


def test_a_statement_that_fails_after_its_first_rows_leaves_no_error_among_the_rows_of_a_backup(service) -> None:
    fails_late = "SELECT throwIf(number = 900000) FROM numbers(1000000) FORMAT CSV"
    with connect(f"chdb://{service.path}") as store, pytest.raises(QueryError, match="non-zero"):
        for _ in store.stream_untrusted(fails_late):
            pass
    done = command("sql", fails_late, "--store", f"chdb://{service.path}")
    assert done.returncode != 0
    assert "__exception__" not in done.stdout


@pytest.mark.parametrize("harm", ["flip", "remove", "manifest"])
def test_a_damaged_backup_is_refused_before_a_row_goes_in(harm, service, tmp_path) -> None:
    folder, target = tmp_path / "backup", tmp_path / "restored"
    assert command("backup", str(folder), "--store", f"chdb://{service.path}").returncode == 0
    victim = next((folder / "spans").iterdir())
    if harm == "flip":
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
    elif harm == "remove":
        victim.unlink()
    else:
        (folder / "manifest.json").unlink()
    refused = command("restore", str(folder), "--store", f"chdb://{target}")
    assert refused.returncode == 2, refused.stderr
    assert rows_of(target, "SELECT count() FROM spans") == [[0]]


def test_a_manifest_that_names_other_tables_is_refused_before_a_row_goes_in(service, tmp_path) -> None:
    folder = tmp_path / "backup"
    assert command("backup", str(folder), "--store", f"chdb://{service.path}").returncode == 0
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace('"table": "spans"', '"table": "spans_2"'))
    refused = command("restore", str(folder), "--store", f"chdb://{tmp_path / 'restored'}")
    assert refused.returncode == 2, refused.stderr
    assert "names tables that no store has: spans_2" in refused.stderr


def test_a_folder_that_is_no_backup_makes_no_store(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused = command("restore", str(tmp_path / "empty"), "--store", f"chdb://{tmp_path / 'restored'}")
    assert refused.returncode == 2
    assert "no complete backup" in refused.stderr
    assert not (tmp_path / "restored").exists()


def test_a_backup_does_not_go_where_the_store_is(service: Collector) -> None:
    for place in (service.path / "backup", service.path / "log" / "backup"):
        refused = command("backup", str(place), "--store", f"chdb://{service.path}")
        assert refused.returncode == 2
        assert "lies in the store" in refused.stderr
        assert not place.exists()


def test_exported_spans_are_parquet_files_by_day_with_every_row(service: Collector, tmp_path: Path) -> None:
    done = command("export", "spans", "--to", str(tmp_path / "out"), "--store", f"chdb://{service.path}")
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert sorted(map(str, (tmp_path / "out").iterdir())) == sorted(files)
    assert sum(len(pyarrow.parquet.read_table(path)) for path in files) == 40


def test_erasing_a_user_leaves_the_others_and_counts_first(service: Collector) -> None:
    store = f"chdb://{service.path}"
    counted = command("erase", "--user", "ann", "--store", store, "--format", "jsonl")
    assert {row["table"]: row["rows"] for row in map(json.loads, counted.stdout.splitlines())}["spans"] == 20
    assert "nothing deleted" in counted.stderr
    erased = command("erase", "--user", "ann", "--yes", "--store", store)
    assert erased.returncode == 0, erased.stderr
    arrived(service, 20)
    nobody = command("erase", "--user", "ann", "--yes", "--store", store)
    assert nobody.returncode == 2
    assert "has nothing of user 'ann'" in nobody.stderr
    refused = service.request("POST", "/api/v1/erase", b'{"user": "bob", "project": "default"}')
    assert refused.status == 403
    arrived(service, 20)


def test_two_embedded_stores_are_copied_by_backup_and_restore(tmp_path: Path) -> None:
    done = command("copy-store", f"chdb://{tmp_path}/a", f"chdb://{tmp_path}/b")
    assert done.returncode == 2
    assert "evalspan backup" in done.stderr
