"""What stands between a browser and the pages: headers, CSRF, sign-in by key; keys never stand in a URL.

The receivers' guard has already refused foreign host names; here a browser's session counts as well as a key.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from ..queries.host.auth import EVERYTHING, MAX_PROJECT_BYTES, Access
from ..queries.host.limits import ProjectShares
from ..queries.host.origin import TrustedProxies
from ..queries.http.access import ACCESS
from ..queries.shares import ShareExhausted
from .prefix import put_under_prefix
from .sign_in import SESSION_S, Sessions, Throttle

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; media-src data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
CHALLENGE = {hdrs.WWW_AUTHENTICATE: "Bearer"}
COOKIE = "evalspan_session"
# Nobody's rows, for pages that are shown before sign-in: no project has so long a name.
NOBODY = Access("-" * (MAX_PROJECT_BYTES + 1), sees_all=False)
# What somebody without a key may send.
MAX_PUBLIC_FORM = 16 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Guard:
    """What decides who may see a page, once for each request."""

    access_of_key: Callable[[str], Access | None]
    """What a key may see, None for a key that opens nothing."""
    keys_set: bool
    sign_in: Handler
    """Draws the page that somebody without a key gets in the place of any other."""
    shares: ProjectShares
    proxies: TrustedProxies
    prefix: str = ""
    """The path under which a proxy shows the pages."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    sessions: Sessions = field(default_factory=Sessions)
    throttle: Throttle = field(default_factory=Throttle)
    form_timeout_s: float = 30

    def access(self, request: web.Request) -> Access | None:
        """What whoever asks may see, by session or by `Authorization: Bearer`; None when neither opens anything."""
        if not self.keys_set:
            return EVERYTHING
        by_session = self.sessions.access(request.cookies.get(COOKIE, ""))
        if by_session is not None:
            return by_session
        scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return self.access_of_key(key.strip()) if scheme.lower() == "bearer" and key else None

    def token(self, request: web.Request) -> str:
        """The CSRF token that belongs to this browser's session."""
        return hmac.new(self.secret, request.cookies.get(COOKIE, "").encode(), "sha256").hexdigest()

    def client(self, request: web.Request) -> str:
        """The address of whoever asks."""
        return self.proxies.client(request.remote or "", request.headers)


GUARD: web.AppKey[Guard] = web.AppKey("dashboard_guard", Guard)


def only_project(request: web.Request) -> str | None:
    """The one project that the request may see, as was decided when it came; None for all.

    Raises KeyError where nothing was decided.
    """
    return request[ACCESS].scope


def has_ended(request: web.Request) -> bool:
    """Whether the session or key with which a long answer began opens this no more."""
    return request.app[GUARD].access(request) != request[ACCESS]


def csrf_token(request: web.Request) -> str:
    """The token that forms of this page carry."""
    return request.app[GUARD].token(request)


def signed_in(request: web.Request) -> bool:
    """Whether this browser holds a session that it can end."""
    return request.app[GUARD].sessions.access(request.cookies.get(COOKIE, "")) is not None


