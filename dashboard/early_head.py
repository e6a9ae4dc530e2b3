"""The head of a page and its rail are sent while its numbers are still looked for: a page stands at once, whatever it reads."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable
from typing import Any

from aiohttp import hdrs, web

from ..errors import EvalspanError
from . import guard
from .prefix import under_prefix
from .template_filters import environment

PATIENCE_S = 0.25
"""Seconds after which the head goes first. Before that a page is one answer, with a status that says how it went."""
MARK = '<div class="page">'
"""Where base.html goes over from what every page has to what this one says."""
READING = '<p class="reading" role="status">Reading …</p>'
"""Stands where the page will be; what follows it hides it."""


async def is_slow(request: web.Request, work: Awaitable[Any]) -> bool:
    """Whether a reader who looks at pages should see the head before the work is done."""
    if "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
        return False
    done, _ = await asyncio.wait({asyncio.ensure_future(work)}, timeout=PATIENCE_S)
    return not done


async def streamed(
    request: web.Request, template: str, values: dict[str, Any], work: Awaitable[dict[str, Any]], prefix: str
) -> web.StreamResponse:
    """
    The page in two parts: `values` draw the first, what `work` gives the second.

    An error that readers can mend stands in the second part, as its status is gone by then. Raises other errors, which
    end the connection.
    """
    drawn = environment().get_template(template)
    context = drawn.new_context(values)
    pieces = drawn.root_render_func(context)
    text = ""
    while MARK not in text:
        text = "".join((text, next(pieces)))  # + would escape what is before a piece that is safe
    head, _, rest = text.partition(MARK)
    answer = _Answer(request, prefix)
    await answer.begin(head + READING)
    try:
        # Blocks look their names up when they are drawn, so that what comes now is what they find.
        context.parent.update(await work)
    except EvalspanError as error:
        failed = {**values, "title": "Cannot show this", "message": str(error), "hint": error.hint}
        text = environment().get_template("error.html").render(failed)
        await answer.end(MARK + text.partition(MARK)[2])
    else:
        # Beside the event loop: there may be many rows, and everybody else's request waits for what is on it.
        await answer.end(MARK + rest + await asyncio.to_thread("".join, pieces))
    return answer.response


class _Answer:
    """An answer in parts, compressed so that each part can be read when it arrives."""

    def __init__(self, request: web.Request, prefix: str) -> None:
        self._request, self._prefix = request, prefix
        self.response = web.StreamResponse(headers={**guard.HEADERS, hdrs.CACHE_CONTROL: "no-store"})
        self.response.content_type, self.response.charset = "text/html", "utf-8"
        self._packed = None
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            self._packed = zlib.compressobj(6, zlib.DEFLATED, 31)
            self.response.headers[hdrs.CONTENT_ENCODING] = "gzip"
            self.response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING

    async def begin(self, text: str) -> None:
        await self.response.prepare(self._request)
        body = under_prefix(text, self._prefix).encode()
        await self.response.write(
            self._packed.compress(body) + self._packed.flush(zlib.Z_SYNC_FLUSH) if self._packed else body
        )

    async def end(self, text: str) -> None:
        body = under_prefix(text, self._prefix).encode()
        await self.response.write(self._packed.compress(body) + self._packed.flush() if self._packed else body)
        await self.response.write_eof()
