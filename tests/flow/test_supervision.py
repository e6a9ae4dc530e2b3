"""Every thread and task of the service: each is started again after an exception, counted and shown, and none runs unwatched."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..collector.serving import Collector, rows_of, serving, until
from ..collector.traffic import request_of
from . import failing_parts
from .failing_parts import TASKS_FILE
from .test_parts_of_the_service import readiness

ROOT = Path(__file__).resolve().parents[2]
LOGS = ("spans", "scores", "messages")
PARTS = {
    *(f"{what} {log}" for what in ("log", "old segments", "inserter") for log in LOGS),
    "online_evaluation", "aggregates", "alerts", "sink notes", "retention", "prompts", "nesting",
}  # fmt: skip
SETTINGS = """
[evaluation]
poll_s = 0.2
aggregates_every_s = 3600
[[evaluation.rules]]
name = "watch"
evaluators = ["supervised_evaluators:points"]
quiet_s = 0
[[alerts.sinks]]
name = "notes"
kind = "log"
"""
EVALUATORS = """
from evalspan.evaluators import evaluator

@evaluator(name="points", version="1", inline=True)
def points(output):
    return 1.0
"""
# What runs for one request, or is the library's own, and ends with it.
KNOWN = (
    r"thread (MainThread|asyncio_\d+|sync \w+_\d|parse(-large)?_\d|sql(-page)?_\d+|inserter \w+|online evaluation)",
    r"task .*Supervisor\.keep_running\b.*",
    r"task _keep_running > Supervisor\.keep_running\b.*",
    r"task (_serve|Service\.run)\b.*",
    r"task RequestHandler\.start\b.*",
    r"task (\w+\.)*Watcher\._follow\b.*",  # in the group of the part "alerts", which ends with the first that raises
    r"task (RequestHandler\._handle_request|SqlPort\._answer)\b.*",  # one request and its statement, under way at that moment
    r"task Event\.wait\b.*",  # inside asyncio.wait_for
    r"thread Thread-\d+ \(_poll_wrapper\)",  # gRPC's own
    r"task .*(AioServer|_server_main_loop|_handle_rpc|Server\.\w+).*",  # gRPC's own
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("supervised")
    (folder / "supervised_evaluators.py").write_text(EVALUATORS)
    program = (failing_parts.__file__,)
    flags = ("--sql-port", "0", "--grpc-port", "0")
    with serving(folder / "store", *flags, settings=SETTINGS, program=program) as running:
        yield running


def test_each_part_is_started_again_after_an_exception_counted_and_shown(service: Collector) -> None:
    def back() -> set[str]:
        parts = readiness(service)[1]["parts"]
        return {name for name, one in parts.items() if one["restarts"] and one["state"] == "ok"}

    until(lambda: back() >= PARTS, 60)
    restarted = {name: one["restarts"] for name, one in readiness(service)[1]["parts"].items() if one["restarts"]}
    assert restarted == dict.fromkeys(PARTS, 1), "once each; a part that is new belongs into PARTS"
    numbers = service.metrics()
    assert all(numbers[f'part_restarts_total{{part="{part}"}}'] == 1 for part in PARTS)
    command = [sys.executable, "-m", "evalspan", "status", "--store", f"chdb://{service.path}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=service.path.parent).stderr
    assert all(re.search(rf"{part} is ok since .*, started again 1 times", shown) for part in PARTS), shown


def test_nothing_runs_that_nobody_watches(service: Collector) -> None:
    text = (service.path.parent / TASKS_FILE).read_text()
    unwatched = [line for line in text.splitlines() if not any(re.fullmatch(known, line) for known in KNOWN)]
    assert not unwatched, text
    watched = re.findall(r"^(?:thread inserter|thread online|task .*keep_running).*", text, re.MULTILINE)
    assert len(watched) == len(PARTS), "each part has one thread or task"


# Where a thread or task is started that no supervisor keeps, and why it needs none.
ALONE = {
    "dashboard/early_head.py": "a page that takes a while, awaited or left with its request",
    "dashboard/live.py": "one open list: it ends with its request, which answers for it",
    "dashboard/page_context.py": "a query of one page, awaited there",
    "dashboard/result_cache.py": "one result; whoever waits for it gets its exception",
    "dashboard/scores.py": "a query of one page, awaited there",
    "queries/http/server.py": "one statement, awaited or cancelled with its request",
    "collector/alerts/watcher.py": "the rules: a group, which the part alerts starts again",
}
STARTS = {"Thread", "Timer", "create_task", "ensure_future"}


def test_whoever_starts_a_thread_or_task_hands_it_to_the_supervisor() -> None:
    """By construction: the text of every start names the supervisor's method, or the file says why not."""
    alone = set()
    for folder in ("collector", "dashboard", "queries"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                started = " ".join(
                    ast.unparse(argument) for argument in [*node.args, *(k.value for k in node.keywords)]
                )
                if name in STARTS and not re.search(r"\bkeep(_running)?(_thread)?\b", started):
                    alone.add(path.relative_to(ROOT).as_posix())
    assert alone - {path for path in alone if path.startswith("collector/demo/")} == ALONE.keys()


def test_the_service_does_its_work_after_that(service: Collector) -> None:
    assert service.post(request_of(5).SerializeToString()).status == 200
    until(lambda: service.metrics().get('online_evaluation_total{rule="watch",stage="scored"}') == 5, 60)
    status, said = readiness(service)
    assert (status, said["status"]) == (200, "ok"), said
    assert service.stop() == 0
    assert rows_of(service.path, "SELECT count() FROM spans") == [[5]]
