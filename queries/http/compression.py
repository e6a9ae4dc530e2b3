"""Content encodings of the SQL port, both ways: lz4, zstd, gzip and deflate, with a bound on what is inflated."""

from __future__ import annotations

import zlib
from typing import Protocol

import lz4.frame
import zstandard

from ...errors import QueryError

CANNOT_DECOMPRESS = 271


class Compressor(Protocol):
    """Compresses a stream piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """What comes out for this piece, perhaps nothing yet."""

    def flush(self) -> bytes:
        """The end of the stream."""


def inflate(body: bytes, encoding: str, longest: int) -> bytes:
    """
    The body as it was before the client compressed it.

    Raises:
        QueryError: the encoding is unknown, the data is broken, or would be longer than `longest` bytes.
    """
    if not body or encoding in ("", "identity"):
        return body
    try:
        if encoding in ("gzip", "deflate"):
            stream = zlib.decompressobj(47 if encoding == "gzip" else zlib.MAX_WBITS)
            plain = stream.decompress(body, longest + 1)
        elif encoding == "zstd":
            plain = zstandard.ZstdDecompressor().stream_reader(body).read(longest + 1)
        elif encoding == "lz4":
            plain = lz4.frame.LZ4FrameDecompressor().decompress(body, max_length=longest + 1)
        else:
            raise QueryError(
                f"Content-Encoding {encoding!r} is not known here.", hint="gzip, deflate, zstd and lz4 are.", code=48
            )
    except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
        raise QueryError(f"The body is not {encoding}: {error}.", code=CANNOT_DECOMPRESS) from error
    if len(plain) > longest:
        raise QueryError(f"The inflated body is longer than {longest} bytes.", code=CANNOT_DECOMPRESS)
    return plain


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
