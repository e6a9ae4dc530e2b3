"""Beside the real packages of other instrumentations: one span a call whoever comes first, and ours when they leave."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ...environments import environment, variables
from ...scripted import scripted_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PACKAGES = (
    "openai==3.57.0",
    "anthropic==2.14.0",
    "opentelemetry-util-genai==1.3b0",
    "opentelemetry-instrumentation-genai-openai==1.3b0",
    "opentelemetry-instrumentation-genai-anthropic==1.3b0",
    "openinference-instrumentation-openai==0.1.66",
    "openinference-instrumentation-anthropic==3.1.0",
    "opentelemetry-instrumentation-openai==0.62.4",
    "opentelemetry-instrumentation-anthropic==0.62.4",
)
SCOPES = {
    "official": {"openai": "opentelemetry.instrumentation.genai.openai", "anthropic": "opentelemetry.instrumentation.genai.anthropic"},
    "openinference": {"openai": "openinference.instrumentation.openai", "anthropic": "openinference.instrumentation.anthropic"},
    "openllmetry": {"openai": "opentelemetry.instrumentation.openai", "anthropic": "opentelemetry.instrumentation.anthropic"},
}  # fmt: skip


def report(rival: str, first: str) -> dict[str, Any]:
    python = environment("rivals", *PACKAGES)
    with scripted_server() as server:
        done = subprocess.run(
            [python, Path(__file__).with_name("program.py"), rival, first, server.root],
            env=variables(),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("first", ["theirs", "ours"])
@pytest.mark.parametrize("rival", SCOPES)
def test_beside_another_instrumentation_there_is_one_span_a_call(rival: str, first: str) -> None:
    found = report(rival, first)
    for call, scopes in found["both"].items():
        sdk = "anthropic" if call.startswith("messages") else "openai"
        assert len(scopes) == 1, (call, scopes)
        assert scopes[0].startswith(SCOPES[rival][sdk]), (call, scopes)
    assert sorted(found["said"]) == sorted(
        f"{scope} already traces {sdk}: evalspan adds no spans of its own for it"
        for sdk, scope in SCOPES[rival].items()
    )
    for call, scopes in found["alone"].items():
        sdk = "anthropic" if call.startswith("messages") else "openai"
        # OpenLLMetry leaves its wrappers of chat in place when it is taken out: their span keeps its place around ours,
        # and only ours is a call (evalspan.role).
        stays = rival == "openllmetry" and call.startswith("chat")
        wrapped = ["evalspan.openai", "opentelemetry.instrumentation.openai.v1"]
        assert scopes == (wrapped if stays else [f"evalspan.{sdk}"]), (call, scopes)
