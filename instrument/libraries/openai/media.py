"""OpenAI's other surfaces: embeddings, images, speech, transcription and moderation as span attributes."""

from __future__ import annotations

from typing import Any

from ... import semconv
from ...tracing import Attributes
from ..parts import Part, blob, field, fields, listed, message, text, uri
from ..surface import Accumulator
from .fields import identity, usage


class Embeddings:
    """`/embeddings`; the vectors are not recorded."""

    operation = semconv.OPERATION_EMBEDDINGS

    def request(self, body: dict[str, Any]) -> Attributes:
        """Texts and format of a request; token ids are not text and are left out."""
        found: Attributes = {semconv.INPUT_MESSAGES: [message("user", [text(item)]) for item in _texts(body, "input")]}
        if isinstance(dimensions := body.get("dimensions"), int):
            found[semconv.EMBEDDING_DIMENSIONS] = dimensions
        if isinstance(encoding := body.get("encoding_format"), str):
            found[semconv.REQUEST_ENCODING_FORMATS] = [encoding]
        return found

    def response(self, response: Any) -> Attributes:
        """Model and usage."""
        return {**identity(fields(response)), **usage(field(response, "usage"))}

    def accumulator(self) -> Accumulator:
        """Nothing of a stream of embeddings is recorded."""
        return Unread()


class Moderations(Embeddings):
    """`/moderations`: what was checked and what it was flagged for."""

    operation = semconv.OPERATION_MODERATE

    def response(self, response: Any) -> Attributes:
        """The flagged categories of each input."""
        verdicts: list[Part] = [
            {"type": "moderation", "flagged": bool(field(result, "flagged")), "categories": _flagged(result)}
            for result in listed(response, "results")
        ]
        return {**identity(fields(response)), semconv.OUTPUT_MESSAGES: [message("assistant", verdicts)]}


class Images:
    """`/images/*`: prompts in, images out by address, or by size and hash."""

    operation = semconv.OPERATION_GENERATE

    def request(self, body: dict[str, Any]) -> Attributes:
        """The prompt; uploaded images are not read."""
        found: Attributes = {semconv.OUTPUT_TYPE: "image"}
        if isinstance(count := body.get("n"), int) and count != 1:
            found[semconv.REQUEST_CHOICE_COUNT] = count
        found[semconv.INPUT_MESSAGES] = [message("user", [text(item)]) for item in _texts(body, "prompt")]
        return found

    def response(self, response: Any) -> Attributes:
        """The images and their usage."""
        mime_type = f"image/{field(response, 'output_format') or 'png'}"
        images = [
            blob("image", mime_type, data) if (data := field(image, "b64_json")) else uri("image", field(image, "url"))
            for image in listed(response, "data")
        ]
        found = {**identity(fields(response)), **usage(field(response, "usage"))}
        if images:
            found[semconv.OUTPUT_MESSAGES] = [message("assistant", images)]
        return found

    def accumulator(self) -> Accumulator:
        """Follows an image that arrives in parts."""
        return LastEvent("image_generation.completed", "image_edit.completed")


class Transcriptions:
    """`/audio/transcriptions` and `/audio/translations`; the uploaded audio is not read."""

    operation = semconv.OPERATION_GENERATE

    def request(self, body: dict[str, Any]) -> Attributes:
        """The prompt that goes with the audio."""
        found: Attributes = {semconv.OUTPUT_TYPE: "text"}
        if isinstance(temperature := body.get("temperature"), (int, float)):
            found[semconv.REQUEST_TEMPERATURE] = temperature
        if prompts := _texts(body, "prompt"):
            found[semconv.INPUT_MESSAGES] = [message("user", [text(item)]) for item in prompts]
        return found

    def response(self, response: Any) -> Attributes:
        """The text and its usage."""
        said = response if isinstance(response, str) else field(response, "text")
        found = {**identity(fields(response)), **usage(field(response, "usage"))} if said is not response else {}
        found[semconv.OUTPUT_MESSAGES] = [message("assistant", [text(said)])]
        return found

    def accumulator(self) -> Accumulator:
        """Follows a streamed transcription."""
        return LastEvent("transcript.text.done")


class Speech:
    """`/audio/speech`: text in, audio out by size and hash."""

    operation = semconv.OPERATION_GENERATE

    def request(self, body: dict[str, Any]) -> Attributes:
        """What is to be spoken."""
        spoken = [message("user", [text(item)]) for item in _texts(body, "input")]
        instructions = body.get("instructions")
        found: Attributes = {semconv.OUTPUT_TYPE: "speech", semconv.INPUT_MESSAGES: spoken}
        if isinstance(instructions, str):
            found[semconv.SYSTEM_INSTRUCTIONS] = [text(instructions)]
        return found

    def response(self, response: Any) -> Attributes:
        """The audio, when its whole body is there."""
        http = field(response, "response")
        if http is None or not getattr(http, "is_closed", False):
            return {}
        mime_type = http.headers.get("content-type", "").partition(";")[0] or None
        return {semconv.OUTPUT_MESSAGES: [message("assistant", [blob("audio", mime_type, http.content)])]}

    def accumulator(self) -> Accumulator:
        """Streamed audio is not kept."""
        return Unread()


class Unread:
    """A stream of which nothing is recorded but that it happened."""

    def add(self, event: Any) -> None:
        """Lets the event pass."""

    def attributes(self) -> Attributes:
        """Nothing."""
        return {}


class LastEvent:
    """A stream whose closing event says everything; cut short, what had arrived of the text or the newest picture."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds
        self._last: Any = None
        self._newest: Any = None
        self._pieces: list[str] = []

    def add(self, event: Any) -> None:
        """Keeps the closing event, and what can stand for it."""
        if event.type in self._kinds:
            self._last = event
        elif (piece := getattr(event, "delta", None)) is not None:
            self._pieces.append(piece)
        else:
            self._newest = event

    def attributes(self) -> Attributes:
        """What the closing event says; without it, what came before."""
        found: Attributes = {}
        closing = self._last
        if closing is None:
            found[semconv.FINISH_REASONS] = ["error"]
            closing = {"text": "".join(self._pieces)} if self._pieces else self._newest
        found.update(usage(field(closing, "usage")))
        if isinstance(said := field(closing, "text"), str):
            found[semconv.OUTPUT_MESSAGES] = [message("assistant", [text(said)])]
        elif data := field(closing, "b64_json"):
            mime_type = f"image/{field(closing, 'output_format') or 'png'}"
            found[semconv.OUTPUT_MESSAGES] = [message("assistant", [blob("image", mime_type, data)])]
        return found


def _texts(body: dict[str, Any], name: str) -> list[str]:
    value = body.get(name)
    if isinstance(value, str):
        return [value]
    return [item for item in listed(body, name) if isinstance(item, str)]


def _flagged(result: Any) -> list[str]:
    categories = field(result, "categories")
    named = categories if type(categories) is dict else getattr(categories, "__dict__", {})
    return sorted(name for name, flagged in named.items() if flagged is True)
