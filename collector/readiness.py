"""What /readyz says: each part with its state and since when; ready as long as spans are taken and kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from ..queries.host.auth import KeyRing
from ..queries.host.supervision import State, Supervisor
from .insert.pipeline import Pipeline

# Parts without which nothing is acknowledged; whatever else fails, the log keeps what is sent.
NEEDED = ("intake", "log")
BAD = (State.FAILED, State.WARNING)


class Readiness:
    """Looks at the parts when somebody asks."""

    def __init__(
        self, supervisor: Supervisor, keys: KeyRing, pipelines: Sequence[Pipeline], *, embedded: Path | None
    ) -> None:
        """`pipelines` are those of spans, scores and messages; `embedded` is the store's directory in this process."""
        self._supervisor, self._keys, self._embedded = supervisor, keys, embedded
        self._spans, self._scores, self._messages = pipelines
        self.accepting = False
        supervisor.check("intake", self._intake)
        supervisor.check("log", self._log)
        supervisor.check("inserter", self._spans.inserter.state)
        supervisor.check("sampler", self._sampler)
        supervisor.check("messages", self._messages.inserter.state)
        supervisor.check("scores", self._scores.inserter.state)
        supervisor.check("store", self._store)
        for part in ("online_evaluation", "alerts", "retention"):
            supervisor.set_state(part, State.OFF)

    def problem(self) -> str:
        """Why the service is not ready, or what does not work at the moment; "" when all is well."""
        states = self._supervisor.states()
        if not self.accepting:
            return "starting or stopping"
        return "; ".join(f"{part}: {one.detail or one.state}" for part, one in states.items() if one.state in BAD)

    async def answer(self, request: web.Request) -> web.Response:
        """200 while spans are taken, with "warning" when something else is not as it should be; else 503."""
        states = self._supervisor.states()
        ready = all(states[part].state == State.OK for part in NEEDED)
        status = "ok" if ready else "unavailable"
        if ready and any(one.state in BAD for one in states.values()):
            status = "warning"
        access = self._keys.access(request.headers.get("Authorization"))
        with_detail = access is not None and access.sees_all
        document = {
            "status": status,
            "log_backlog_bytes": self._spans.log.backlog_bytes,
            "parts": {part: one.as_json(with_detail=with_detail) for part, one in states.items()},
        }
        return web.json_response(document, status=200 if ready else 503)

    def _intake(self) -> tuple[State, str]:
        if not self.accepting:
            return State.FAILED, "starting or stopping"
        state, why = self._log()
        return (State.OK, "") if state == State.OK else (State.FAILED, why)

    def _log(self) -> tuple[State, str]:
        for pipeline in (self._spans, self._scores, self._messages):
            if why := pipeline.log.state():
                return State.FAILED, why
        return State.OK, ""

    def _sampler(self) -> tuple[State, str]:
        failures = self._spans.inserter.stage_failures
        return (State.WARNING, f"it fails: {failures}") if failures else (State.OK, "")

    def _store(self) -> tuple[State, str]:
        if self._embedded is not None and not (self._embedded / "store").exists() and not self._embedded.is_dir():
            return State.FAILED, f"the directory {self._embedded} is gone"
        for pipeline in (self._spans, self._scores, self._messages):
            if pipeline.inserter.last_error:
                return State.WARNING, f"it takes nothing, what arrives waits in the log: {pipeline.inserter.last_error}"
        return State.OK, ""
