"""The content of a file of records: UTF-8 and nothing else, and what one record of it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ...errors import UsageError

BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """One record and where it stands."""

    place: str
    values: dict[str, Any]


def read_bytes(path: Path) -> bytes:
    """The content as UTF-8 without its byte order mark. Raises UsageError for other encodings and packed files."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    packed = {
        b"\x1f\x8b": "gzip",
        b"PK": "a zip archive, as Excel writes them",
        b"(\xb5/\xfd": "zstd",
        b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    }
    for magic, kind in packed.items():
        if content.startswith(magic):
            raise UsageError(f"{path} is {kind}, not text", hint="unpack it, or save it as CSV or JSONL")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in content[:4]:
        raise UsageError(f"{path} is UTF-16 or UTF-32, not UTF-8", hint="save it as UTF-8 (PowerShell: -Encoding utf8)")
    content = content.removeprefix(BOM)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise UsageError(
            f"{path}:{line}, byte {column}: not UTF-8",
            hint="save the file as UTF-8 (it may be Windows-1252 or Latin-1)",
        ) from error
    return content
