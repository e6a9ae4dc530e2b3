"""What was wrong inside a request that is taken all the same: a bad span costs one span, a bad text one text."""

from __future__ import annotations


class Defects:
    """Counts what was left out and what was repaired, with the first reason of each."""

    def __init__(self) -> None:
        self.dropped = self.repaired = 0
        self.dropped_because = self._repaired_because = ""

    def drop(self, reason: str) -> None:
        """One span or record cannot be read."""
        self.dropped += 1
        self.dropped_because = self.dropped_because or reason

    def repair(self, reason: str) -> None:
        """One value was put right."""
        self.repaired += 1
        self._repaired_because = self._repaired_because or reason

    def __bool__(self) -> bool:
        return bool(self.dropped or self.repaired)

    def sentences(self, noun: str) -> list[str]:
        """What partial_success says about it."""
        said = []
        if self.dropped:
            said.append(
                f"{self.dropped} {noun} rejected because they cannot be read, the first: {self.dropped_because}"
            )
        if self.repaired:
            said.append(f"{self.repaired} values repaired, the first: {self._repaired_because}")
        return said
