"""What a request may do, where its handlers find it, and the answer to pages of other sites."""

from __future__ import annotations

import html

from aiohttp import web

from ..host.auth import Access
from ..host.origin import TrustedProxies, foreign_host, foreign_page, is_navigation

ACCESS: web.RequestKey[Access] = web.RequestKey("access", Access)
"""Set once, before a handler runs; a handler without it fails instead of showing everything."""


def foreign_request(request: web.Request, proxies: TrustedProxies, *, keys_set: bool) -> str:
    """Why a request that a browser made for another site is refused, "" when it is none."""
    host = request.host
    if proxies.trusts(request.remote or ""):
        host = request.headers.get("X-Forwarded-Host", host).split(",")[0].strip()
    return foreign_page(request.headers, host) or foreign_host(host, keys_set=keys_set)


def ask_to_go_on(request: web.Request, why: str) -> web.Response:
    """The answer to a link on another site: a page with a link of ours, and nothing looked up before it is followed."""
    if not is_navigation(request.headers, request.method):
        return web.Response(status=403, text=f"{why}\n", headers={"Cache-Control": "no-store"})
    path = str(request.rel_url)
    where = html.escape(path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/")
    text = (
        '<!doctype html><meta charset="utf-8"><title>evalspan</title>'
        f'<p>You come from another site. <a href="{where}">Go on to this page</a>.</p>'
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
    return web.Response(status=403, text=text, content_type="text/html", headers=headers)
