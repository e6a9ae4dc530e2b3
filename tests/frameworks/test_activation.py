"""`init(frameworks=...)`: the best instrumentor of each framework, once, when it is imported, and nothing of it in the app."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

import evalspan
from evalspan.errors import UsageError
from evalspan.instrument.frameworks.coverage import installed_coverage
from evalspan.instrument.frameworks.table import FRAMEWORKS

from ..environments import variables
from .invented import Invented, invented

OFFICIAL = "opentelemetry-instrumentation-genai-openai-agents"
OPENINFERENCE = "openinference-instrumentation-openai-agents"
OPENLLMETRY = "opentelemetry-instrumentation-openai-agents"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Invented]:
    with invented(tmp_path) as made:
        made.framework("openai-agents", "agents")
        yield made
        evalspan.uninstrument()


@pytest.fixture
def provider() -> TracerProvider:
    return TracerProvider(shutdown_on_exit=False)


def test_the_best_installed_instrumentor_is_switched_on_when_the_framework_is_imported(world, provider, caplog):
    for package in (OPENLLMETRY, OPENINFERENCE, OFFICIAL):
        world.instrumentor(package)
    handle = evalspan.init(tracer_provider=provider)
    assert "opentelemetry_instrumentation_genai_openai_agents" not in sys.modules
    assert world.events == []
    with caplog.at_level(logging.INFO):
        importlib.import_module("agents")
    assert [(event[1], event[2]) for event in world.events if event[0] == "on"] == [(OFFICIAL, provider)]
    assert f"openai-agents 1.5 is traced by {OFFICIAL} 0.1" in caplog.text
    assert handle.coverage()["openai-agents"].traced_by == f"{OFFICIAL} 0.1"


def test_a_framework_that_is_imported_already_is_switched_on_at_once(world, provider):
    world.instrumentor(OPENINFERENCE)
    importlib.import_module("agents")
    evalspan.init(tracer_provider=provider)
    assert world.did("on") == [OPENINFERENCE]


@pytest.mark.parametrize(
    ("does", "requires", "preamble"),
    [
        ("raises", (), ""),
        ("good", ("openai-agents < 1",), ""),
        ("good", (), "import a_package_that_is_not_there"),
        ("good", (), "raise ValueError('at import')"),
    ],
    ids=["fails", "refuses the release", "misses a package", "fails at its import"],
)
def test_where_the_best_one_does_not_attach_the_next_is_taken(world, provider, does, requires, preamble):
    world.instrumentor(OFFICIAL, does, requires, preamble)
    world.instrumentor(OPENINFERENCE)
    handle = evalspan.init(tracer_provider=provider)
    importlib.import_module("agents")
    assert world.did("on") == [OPENINFERENCE]
    assert handle.coverage()["openai-agents"].traced_by == f"{OPENINFERENCE} 0.1"


def test_one_that_only_says_it_is_on_is_not_believed(tmp_path, provider, caplog):
    with invented(tmp_path) as world:
        world.framework("smolagents", "smolagents", body="class MultiStepAgent:\n    def run(self): ...\n")
        world.instrumentor("openinference-instrumentation-smolagents")
        handle = evalspan.init(tracer_provider=provider)
        importlib.import_module("smolagents")
        found = handle.coverage()["smolagents"]
        assert found.traced_by is None
        assert "did not attach itself" in found.note
        assert "pip install 'evalspan[smolagents]'" in caplog.text
        assert world.did("off") == ["openinference-instrumentation-smolagents"]
        evalspan.uninstrument()


def test_no_fault_of_theirs_reaches_the_import_of_the_app(world, provider, caplog):
    world.instrumentor(OFFICIAL, "raises")
    evalspan.init(tracer_provider=provider)
    assert importlib.import_module("agents").__name__ == "agents"
    assert "openai-agents is imported and has no instrumentor" in caplog.text
    assert "broken instrumentor" in caplog.text


def test_a_framework_without_an_instrumentor_says_what_to_install_once(world, provider, caplog):
    handle = evalspan.init(tracer_provider=provider)
    importlib.import_module("agents")
    lines = [record.getMessage() for record in caplog.records if "openai-agents" in record.getMessage()]
    assert len(lines) == 1
    assert "pip install 'evalspan[openai-agents]'" in lines[0]
    assert handle.coverage()["openai-agents"].note == "pip install 'evalspan[openai-agents]'"


CARRIERS = [
    one
    for one in FRAMEWORKS
    if one.carries_calls and not one.native and one.module.split(".")[0] not in ("google", "botocore")
]


@pytest.mark.parametrize("framework", CARRIERS, ids=lambda one: one.name)
def test_lost_calls_of_any_carrier_are_said_once_to_the_log_and_to_code(framework, tmp_path, provider, caplog):
    with invented(tmp_path) as made:
        made.framework(framework.package, framework.module)
        handle = evalspan.init(tracer_provider=provider)
        importlib.import_module(framework.module)
        said = [one.getMessage() for one in caplog.records if f"evalspan: {framework.name} is" in one.getMessage()]
        assert len(said) == 1
        assert "its calls are not traced" in said[0]
        found = handle.coverage()[framework.name]
        assert (found.version, found.imported, found.traced_by, found.call_seen) == ("1.5", True, None, False)
        assert found.note == said[0].partition("not traced. ")[2]
        assert found.note.startswith("pip install ") or not framework.instrumentors
        evalspan.uninstrument()
        there = installed_coverage(set())[framework.name]  # what `evalspan doctor` prints
        assert (there.traced_by, there.note) == (None, found.note)


def test_what_the_app_switched_on_itself_is_left_alone(world, provider):
    module = world.instrumentor(OPENINFERENCE)
    world.instrumentor(OFFICIAL)
    importlib.import_module(module).Instrumentor().instrument()
    handle = evalspan.init(tracer_provider=provider)
    importlib.import_module("agents")
    assert world.did("on") == [OPENINFERENCE]
    assert "switched on by the app" in str(handle.coverage()["openai-agents"].traced_by)
    evalspan.uninstrument()
    assert world.did("off") == []
    importlib.import_module(module).Instrumentor().uninstrument()


@pytest.mark.parametrize("same", [True, False], ids=["the same one", "another one"])
def test_what_the_app_switches_on_later_replaces_ours(world, provider, same):
    ours = world.instrumentor(OFFICIAL)
    other = world.instrumentor(OPENINFERENCE)
    handle = evalspan.init(tracer_provider=provider)
    importlib.import_module("agents")
    theirs = importlib.import_module(ours if same else other).Instrumentor()
    theirs.instrument(tracer_provider="theirs")
    assert world.did("off") == [OFFICIAL]
    assert [event[1:3] for event in world.events if event[0] == "on"][-1] == (
        theirs.__module__.replace("_", "-"),
        "theirs",
    )
    assert theirs.is_instrumented_by_opentelemetry
    assert "switched on by the app" in str(handle.coverage()["openai-agents"].traced_by)
    evalspan.uninstrument()
    assert theirs.is_instrumented_by_opentelemetry
    theirs.uninstrument()


@pytest.mark.parametrize("loaded", ["before init", "after init"])
@pytest.mark.parametrize("same", [True, False], ids=["the same one", "another one"])
def test_an_instrumentor_of_the_app_that_imports_the_framework_itself_is_the_only_one(world, provider, same, loaded):
    """It is switched on before the app imports the framework, and imports it to find what it wraps."""
    if not same:
        world.instrumentor(OFFICIAL)
    other = world.instrumentor(OPENINFERENCE, "imports")
    module = importlib.import_module(other) if loaded == "before init" else None
    handle = evalspan.init(tracer_provider=provider)
    theirs = (module or importlib.import_module(other)).Instrumentor()
    theirs.instrument(tracer_provider="theirs")
    assert [event[1:3] for event in world.events if event[0] == "on"] == [(other.replace("_", "-"), "theirs")]
    assert "switched on by the app" in str(handle.coverage()["openai-agents"].traced_by)
    theirs.uninstrument()


@pytest.mark.parametrize("order", ["before init", "after init", "twice"])
def test_what_an_instrumentor_leaves_out_is_added_once_whoever_switched_it_on(tmp_path, provider, order):
    """OpenInference has no spans of mistral's embeddings: also where the app switched it on."""
    package = "openinference-instrumentation-mistralai"
    body = "class Embeddings:\n    def create(self, **given):\n        return None\n    async def create_async(self, **given): ...\n"
    with invented(tmp_path) as world:
        world.framework("mistralai", "mistralai.client")
        world.framework("mistralai-embeddings", "mistralai.client.embeddings", body=body)
        attached = "class Chat:\n    def complete(self): ...\n    complete.__wrapped__ = True\n"
        world.framework("mistralai-chat", "mistralai.client.chat", body=attached)
        module = world.instrumentor(package)
        theirs = importlib.import_module(module).Instrumentor
        if order == "before init":
            theirs().instrument(tracer_provider="theirs")
        evalspan.init(tracer_provider=provider)
        importlib.import_module("mistralai.client")
        for _ in range({"before init": 0, "after init": 1, "twice": 2}[order]):
            theirs().instrument(tracer_provider="theirs")
        create = importlib.import_module("mistralai.client.embeddings").Embeddings.create
        depth = 0
        while (create := getattr(create, "__wrapped__", None)) is not None:
            depth += 1
        assert depth == 1
        evalspan.uninstrument()
        assert not hasattr(importlib.import_module("mistralai.client.embeddings").Embeddings.create, "__wrapped__")
        theirs().uninstrument()


