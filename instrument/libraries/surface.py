"""What the hooks ask of the modules that know one SDK: which calls become spans, and how each is read."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ..tracing import Attributes

# Under this key a surface says that the call failed although the HTTP answer was a 200; never sent.
FAILURE = "evalspan.failure"


class Failure(NamedTuple):
    """Why a call failed that raised nothing."""

    type: str
    """For `error.type`: the API's own code."""
    message: str
    """What the API says; it may quote the request."""


class Accumulator(Protocol):
    """Puts the pieces of one stream together."""

    def add(self, event: Any, /) -> None:
        """Takes in one parsed event; called for every chunk, so it does as little as it can."""

    def attributes(self) -> Attributes:
        """What the events so far say, in the form of a response's attributes."""


class Surface(Protocol):
    """One kind of API call: how to read its request, its response and its stream."""

    operation: str

    def request(self, body: dict[str, Any]) -> Attributes:
        """Attributes of a request's JSON body."""

    def response(self, response: Any) -> Attributes:
        """Attributes of a parsed response, or of its JSON; with `FAILURE` where it says that the call failed."""

    def accumulator(self) -> Accumulator:
        """Follows a streamed response."""


class Library(Protocol):
    """One SDK."""

    NAME: str

    def surface(self, method: str, url: str) -> Surface | None:
        """The surface of a request, None for one that is passed through untouched."""

    def provider(self, client: Any, host: str) -> str:
        """Who answers, as the conventions name providers."""
