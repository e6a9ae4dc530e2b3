"""Content-Encoding, undone with a bound: a small body that inflates to a huge one is refused before it is inflated."""

from __future__ import annotations

import io
import zlib

import zstandard
from isal import isal_zlib

from .rejection import Refused

ENCODINGS = ("identity", "gzip", "deflate", "zstd")

# The stub of isal calls its exception class an instance.
_DAMAGED: tuple[type[Exception], ...] = (isal_zlib.error, zlib.error, zstandard.ZstdError, EOFError)  # type: ignore[assignment]


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before `encoding`; Refused when it is damaged, cut off, or longer than `limit` bytes."""
    name = encoding.strip().lower() or "identity"
    if name not in ENCODINGS:
        raise Refused.unsupported(f"Content-Encoding {encoding!r} is not supported; use one of {', '.join(ENCODINGS)}")
    if name == "identity":
        return body
    try:
        inflated = _zstd(body, limit) if name == "zstd" else _zlib(body, name, limit)
    except _DAMAGED as error:
        raise Refused.malformed(f"the body is not valid {name}: {error}") from error
    if len(inflated) > limit:
        raise Refused.too_large(
            f"the body inflates to more than {limit} bytes; send fewer spans at once (max_export_batch_size)"
        )
    return inflated


def _zlib(body: bytes, name: str, limit: int) -> bytes:
    # HTTP's "deflate" is a zlib stream; some senders leave its header away, which its first byte shows.
    raw = name == "deflate" and body[:1] and body[0] & 0x0F != 8
    window_bits = 31 if name == "gzip" else -15 if raw else 15
    stream = isal_zlib.decompressobj(window_bits)
    inflated = stream.decompress(body, limit + 1)
    if len(inflated) <= limit and not stream.eof:
        raise EOFError("it ends too early")
    if stream.unused_data:
        raise EOFError("something follows behind its end")
    return inflated


def _zstd(body: bytes, limit: int) -> bytes:
    # The window a frame may ask for is bounded too: it is allocated before anything is inflated.
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    if 0 < limit < zstandard.frame_content_size(body):
        return bytes(limit + 1)  # it says itself that it is too long
    try:
        return decompressor.decompress(body, max_output_size=limit + 1, allow_extra_data=False)
    except zstandard.ZstdError:
        # Too long and cut off look alike here; only reading up to the limit tells them apart.
        inflated = decompressor.stream_reader(io.BytesIO(body)).read(limit + 1)
        if len(inflated) <= limit:
            raise
        return inflated