def test_where_the_app_s_own_instrumentor_fails_ours_takes_the_framework(world, provider):
    world.instrumentor(OFFICIAL)
    other = world.instrumentor(OPENINFERENCE, "refuses")
    handle = evalspan.init(tracer_provider=provider)
    with pytest.raises(RuntimeError, match="refused"):
        importlib.import_module(other).Instrumentor().instrument(tracer_provider="theirs")
    assert world.did("on") == [OFFICIAL]
    assert handle.coverage()["openai-agents"].traced_by == f"{OFFICIAL} 0.1"


def test_uninstrument_takes_ours_out_and_init_puts_them_back(world, provider):
    world.instrumentor(OFFICIAL)
    evalspan.init(tracer_provider=provider)
    importlib.import_module("agents")
    evalspan.uninstrument()
    assert world.did("off") == [OFFICIAL]
    assert CAPTURE not in os.environ
    evalspan.init(tracer_provider=provider)
    assert world.did("on") == [OFFICIAL, OFFICIAL]


@pytest.mark.parametrize(
    ("capture", "official", "openllmetry"),
    [(None, "SPAN_ONLY", None), (False, "NO_CONTENT", "false"), ("event_only", "EVENT_ONLY", "false")],
)
def test_our_content_setting_is_theirs_too(world, provider, capture, official, openllmetry):
    for package, other in ((OFFICIAL, "agents"), ("opentelemetry-instrumentation-crewai", "crewai")):
        world.instrumentor(package)
        if other != "agents":
            world.framework(other, other)
    evalspan.init(tracer_provider=provider, capture_content=capture)
    importlib.import_module("agents")
    importlib.import_module("crewai")
    assert [event[1:] for event in world.events if event[0] == "content"] == [(official, None), (official, openllmetry)]
    # OpenLLMetry's would else put a header on the app's requests to the model.
    made = {event[1]: event[2] for event in world.events if event[0] == "made" and event[2]}
    assert made == {"opentelemetry-instrumentation-crewai": {"disable_trace_context_propagation": True}}


