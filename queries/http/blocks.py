"""ClickHouse's own compressed blocks, `compress=1` and `decompress=1`: what Go, C++ and older JDBC clients use over HTTP.

A block is a checksum (CityHash128 of the version that ClickHouse froze) of what follows; the method; both sizes, the
compressed one with the nine bytes of method and sizes; the data.
"""

from __future__ import annotations

import struct

import lz4.block
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

from ...errors import QueryError

CANNOT_DECOMPRESS, CHECKSUM_DOES_NOT_MATCH = 271, 40
LZ4, ZSTD, NONE = 0x82, 0x90, 0x02
MAX_BLOCK = 1 << 20

_HEADER = struct.Struct("<BII")
_CHECKSUM = struct.Struct("<QQ")


class BlockCompressor:
    """Compresses a stream into LZ4 blocks of at most a megabyte."""

    def compress(self, data: bytes, /) -> bytes:
        """The blocks of this piece."""
        return b"".join(_block(data[at : at + MAX_BLOCK]) for at in range(0, len(data), MAX_BLOCK))

    def flush(self) -> bytes:
        """Blocks stand for themselves: nothing ends a stream of them."""
        return b""


def unblocked(body: bytes, max_length: int) -> bytes:
    """
    The body as it was before the client made blocks of it.

    Raises:
        QueryError: a checksum is wrong, the data is broken, or would be longer than `longest` bytes.
    """
    plain, at = bytearray(), 0
    while at < len(body):
        head = at + _CHECKSUM.size
        if len(body) < head + _HEADER.size:
            raise _broken("the last block is cut")
        method, size, inflated = _HEADER.unpack_from(body, head)
        if size < _HEADER.size or len(body) < head + size:
            raise _broken("a block is cut")
        if len(plain) + inflated > max_length:
            raise _broken(f"it is longer than {max_length} bytes")
        if body[at:head] != _checksum(body[head : head + size]):
            raise QueryError("Checksum doesn't match: a block of the body is corrupt.", code=CHECKSUM_DOES_NOT_MATCH)
        plain += _inflated(method, body[head + _HEADER.size : head + size], inflated)
        at = head + size
    return bytes(plain)


def _block(data: bytes) -> bytes:
    packed: bytes = lz4.block.compress(data, store_size=False)
    framed = _HEADER.pack(LZ4, _HEADER.size + len(packed), len(data)) + packed
    return _checksum(framed) + framed


def _inflated(method: int, packed: bytes, size: int) -> bytes:
    try:
        if method == LZ4:
            plain = lz4.block.decompress(packed, uncompressed_size=size)
        elif method == ZSTD:
            plain = zstandard.ZstdDecompressor().stream_reader(packed).read(size + 1)
        elif method == NONE:
            plain = packed
        else:
            raise _broken(f"its method 0x{method:02x} is not LZ4, ZSTD or none")
    except (lz4.block.LZ4BlockError, zstandard.ZstdError, ValueError, MemoryError) as error:
        raise _broken(str(error)) from error
    if len(plain) != size:
        raise _broken("a block has another size than it says")
    return bytes(plain)


def _checksum(framed: bytes) -> bytes:
    number: int = CityHash128(framed)
    return _CHECKSUM.pack(number >> 64, number & 0xFFFFFFFFFFFFFFFF)


def _broken(why: str) -> QueryError:
    return QueryError(f"The body cannot be decompressed as ClickHouse's blocks: {why}.", code=CANNOT_DECOMPRESS)
