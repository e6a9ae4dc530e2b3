"""A backup: a folder with every table's rows, a checksum of each file, and the schema they were written with."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...errors import StoreError, UsageError
from ..atomic_write import write_atomically
from .migrations import migrations
from .transfer import Table, pieces, read_piece, tables

if TYPE_CHECKING:
    from .client import Store
    from .protocol import StoreClient

MANIFEST = "manifest.json"
Advance = Callable[[str, int], None]


class BackupFile(msgspec.Struct, frozen=True):
    """One piece of a table: zstandard over ClickHouse's Native format."""

    path: str
    table: str
    columns: tuple[str, ...]
    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds; it is written last, so a backup without one was cut short."""

    created_at: str
    store: str
    schema: tuple[str, ...]
    files: tuple[BackupFile, ...]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(one.rows for one in self.files)


def backup(store: StoreClient, folder: Path, advance: Advance = lambda _, __: None) -> Manifest:
    """
    Writes all rows into a new folder, also while a service takes spans: each table as it is when it is read, scores
    before the spans they speak of. `advance` hears table and rows of each piece.

    Raises:
        UsageError: the folder is there already, or cannot be made.
        QueryError, StoreUnreachable: the store cannot be read; nothing is left of the folder.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists already.", hint="Name a new folder: each backup has its own.")
    if store.dsn.startswith("chdb://") and folder.resolve().is_relative_to(store.dsn.removeprefix("chdb://")):
        raise UsageError(
            f"{folder} lies in the store that it would be a backup of.",
            hint="Name a folder elsewhere, best on another disk.",
        )
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise UsageError(
            f"cannot make {folder}: {error.strerror}", hint="Check the path and its permissions."
        ) from error
    try:
        files = tuple(_written(store, unfinished, advance))
        names = tuple(one.name for one in migrations())
        manifest = Manifest(datetime.now(UTC).isoformat(timespec="seconds"), store.dsn, names, files)
        write_atomically(
            unfinished / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1), private=True
        )
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return manifest


def _written(store: StoreClient, folder: Path, advance: Advance) -> Iterator[BackupFile]:
    import zstandard

    for table in tables(store):
        (folder / table.name).mkdir(mode=0o700)
        for piece, rows in pieces(store, table):
            name = piece.replace(" ", "T").replace(":", "") or "all"
            path = folder / table.name / f"{name}.native.zst"
            with path.open("wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as packed:
                for block in read_piece(store, table, piece):
                    packed.write(block)
            digest = hashlib.file_digest(path.open("rb"), "sha256").hexdigest()
            yield BackupFile(f"{table.name}/{path.name}", table.name, table.columns, rows, digest)
            advance(table.name, rows)


def read_manifest(folder: Path) -> Manifest:
    """What a backup holds. Raises UsageError when the folder is none, or was cut short."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder} is no complete backup: it has no {MANIFEST}.", hint="evalspan backup makes one."
        ) from error
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{folder / MANIFEST} cannot be read: {error}", hint="Take another backup.") from error


def restore(store: Store, folder: Path, advance: Advance = lambda _, __: None) -> Manifest:
    """
    Puts a backup's rows into an empty store of the same or a newer version. Every file is checked before the first
    row goes in.

    Raises:
        UsageError: the folder is no backup, a file of it is damaged or gone, or the store has rows already.
        StoreError: the store is older than the backup.
    """
    manifest = read_manifest(folder)
    _check(store, folder, manifest)
    there = {one.name: one for one in tables(store)}
    import zstandard

    for one in manifest.files:
        columns = tuple(column for column in one.columns if column in there[one.table].columns)
        block = zstandard.ZstdDecompressor().stream_reader((folder / one.path).read_bytes()).read()
        store.insert_native(one.table, one.columns, block, into=columns)
        advance(one.table, one.rows)
    return manifest


def _check(store: Store, folder: Path, manifest: Manifest) -> None:
    for one in manifest.files:
        path = folder / one.path
        if not path.is_file() or hashlib.file_digest(path.open("rb"), "sha256").hexdigest() != one.sha256:
            raise UsageError(f"{path} is damaged or gone; nothing was restored.", hint="Take another backup.")
    unknown = set(manifest.schema) - {one.name for one in migrations()}
    if unknown:
        raise StoreError(
            f"The backup was made by a newer evalspan: it has {', '.join(sorted(unknown))}.",
            hint="A newer evalspan made it: upgrade to that one, docs/install.md says how.",
        )
    if missing := {one.table for one in manifest.files}.difference(one.name for one in tables(store)):
        raise UsageError(
            f"{folder / MANIFEST} names tables that no store has: {', '.join(sorted(missing))}.",
            hint="Take another backup.",
        )
    held = {one.name: sum(rows for _, rows in pieces(store, one)) for one in _user_tables(store)}
    if any(held.values()):
        full = ", ".join(f"{rows} rows in {name}" for name, rows in held.items() if rows)
        raise UsageError(
            f"{store.described} is not empty: {full}.", hint="Restore into a new store: --store chdb:///PATH."
        )


def _user_tables(store: Store) -> list[Table]:
    return [one for one in tables(store) if one.name in ("spans", "evaluations", "examples", "experiments")]
