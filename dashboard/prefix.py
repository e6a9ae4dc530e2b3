"""Pages under a path of their own, `[dashboard] public_url`: every address that a page names gets the path in front."""

from __future__ import annotations

import re

from aiohttp import hdrs, web

_ADDRESS = re.compile(r'(\s(?:href|src|action|formaction|hx-get|hx-post|data-[a-z-]+)=["\'])/(?!/)')


def under_prefix(html: str, prefix: str) -> str:
    """The HTML with `prefix` before each address of this server; scripts find it on the root element."""
    if not prefix:
        return html
    return _ADDRESS.sub(rf"\1{prefix}/", html).replace("<html ", f'<html data-prefix="{prefix}" ', 1)


def put_under_prefix(response: web.StreamResponse, prefix: str) -> None:
    """The same for a whole answer: its text when it is a page, and where it leads."""
    if not prefix or response.prepared:
        return
    where = response.headers.get(hdrs.LOCATION, "")
    if where.startswith("/") and not where.startswith("//"):
        response.headers[hdrs.LOCATION] = prefix + where
    if isinstance(response, web.Response) and response.content_type == "text/html" and response.text:
        response.text = under_prefix(response.text, prefix)
