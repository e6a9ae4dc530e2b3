"""A scripted judge behind the provider seam: it answers what the test says, and keeps what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from evalspan.evaluators.judges.providers import Reply, Request, TokenChoice


class ScriptedJudge:
    """A provider that answers from a list (the last answer repeats) or by a function of the request."""

    key = "scripted test"

    def __init__(self, *answers: object, by: Callable[[Request], object] | None = None) -> None:
        self.requests: list[Request] = []
        self.answers = list(answers)
        self.by = by
        self.tokens: tuple[TokenChoice, ...] = ()

    async def complete(self, request: Request, timeout_s: float) -> Reply:
        self.requests.append(request)
        answer = self.by(request) if self.by else self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Reply):
            return answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Reply(text, request.model, 100, 20, self.tokens)


@pytest.fixture
def scripted() -> type[ScriptedJudge]:
    return ScriptedJudge


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EVALSPAN_CACHE", str(tmp_path / "cache"))
