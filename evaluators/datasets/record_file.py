"""One record of a file of records, and where it stands."""

from __future__ import annotations

from typing import Any, NamedTuple


class Record(NamedTuple):
    """One record and where it stands."""

    place: str
    values: dict[str, Any]