def test_only_the_named_frameworks_are_traced(world, provider, monkeypatch):
    world.framework("crewai", "crewai")
    world.instrumentor(OFFICIAL)
    world.instrumentor("openinference-instrumentation-crewai")
    evalspan.init(tracer_provider=provider, frameworks=["crewai"])
    importlib.import_module("agents")
    importlib.import_module("crewai")
    assert world.did("on") == ["openinference-instrumentation-crewai"]


@pytest.mark.parametrize("option", [False, [], "none"])
def test_frameworks_can_be_left_out(world, provider, option, caplog):
    world.instrumentor(OFFICIAL)
    handle = evalspan.init(tracer_provider=provider, frameworks=option)
    importlib.import_module("agents")
    assert world.events == []
    assert "agents" not in caplog.text
    assert handle.coverage()["openai-agents"].traced_by is None


def test_variables_leave_frameworks_out(world, provider, monkeypatch):
    world.instrumentor(OFFICIAL)
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "requests, openai_agents")
    handle = evalspan.init(tracer_provider=provider)
    importlib.import_module("agents")
    assert world.events == []
    assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS" in handle.coverage()["openai-agents"].note
    evalspan.uninstrument()
    monkeypatch.delenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
    monkeypatch.setenv("EVALSPAN_FRAMEWORKS", "crewai")
    evalspan.init(tracer_provider=provider)
    assert world.events == []


def test_an_unknown_framework_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UsageError, match="frameworks='langchian'") as raised:
        evalspan.init(frameworks=["langchian"])
    assert "langchain" in raised.value.hint


def test_a_framework_is_not_patched_in_the_middle_of_its_import(tmp_path, provider):
    with invented(tmp_path) as world:
        world.framework(
            "langchain-core",
            "langchain_core.callbacks",
            body="class BaseCallbackManager:\n    def __init__(self): ...\n",
        )
        world.framework(
            "langgraph",
            "langgraph.pregel",
            body="import langchain_core\nimport invented_events\ninvented_events.events.append(('whole', 'langgraph'))\n",
        )
        world.instrumentor(
            "opentelemetry-instrumentation-genai-langchain",
            preamble="import wrapt, langgraph.pregel, langchain_core.callbacks\n"
            "wrapt.wrap_function_wrapper('langchain_core.callbacks', 'BaseCallbackManager.__init__', lambda w, i, a, k: w(*a, **k))",
        )
        evalspan.init(tracer_provider=provider)
        importlib.import_module("langgraph.pregel")
        assert [event[0] for event in world.events] == ["whole", "made", "content", "on"]
        evalspan.uninstrument()


def test_every_framework_that_needs_something_names_an_extra_that_exists():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for framework in FRAMEWORKS:
        if not framework.extra:
            continue
        wanted = " ".join(extras[framework.extra])
        if framework.native:
            continue
        assert any(f"{one.package}>=" in wanted for one in framework.instrumentors), framework.name


def test_nothing_of_a_framework_is_looked_for_before_it_is_imported():
    code = (
        "import time, importlib.metadata as m, evalspan\n"
        "from evalspan.instrument.frameworks import activation, table\n"
        "def no(*a, **k): raise AssertionError('metadata was read')\n"
        "m.distribution = m.entry_points = activation.installed_for = no\n"
        "started = time.process_time()\n"
        "for _ in range(20): activation.activate(table.FRAMEWORKS, evalspan.init().config, None)\n"
        "print((time.process_time() - started) / 20 * 1000)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables(), capture_output=True, text=True, timeout=60, check=True
    )
    assert float(done.stdout) < 15
