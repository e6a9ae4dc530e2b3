"""How other clouds carry the two APIs: their paths as those of the APIs, and Bedrock's binary event stream."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from typing import Any

_MESSAGES = re.compile(r"/model/[^/]+/invoke(-with-response-stream)?$|:(streamR|r)awPredict$")
_COUNTING = re.compile(r"/count-tokens:rawPredict$")
_AZURE = re.compile(r"^/openai(/deployments/[^/]+)?")


def api_path(path: str) -> str:
    """The API's own path of a request that came by a cloud's: `/model/x/invoke` is `/v1/messages`."""
    if _COUNTING.search(path):
        return "/v1/messages/count_tokens"
    return "/v1/messages" if _MESSAGES.search(path) else _AZURE.sub("/v1", path)


def form_fields(raw: bytes) -> dict[str, Any]:
    """The plain fields of a multipart body; uploaded files are left out."""
    found = {}
    for name, value in re.findall(rb'name="(\w+)"\r\n\r\n([^\r]*)\r\n', raw):
        found[name.decode()] = True if value == b"true" else value.decode()
    return found


def bedrock_frame(event: dict[str, Any]) -> bytes:
    """One event as Bedrock frames it: prelude, headers and payload, each under a checksum."""
    wrapped = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
    named = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in named.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(wrapped), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + wrapped
    return body + struct.pack(">I", zlib.crc32(body))
