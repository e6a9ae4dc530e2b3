"""What the product writes for itself is its owner's alone, whatever the umask: walked file by file under umask 000."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalspan.evaluators.response_cache import ResponseCache
from evalspan.queries.atomic_write import write_atomically

from ..collector.serving import JSON, Collector, serving, until
from ..collector.traffic import request_of
from .test_nothing_acknowledged_is_lost import TAIL

OPEN_TO_ALL = ("sh", "-c", 'umask 000; exec "$@"', "sh")
SCORE = (
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"gen_ai.evaluation.result","traceId":"%s","spanId":"%s",'
    '"attributes":[{"key":"gen_ai.evaluation.name","value":{"stringValue":"helpful"}},'
    '{"key":"gen_ai.evaluation.score.value","value":{"doubleValue":1}}]}]}]}]}'
)


def readable_by_others(folder: Path) -> list[str]:
    """Every file and folder below that others than its owner may use."""
    found = [folder, *folder.rglob("*")]
    assert len(found) > 1, "nothing was written"
    own = [one for one in found if not one.is_symlink()]  # whose own mode means nothing
    return [f"{oct(one.stat().st_mode)} {one}" for one in own if stat.S_IMODE(one.stat().st_mode) & 0o077]


@pytest.fixture
def umask_000() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def commands(service: Collector, folder: Path) -> None:
    for arguments in (["backup", str(folder / "backup")], ["status"]):
        command = [*OPEN_TO_ALL, sys.executable, "-m", "evalspan", *arguments, "--store", f"chdb://{service.path}"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)


def test_the_service_and_its_backup_leave_no_file_that_others_can_read(tmp_path: Path) -> None:
    path, log = tmp_path / "store", tmp_path / "elsewhere" / "log"
    settings = TAIL.replace("[receive]", f'[receive]\nlog_path = "{log}"')
    with serving(path, "--sql-port", "0", settings=settings, prefix=OPEN_TO_ALL) as service:
        for _ in range(3):
            assert service.post(request_of(20).SerializeToString()).status == 200
        score = SCORE % (uuid.uuid4().hex, uuid.uuid4().hex[:16])
        assert service.post(score.encode(), JSON, path="/v1/logs").status == 200
        until(lambda: any((log / "tail").glob("*")), 20)
        assert not readable_by_others(path)
        assert not readable_by_others(log)
        commands(service, tmp_path)
        assert service.stop() == 0
    for folder in (path, log, tmp_path / "backup"):
        assert not readable_by_others(folder)


def test_a_cache_of_answers_is_its_owners_alone(tmp_path: Path, umask_000: None) -> None:
    folder = tmp_path / "cache"
    ResponseCache(folder).put("abcdef", b"an answer")
    assert ResponseCache(folder).get("abcdef") == b"an answer"
    assert not readable_by_others(folder)


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644)])
def test_who_may_read_an_export_is_the_users_choice(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "cases.jsonl", b"{}\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "cases.jsonl").stat().st_mode) == mode


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    place = tmp_path / "cases.jsonl"
    place.touch(0o640)
    place.chmod(0o640)
    write_atomically(place, b"{}\n")
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
