"""What a run has spent on judges, on disk as it is spent: a run that is killed leaves its bill, and the next one goes on from it.

A line when a call may begin (with what it may cost at most), one when it is over, one with what it used. A call that was
under way when the process was killed counts with the most that it may have cost.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ...errors import UsageError


class _Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    begun: int = 0
    over: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    unpriced: int = 0


def state_folder() -> Path:
    """Where a run without a file of its own leaves its bill: `XDG_STATE_HOME`/evalspan, by default ~/.local/state/evalspan."""
    given = os.environ.get("XDG_STATE_HOME")
    return (Path(given) if given else Path.home() / ".local" / "state") / "evalspan"


class SpendingJournal:
    """The file beside a run's results; `earlier` is what an unfinished run before this one spent.

    Raises:
        UsageError: the file is none of ours, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.earlier = _Line()
        self.under_way = 0
        """Calls that the earlier run had begun and whose price is not known: counted with the most they may have cost."""
        self._begun = 0
        try:
            self._read()
            self._file = path.open("ab")
        except OSError as error:
            hint = "choose another --output, or set XDG_STATE_HOME to a folder that can be written"
            raise UsageError(f"cannot write {path}: {error.strerror}", hint=hint) from error

    def begin(self, tokens: int, usd: float | None) -> int:
        """Notes that a call begins, with the most that it may take; returns its number."""
        self._begun += 1
        self._write(_Line(begun=self._begun, input_tokens=tokens, usd=usd, unpriced=int(usd is None)))
        return self._begun

    def end(self, number: int) -> None:
        """Notes that a call is over; what it used is noted by `spent`."""
        self._write(_Line(over=number))

    def spent(self, input_tokens: int, output_tokens: int, usd: float | None) -> None:
        """Notes what a call used."""
        self._write(
            _Line(calls=1, input_tokens=input_tokens, output_tokens=output_tokens, usd=usd, unpriced=int(usd is None))
        )

    def finish(self) -> None:
        """The run ended by itself and said what it spent: the next one begins anew."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leaves the bill for the next run."""
        self._file.close()

    def _write(self, line: _Line) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()

    def _read(self) -> None:
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return
        open_calls: dict[int, _Line] = {}
        good = 0
        for number, raw in enumerate(self.path.read_bytes().splitlines(keepends=True), start=1):
            try:
                if not raw.endswith(b"\n"):
                    raise msgspec.DecodeError
                line = msgspec.json.decode(raw, type=_Line)
            except msgspec.DecodeError as error:
                if raw.endswith(b"\n"):
                    raise UsageError(
                        f"{self.path}:{number} is not a bill of evalspan score: {error}", hint="move it away"
                    ) from error
                with self.path.open("r+b") as file:  # the line under way when the run was killed
                    file.truncate(good)
                break
            good += len(raw)
            self._begun = max(self._begun, line.begun)
            if line.begun:
                open_calls[line.begun] = line
            elif line.over:
                open_calls.pop(line.over, None)
            else:
                _add(self.earlier, line)
        self.under_way = len(open_calls)
        for line in open_calls.values():
            line.calls = 1
            _add(self.earlier, line)


def _add(total: _Line, line: _Line) -> None:
    total.calls += line.calls
    total.input_tokens += line.input_tokens
    total.output_tokens += line.output_tokens
    total.usd = (total.usd or 0.0) + (line.usd or 0.0)
    total.unpriced += line.unpriced
