"""The bodies of the scripted server for what is not chat: embeddings, images, audio, moderation, whole and streamed."""

from __future__ import annotations

import base64
import struct
from typing import Any

MP3 = b"ID3\x04\x00" + bytes(range(64))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
IMAGE_USAGE = {
    "input_tokens": 10,
    "output_tokens": 20,
    "total_tokens": 30,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
}
AUDIO_USAGE = {"type": "tokens", "input_tokens": 14, "output_tokens": 9, "total_tokens": 23}


def embeddings(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> dict[str, Any]:
    vector = [0.5, -0.25, 0.125]
    encoded: Any = vector
    if sent.get("encoding_format") == "base64":
        encoded = base64.b64encode(struct.pack("<3f", *vector)).decode()
    given = sent.get("input")
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    data = [{"object": "embedding", "index": index, "embedding": encoded} for index in range(count)]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}


def images(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> dict[str, Any]:
    if options.get("by_address"):
        return {"created": 1, "data": [{"url": "https://images.example/cat.png"}]}
    data = [{"b64_json": base64.b64encode(PNG).decode()} for _ in range(int(sent.get("n") or 1))]
    return {"created": 1, "data": data, "usage": IMAGE_USAGE}


def image_events(path: str) -> list[dict[str, Any]]:
    """Two partial images, then the whole one."""
    kind = "image_edit" if path.endswith("/edits") else "image_generation"
    head = {"created_at": 1, "background": "auto", "output_format": "png", "quality": "low", "size": "1024x1024"}
    partial = [
        {
            **head,
            "type": f"{kind}.partial_image",
            "partial_image_index": index,
            "b64_json": base64.b64encode(PNG[: 20 + index]).decode(),
        }
        for index in range(2)
    ]
    whole = {"type": f"{kind}.completed", "b64_json": base64.b64encode(PNG).decode(), "usage": IMAGE_USAGE}
    return [*partial, {**head, **whole}]


def moderations(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> dict[str, Any]:
    result = {"flagged": True, "categories": {"violence": True, "hate": False}, "category_scores": {"violence": 0.9}}
    return {"id": "modr-1", "model": "omni-moderation-latest", "results": [result]}


def transcription(sent: dict[str, Any], answer: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"text": answer, "usage": AUDIO_USAGE}


def transcription_events(pieces: list[str]) -> list[dict[str, Any]]:
    """The text in pieces, then whole."""
    done = {"type": "transcript.text.done", "text": "".join(pieces), "usage": AUDIO_USAGE}
    return [*({"type": "transcript.text.delta", "delta": piece} for piece in pieces), done]
