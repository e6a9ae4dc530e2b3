"""Any value as JSON can hold it: the one place where numpy, dates, bytes, subclasses of str and half characters become plain."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

MAX_DEPTH = 100


def plain_json(value: Any, *, depth: int = MAX_DEPTH) -> Any:
    """The same data in None, bool, int, float, str, list and dict only, so that every JSON writer takes it.

    Times are ISO 8601, UTC where they name no zone; NaN and infinities are null; bytes are their UTF-8 text, else
    base64; numpy arrays are lists; keys are texts; half a surrogate pair is a replacement character. What lies deeper
    than `depth` levels, and what has no form of its own, is its `str`. Never raises.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, Enum):
        return plain_json(value.value, depth=depth)
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 64 else str(int(value))
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    return _of_library_type(value, depth)


def plain_text(value: object) -> str:
    """A text that UTF-8 can write: of type `str` itself, half a surrogate pair replaced. Never raises."""
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception as error:  # noqa: BLE001 - somebody's __str__
        text = f"<{type(value).__name__}, whose str() raised {type(error).__name__}>"
    # By way of UTF-16, so that two halves that stand together become their character again.
    return str.__str__(text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _of_library_type(value: Any, depth: int) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes_text(bytes(value))
    if depth <= 0:
        return plain_text(value)
    try:
        return _container(value, depth - 1)
    except Exception:  # noqa: BLE001 - somebody's own container
        return plain_text(value)


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {plain_text(key): plain_json(item, depth=depth) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_json(item, depth=depth) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: plain_json(getattr(value, name), depth=depth) for name in value.__struct_fields__}
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: plain_json(getattr(value, name), depth=depth) for name in value.__dataclass_fields__}
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return plain_json(value.tolist(), depth=depth)
    return plain_text(value)


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()
