"""One virtual environment for each instrumentation, since no two of them agree on their dependencies."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SDKS = ("openai>=3", "anthropic>=2", "opentelemetry-sdk")


@dataclass(frozen=True)
class Contestant:
    """One instrumentation: what it is called, and what it needs."""

    name: str
    packages: tuple[str, ...]
    pre_releases: bool = False
    without_dependencies: tuple[str, ...] = ()
    """Installed past their own pins, where these exclude today's SDKs."""
    environment: str = ""
    """The environment to share, its own when empty."""


OURS = "evalspan"
CONTESTANTS = (
    Contestant("none", SDKS, environment="sdks"),
    Contestant("bare span", SDKS, environment="sdks"),
    Contestant(OURS, (*SDKS, str(ROOT))),
    Contestant(
        "official genai",
        (*SDKS, "opentelemetry-instrumentation-genai-openai", "opentelemetry-instrumentation-genai-anthropic"),
        pre_releases=True,
    ),
    Contestant(
        "OpenInference",
        (*SDKS, "openinference-instrumentation-openai", "openinference-instrumentation-anthropic"),
    ),
    Contestant(
        "OpenLLMetry",
        (*SDKS, "opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-anthropic"),
    ),
    Contestant("Langfuse", (*SDKS, "langfuse", "httpx")),
    Contestant(
        "OpenLIT",
        (*SDKS, "schedule", "requests", "xmltodict", "pydantic", "opentelemetry-instrumentation",
         "opentelemetry-exporter-otlp-proto-http", "opentelemetry-exporter-otlp-proto-grpc", "langdetect", "httpx"),
        without_dependencies=("openlit",),
    ),
)  # fmt: skip


def python_of(contestant: Contestant, folder: Path, *, reinstall: bool = False) -> Path:
    """The interpreter of a contestant's environment, made now if it is not there; CalledProcessError if it cannot be."""
    home = folder / (contestant.environment or contestant.name).replace(" ", "-").lower()
    python = home / "bin" / "python"
    ready = home / ".ready"
    if not ready.exists():
        print(f"making {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        install(python, "--upgrade", "pip")
        install(python, *(["--pre"] if contestant.pre_releases else []), *contestant.packages)
        if contestant.without_dependencies:
            install(python, "--no-deps", *contestant.without_dependencies)
        ready.touch()
    if reinstall or contestant.name == OURS:
        # This working copy, not that of the last time.
        install(python, "--no-deps", "--force-reinstall", str(ROOT))
    return python


def install(python: Path, *arguments: str) -> None:
    """Runs that environment's own pip."""
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *arguments], check=True)
