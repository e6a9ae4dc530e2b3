"""Content-Encoding, undone with a bound: a small body that becomes a huge one is refused before it is there."""

from __future__ import annotations

import io
import zlib

import lz4.frame
import zstandard
from isal import isal_zlib

# The stub of isal calls its exception class an instance.
_DAMAGED: tuple[type[Exception], ...] = (isal_zlib.error, zlib.error, zstandard.ZstdError, EOFError, RuntimeError)  # type: ignore[assignment]
# The window that a frame may ask for is allocated before anything is decompressed.
_MAX_WINDOW = 1 << 27


class DecompressionError(ValueError):
    """The body cannot be decompressed."""


class UnknownEncoding(DecompressionError):
    """The encoding is none of ours."""


class TooLong(DecompressionError):
    """More comes out than is allowed."""


def decompress(body: bytes, encoding: str, limit: int, *, known: tuple[str, ...]) -> bytes:
    """
    The body as it was before `encoding`, one of `known`: identity, gzip, deflate, zstd, lz4.

    Raises:
        UnknownEncoding: it is none of `known`.
        TooLong: more than `limit` bytes would come out.
        DecompressionError: the body is damaged, cut off, or something follows behind its end.
    """
    name = encoding.strip().lower() or "identity"
    if name not in known:
        raise UnknownEncoding(f"Content-Encoding {encoding!r} is not supported; use one of {', '.join(known)}")
    if name == "identity":
        return body
    try:
        plain = _BY_NAME[name](body, limit)
    except _DAMAGED as error:
        raise DecompressionError(f"the body is not valid {name}: {error}") from error
    if len(plain) > limit:
        raise TooLong(f"the body decompresses to more than {limit} bytes")
    return plain


def _gzip(body: bytes, limit: int) -> bytes:
    return _zlib(body, 31, limit)


def _deflate(body: bytes, limit: int) -> bytes:
    # HTTP's "deflate" is a zlib stream; some senders leave its header away, which its first byte shows.
    raw = body[:1] and body[0] & 0x0F != 8
    return _zlib(body, -15 if raw else 15, limit)


def _zlib(body: bytes, window_bits: int, limit: int) -> bytes:
    stream = isal_zlib.decompressobj(window_bits)
    plain = stream.decompress(body, limit + 1)
    if len(plain) <= limit and not stream.eof:
        raise EOFError("it ends too early")
    if stream.unused_data:
        raise EOFError("something follows behind its end")
    return plain


def _zstd(body: bytes, limit: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    if 0 < limit < zstandard.frame_content_size(body):
        return bytes(limit + 1)  # it says itself that it is too long
    try:
        return decompressor.decompress(body, max_output_size=limit + 1, allow_extra_data=False)
    except zstandard.ZstdError:
        # Too long and cut off look alike here; only reading up to the limit tells them apart.
        plain = decompressor.stream_reader(io.BytesIO(body)).read(limit + 1)
        if len(plain) <= limit:
            raise
        return plain


def _lz4(body: bytes, limit: int) -> bytes:
    stream = lz4.frame.LZ4FrameDecompressor()
    plain: bytes = stream.decompress(body, max_length=limit + 1)
    if len(plain) <= limit and not stream.eof:
        raise EOFError("it ends too early")
    if stream.unused_data:
        raise EOFError("something follows behind its end")
    return plain


_BY_NAME = {"gzip": _gzip, "deflate": _deflate, "zstd": _zstd, "lz4": _lz4}
