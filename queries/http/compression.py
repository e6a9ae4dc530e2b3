"""Compresses the answers of the SQL port: lz4, zstd, gzip and deflate."""

from __future__ import annotations

import zlib
from typing import Protocol

import lz4.frame
import zstandard


class Compressor(Protocol):
    """Compresses a stream piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """What comes out for this piece, perhaps nothing yet."""

    def flush(self) -> bytes:
        """The end of the stream."""


def compressor(accepted: str) -> tuple[str, Compressor] | None:
    """The best encoding of an Accept-Encoding header and its compressor, or None."""
    wishes = [part.replace(" ", "").lower().partition(";") for part in accepted.split(",")]
    names = {name for name, _, weight in wishes if weight not in ("q=0", "q=0.0")}
    if "lz4" in names:
        return "lz4", _Lz4()
    if "zstd" in names:
        return "zstd", zstandard.ZstdCompressor(level=1).compressobj()
    if "gzip" in names:
        return "gzip", zlib.compressobj(1, zlib.DEFLATED, 31)
    if "deflate" in names:
        return "deflate", zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS)
    return None


class _Lz4:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        begin = b"" if self._begun else bytes(self._frame.begin())
        self._begun = True
        return begin + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        begin = b"" if self._begun else bytes(self._frame.begin())
        return begin + bytes(self._frame.flush())
