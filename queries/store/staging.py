"""Carries rows into the embedded engine, which reads them from a file: one without a name, in the store's directory.

The driver's own file would lie in the machine's temporary directory, where a killed process leaves what users said.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..literals import literal

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def insert_through_file(
    client: Client, folder: Path, table: str, block: bytes, fmt: str, settings: Mapping[str, str | int]
) -> None:
    """Inserts `block`, rows in ClickHouse's format `fmt`. Raises what the client raises, OSError when the disk is full."""
    with _file_of(block, folder) as path:
        given = ", ".join(f"{name} = {literal(value)}" for name, value in settings.items())
        client.command(f"INSERT INTO {table} FROM INFILE '{path}' SETTINGS {given} FORMAT {fmt}")


def insert_from_file(client: Client, folder: Path, sql: str, block: bytes, structure: str) -> None:
    """Runs an INSERT ... SELECT with `{rows}` in it for `block`, JSON lines of that structure. Raises as above."""
    with _file_of(block, folder) as path:
        client.command(sql.replace("{rows}", f"file('{path}', 'JSONEachRow', {literal(structure)})"))


def insert_native_file(client: Client, folder: Path, table: str, columns: str, block: bytes) -> None:
    """Inserts these columns of a block in the Native format, which describes itself. Raises as above."""
    with _file_of(block, folder) as path:
        source = f"file('{path}', 'Native') SETTINGS max_partitions_per_insert_block = 0"
        client.command(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source}")  # noqa: S608 - own names


def insert_native_pieces(
    client: Client, folder: Path, sql: str, pieces: Iterable[bytes], settings: Mapping[str, str | int]
) -> None:
    """Runs an INSERT ... SELECT with `{rows}` in it for a block in the Native format that is in pieces. Raises as above."""
    given = ", ".join(f"{name} = {literal(value)}" for name, value in settings.items())
    with _file_of(pieces, folder) as path:
        statement = sql.replace("{rows}", f"file('{path}', 'Native')")
        client.command(f"{statement} SETTINGS {given}")


@contextmanager
def _file_of(block: bytes | Iterable[bytes], folder: Path) -> Iterator[str]:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.writelines((block,) if isinstance(block, bytes) else block)
        file.flush()
        file.seek(0)  # where the system hands out the same open file again rather than a new one
        # By its number, too, because the engine takes braces and stars in a path for a pattern that nothing matches.
        yield f"/dev/fd/{file.fileno()}"
