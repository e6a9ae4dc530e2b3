"""The list of attacks through the doors of a running service: the SQL port with a project's key, the dashboard, `evalspan sql`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from evalspan.errors import EvalspanError
from evalspan.queries.cli.sql import sql as command

from ..collector.serving import Collector, serving
from ..collector.sql_port import ask
from ..queries.attacks import ATTACKS, BURNING

SECRET = "the content of a file outside the store"
KEY = "k" * 24


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.txt").write_text(SECRET)
    return {"file": folder / "secret.txt", "target": folder / "written.txt", "store": folder / "store"}


@pytest.fixture(scope="module")
def service(places: dict[str, Path]) -> Iterator[Collector]:
    settings = f'[auth]\nkeys = {{ "{KEY}" = "mine" }}\n'
    with serving(places["store"], "--sql-port", "0", settings=settings) as running:
        yield running


def attacks(places: dict[str, Path], *more: str) -> list[str]:
    every = (*ATTACKS, *more)
    return [each.replace("{file}", str(places["file"])).replace("{target}", str(places["target"])) for each in every]


def whole(service: Collector, places: dict[str, Path]) -> bool:
    """Whether the service lives, its tables are there, and nothing was written outside."""
    counted = ask(service.owner["sql"], "SELECT count() >= 0 FROM spans", user="x", password=KEY)
    return service.process.poll() is None and counted.text == "1\n" and not places["target"].exists()


def test_no_attack_gets_through_the_sql_port(service: Collector, places: dict[str, Path]) -> None:
    through: list[str] = []
    for attack in attacks(places, *BURNING):
        quick: dict[str, Any] = {"max_execution_time": "2", "user": "x", "password": KEY}
        answer = ask(service.owner["sql"], attack, **quick)
        # What a proxy or a browser would show of it.
        failed = answer.status != 200 or b"__exception__" in answer.body or not attack.strip()
        if not failed and not attack.upper().startswith(("SET ", "USE ")):
            through.append(attack[:80])
        assert SECRET not in answer.text
    assert not through
    assert whole(service, places)


def test_no_attack_gets_through_the_dashboard(service: Collector, places: dict[str, Path]) -> None:
    through = []
    for attack in attacks(places):
        if len(attack) > 4000:
            continue  # no address is so long
        answer = service.request(
            "GET", f"/sql.csv?{urlencode({'query': attack})}", headers={"Authorization": f"Bearer {KEY}"}
        )
        if answer.status == 200 and attack.strip():
            through.append(attack[:80])
        assert SECRET.encode() not in answer.body
    assert not through
    assert whole(service, places)


def test_no_attack_gets_through_the_command_line(service: Collector, places: dict[str, Path]) -> None:
    through = []
    for attack in attacks(places):
        arguments = ["-", "--store", f"chdb://{places['store']}", "--timeout", "2", "--format", "json"]
        done = CliRunner().invoke(command, arguments, input=attack.encode(errors="replace"))
        if attack.startswith("SET "):
            continue  # refused, or kept by a session that ends with it
        if done.exit_code == 0:
            through.append(attack[:80])
        else:
            assert isinstance(done.exception, EvalspanError), (attack[:80], done.exception)
        assert SECRET not in done.output
    assert not through
    assert whole(service, places)


def test_the_service_answers_its_own_pages_only(service: Collector) -> None:
    url = service.owner["sql"]
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1"},
    ):
        answer = ask(url, "SELECT 1", headers=headers, user="x", password=KEY)
        assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) == (403, None), headers
    assert json.loads(ask(url, "SELECT 1 AS a FORMAT JSON", user="x", password=KEY).text)["data"] == [{"a": 1}]
