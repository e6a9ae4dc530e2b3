"""Texts that people wrote into files or pipe in: UTF-8 and nothing else, or an error that says what it is and where."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError

BOM = b"\xef\xbb\xbf"


def read_text(path: Path) -> str:
    """The text of a file. Raises UsageError as `read_bytes`."""
    return read_bytes(path).decode()


def read_bytes(path: Path) -> bytes:
    """The content as UTF-8 without its byte order mark. Raises UsageError for other encodings and packed files."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    return utf8(content, str(path))


def utf8(content: bytes, name: str) -> bytes:
    """The same without its byte order mark; `name` is where it comes from. Raises UsageError as `read_bytes`."""
    packed = {
        b"\x1f\x8b": "gzip",
        b"PK": "a zip archive, as Excel writes them",
        b"(\xb5/\xfd": "zstd",
        b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    }
    for magic, kind in packed.items():
        if content.startswith(magic):
            raise UsageError(f"{name} is {kind}, not text", hint="unpack it, or save it as text")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in content[:4]:
        raise UsageError(f"{name} is UTF-16 or UTF-32, not UTF-8", hint="save it as UTF-8 (PowerShell: -Encoding utf8)")
    content = content.removeprefix(BOM)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise UsageError(
            f"{name}:{line}, byte {column}: not UTF-8",
            hint="save the file as UTF-8 (it may be Windows-1252 or Latin-1)",
        ) from error
    return content
