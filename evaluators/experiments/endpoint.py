"""A target behind HTTP: the input goes out as a JSON body, the answer comes back as JSON or plain text."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

MAX_ANSWER = 16 * 1024 * 1024  # bytes
TIMEOUT_S = 300  # the run's own limit is shorter; this one frees the thread


def post_to(url: str) -> Callable[[dict[str, Any]], Any]:
    """A callable that posts each input to the URL; a status of 400 or more raises with the body's beginning."""

    def ask(example_input: dict[str, Any]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - load_target lets only http and https through
            url,
            data=json.dumps(example_input).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json, text/plain"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                body = response.read(MAX_ANSWER + 1)
                kind = response.headers.get_content_type()
        except urllib.error.HTTPError as error:
            start = error.read(300).decode(errors="replace")
            raise RuntimeError(f"{url} answered {error.code} {error.reason}: {start}") from error
        except urllib.error.URLError as error:
            raise ConnectionError(f"{url} cannot be reached: {error.reason}") from error
        if len(body) > MAX_ANSWER:
            raise ValueError(f"{url} answered more than {MAX_ANSWER} bytes")
        return json.loads(body) if kind == "application/json" else body.decode()

    return ask
