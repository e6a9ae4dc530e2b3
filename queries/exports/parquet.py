"""Cases as Parquet: one row a case; input and metadata, which have no fixed shape, as JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...errors import UsageError
from ..atomic_write import write_atomically


def write(path: Path, cases: Sequence[dict[str, Any]]) -> list[Path]:
    """Writes one Parquet file."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed", hint="pip install 'evalspan[parquet]'"
        ) from error
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("partition", pa.string()),
            ("input", pa.string()),
            ("expected_output", pa.string()),
            ("metadata", pa.string()),
            ("tags", pa.list_(pa.string())),
            ("created_at", pa.string()),
        ]
    )
    rows = [{**case, "input": _json(case["input"]), "metadata": _json(case["metadata"])} for case in cases]
    columns = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), columns)
    write_atomically(path, columns.getvalue().to_pybytes())
    return [path]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