def protect(handler: Handler, *, public: bool = False) -> Handler:
    """A handler behind the guard; `public` ones (sign-in, static files) need no key."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        guard = request.app[GUARD]
        access = guard.access(request)
        request[ACCESS] = access or NOBODY
        if access is None and not public:
            response = await _ask_for_key(request, guard)
        else:
            response = await _bounded(request, guard, handler, public=public)
        if not response.prepared:
            put_under_prefix(response, guard.prefix)
            response.headers.update(HEADERS)
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    guarded.asks_itself = True  # type: ignore[attr-defined] # read by the receivers' guard
    return guarded


async def _ask_for_key(request: web.Request, guard: Guard) -> web.StreamResponse:
    if request.method != hdrs.METH_GET or request.path.endswith((".json", ".csv")):
        raise web.HTTPUnauthorized(
            text="A key is needed: Authorization: Bearer KEY, or sign in at /login.\n", headers=CHALLENGE
        )
    response = await guard.sign_in(request)
    response.set_status(401)
    response.headers.update(CHALLENGE)
    return response


async def _bounded(request: web.Request, guard: Guard, handler: Handler, *, public: bool) -> web.StreamResponse:
    """Answers within the project's share of requests and of memory."""
    holder = request[ACCESS].holder
    is_form = request.method == hdrs.METH_POST
    size = (request.content_length or 0) if is_form else 0  # of others nothing is read
    try:
        with guard.shares.page_requests.held(holder), guard.shares.inflight_bytes.held(holder, size):
            if is_form:
                max_bytes = MAX_PUBLIC_FORM if public else request.client_max_size
                await _read_form(request, max_bytes, guard.form_timeout_s)
                await _refuse_forged(request, guard)
            return await handler(request)
    except ShareExhausted as error:
        raise web.HTTPServiceUnavailable(text=f"{error} {error.hint}\n", headers={"Retry-After": "5"}) from error


def start_session(request: web.Request, key: str, where: str) -> web.Response | None:
    """
    Answers a sign-in: a redirect with the session's cookie, None when the key opens nothing.

    Raises HTTPTooManyRequests after too many wrong keys.
    """
    guard = request.app[GUARD]
    client = guard.client(request)
    if wait_s := guard.throttle.wait_s(client):
        raise web.HTTPTooManyRequests(
            text=f"Too many wrong keys. Try again in {wait_s} s.\n", headers={"Retry-After": str(wait_s)}
        )
    access = guard.access_of_key(key)
    if access is None:
        guard.throttle.failed(client)
        return None
    response = web.Response(status=303, headers={hdrs.LOCATION: local_path(where)})
    response.set_cookie(
        COOKIE,
        guard.sessions.begin(access),
        max_age=SESSION_S,
        httponly=True,
        samesite="Strict",
        secure=request.secure or guard.proxies.is_https(request.remote or "", request.headers),
    )
    return response


def end_session(request: web.Request) -> web.Response:
    """Forgets the session, here and in the browser."""
    request.app[GUARD].sessions.end(request.cookies.get(COOKIE, ""))
    response = web.Response(status=303, headers={hdrs.LOCATION: "/login"})
    response.del_cookie(COOKIE)
    return response


def local_path(where: str) -> str:
    """A path on this server: anything that could lead elsewhere becomes `/`."""
    plain = where.startswith("/") and not where.startswith(("//", "/\\")) and where.isprintable()
    return where if plain else "/"


async def _read_form(request: web.Request, max_bytes: int, timeout_s: float) -> None:
    """Reads the form once, for everybody who asks for it later."""
    if request.content_length is None and request.body_exists:
        raise web.HTTPLengthRequired(text="A form says how long it is: Content-Length is missing.\n")
    if (request.content_length or 0) > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_bytes, request.content_length or 0)
    try:
        async with asyncio.timeout(timeout_s):
            await request.post()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text=f"The form took longer than {timeout_s:g} s.\n") from error
    except (ConnectionError, web.RequestPayloadError) as error:
        raise web.HTTPBadRequest(text="The form ended too early.\n") from error  # nobody is there to read it
    except ValueError as error:
        raise web.HTTPBadRequest(
            text=f"The form cannot be read: {error}. Send it as UTF-8, as a browser does.\n"
        ) from error


async def _refuse_forged(request: web.Request, guard: Guard) -> None:
    """A write comes from a page of ours, or from a program that shows its key itself."""
    if request.headers.get(hdrs.AUTHORIZATION):
        return
    given = request.headers.get("X-CSRF-Token") or str((await request.post()).get("csrf", ""))
    same_site = request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}
    if not same_site or not hmac.compare_digest(given.encode(errors="replace"), guard.token(request).encode()):
        raise web.HTTPForbidden(text="This form was not sent from a page of this dashboard. Reload it and try again.\n")
