"""What every test shares: a clean environment, and no skipping in CI of what should run there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from evalspan.queries.store.client import Store

# Hundreds of processes are started by the tests: each would compile the same modules, a third of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine's changes what a test sees."""
    for name in list(os.environ):
        if (
            name.startswith(("OTEL_", "EVALSPAN_", "CLICKHOUSE_", "OPENAI_", "ANTHROPIC_"))
            and name != "EVALSPAN_NO_SKIPS"
        ):
            monkeypatch.delenv(name)
    return


@pytest.fixture(autouse=True)
def global_tracer_provider() -> Iterator[None]:
    """A provider that a test makes the process's own is not that of the next test: OpenTelemetry lets it be set once."""
    from opentelemetry import trace
    from opentelemetry.util._once import Once

    before = trace._TRACER_PROVIDER
    yield
    if trace._TRACER_PROVIDER is not before:
        from evalspan.instrument import observing

        observing._from_environment.cache_clear()
        trace._TRACER_PROVIDER = before
        if before is None:
            trace._TRACER_PROVIDER_SET_ONCE = Once()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long rounds of the fault suite")
    parser.addoption("--soak-rounds", type=int, default=100, help="of the rounds of kill -9, so many at a time")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report = yield
    if report.skipped and os.environ.get("EVALSPAN_NO_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped where nothing may be: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """The real local model; OpenAI clients take `model_url + "/v1"`, Anthropic's take `model_url`."""
    from evalspan.collector.demo.local_model import local_model

    with local_model() as url:
        yield url


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The embedded store of this worker process (chDB opens one path a process): use a project name of your own."""
    from evalspan.queries.store.client import open_store

    with open_store(f"chdb://{tmp_path_factory.mktemp('store')}") as opened:
        yield opened
