"""Stored spans as Parquet files, one for each day: for DuckDB, pandas, a data lake, or before a downgrade."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..store.transfer import PATIENT

if TYPE_CHECKING:
    from ..store.protocol import StoreClient

_DAYS = """
SELECT toDate(start_time) AS day, count() FROM spans
WHERE project = {project:String} AND start_time >= {start:DateTime64(3, 'UTC')} GROUP BY day ORDER BY day
"""
_DAY = """
SELECT * FROM spans WHERE project = {project:String} AND toDate(start_time) = toDate({day:String})
  AND start_time >= {start:DateTime64(3, 'UTC')} ORDER BY start_time, trace_id, span_id FORMAT Parquet
"""


def write_spans(
    store: StoreClient, folder: Path, *, since: timedelta, project: str = "default"
) -> Iterator[tuple[Path, int]]:
    """
    Writes `spans-YYYY-MM-DD.parquet` for each day with spans, and yields file and rows. A day's file is replaced whole
    or not at all.

    Raises:
        UsageError: the folder cannot be made.
        QueryError, StoreUnreachable: the store cannot be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make {folder}: {error.strerror}", hint="Check the path and its permissions."
        ) from error
    given = {"project": project, "start": datetime.now(UTC) - since}
    for day, rows in store.query(_DAYS, given).rows:
        target = folder / f"spans-{day}.parquet"
        unfinished = target.with_suffix(f".{os.getpid()}.unfinished")
        try:
            with unfinished.open("wb") as file:
                with closing(store.stream_untrusted(_DAY, {**given, "day": str(day)}, limits=PATIENT)) as blocks:
                    file.writelines(blocks)
                os.fsync(file.fileno())
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        yield target, rows
