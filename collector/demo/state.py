"""Where the demo stands, in one small file, so that a run that was cut short goes on where it was."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from ...errors import UsageError
from ...queries.atomic_write import write_atomically


class State(msgspec.Struct):
    """What a later run needs to know."""

    ends: datetime
    """Noon of the simulated fortnight's last day plus one; fixes every request's place in time."""
    requests_a_week: int = 0
    """0 until the model's speed was measured."""
    seconds_each: float = 0.0
    model: str = ""
    answered: list[int] = []
    """Numbers of the requests that are done."""
    errors: int = 0
    done: list[str] = []
    """Names of the chapters that are finished."""

    @property
    def midnight(self) -> datetime:
        """The end of the fortnight."""
        return self.ends.replace(hour=0, minute=0, second=0, microsecond=0)


class StateFile:
    """The state beside the data, written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"

    def load(self) -> State | None:
        """What an earlier run left, None if there was none.

        Raises:
            UsageError: the file is not one of ours.
        """
        if not self._path.exists():
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=State)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise UsageError(
                f"{self._path} cannot be read: {error}",
                hint="Run `evalspan demo --fresh` to start over, or name another folder with --folder.",
            ) from error

    def save(self, state: State) -> None:
        """Replaces the file atomically."""
        write_atomically(self._path, msgspec.json.format(msgspec.json.encode(state), indent=1))
