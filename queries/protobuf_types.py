"""Protobuf messages of our own from a table of their fields: parts of OTLP that nobody looks into stay bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

OPTIONAL, REPEATED = 1, 3
INT32, FIXED64, STRING, MESSAGE, BYTES = 5, 6, 9, 11, 12
"""Labels and types as protobuf numbers them in FieldDescriptorProto."""
Field = tuple[str, int, int, int, str]
"""Name, number, label, type and, of a message, the name of its type in the same table."""


def message_types(package: str, messages: Mapping[str, tuple[Field, ...]]) -> dict[str, Any]:
    """The message classes by name; `package` keeps those of two tables apart."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, label, kind, of in fields:
            added = message.field.add(name=field, number=number, label=label, type=kind)
            if of:
                added.type_name = f".{package}.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def varint(number: int) -> bytes:
    """`number` >= 0 in protobuf's base-128 encoding."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
