"""What the demo found, chapter by chapter, for the report at its end."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Gated(msgspec.Struct, frozen=True):
    """One run of the gate: its title, the command, its exit code and what it printed."""

    title: str
    command: str
    code: int
    said: str


class Raised(msgspec.Struct, frozen=True):
    """One alert of the running service: who raised it, the sentence that was sent, and how to ask again."""

    rule: str
    severity: str
    message: str
    query: str
    condition: str
    numbers: str
    """What was compared, with n and interval."""
    links: list[str]
    """Paths of the dashboard: the traces to read first."""


class Cases(msgspec.Struct, frozen=True):
    """What became of the exported failures."""

    path: Path
    """The regression cases that may gate."""
    set_aside: Path
    """Failures that the edit did not cause."""
    thin: Path
    """A set that is too small to compare anything on."""
    thin_baseline: Path
    exported: int
    regression: int
    weaknesses: int
    """The old prompt fails these too: the model's own."""
    flaky: int
    """Passed with the edited prompt when asked again."""


class Found(msgspec.Struct):
    """Everything; codes are exit codes."""

    folder: Path
    scored: int = 0
    alerts: list[Raised] = []
    drift_command: str = ""
    drift_code: int = -1
    drift_report: str = ""
    export_said: str = ""
    cases: Cases | None = None
    gates: list[Gated] = []

    @property
    def quality_alerts(self) -> list[Raised]:
        """The alerts about scores."""
        return [alert for alert in self.alerts if alert.rule == "quality_dropped"]

    @property
    def effect_shown(self) -> bool:
        """Whether the whole story happened: alert, drift, the bad prompt stopped, the fixed one let through."""
        return bool(self.quality_alerts) and self.drift_code == 3 and [gated.code for gated in self.gates] == [3, 0, 4]
