"""What stands between a browser and the pages: headers, CSRF, sign-in by key; keys never stand in a URL.

The receivers' guard has already refused foreign host names; here a browser's session counts as well as a key.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import hdrs, web

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
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
SESSION_SECONDS = 12 * 3600
MOST_SESSIONS = 10_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Guard:
    """The sign-ins of this process: a random session id stands for a key, so that the browser never keeps the key."""

    project_of_key: Callable[[str], str | None]
    """The project a key opens, None for a key that opens nothing."""
    keys_set: bool
    sign_in: Handler
    """Draws the page that somebody without a key gets in the place of any other."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    sessions: dict[str, str] = field(default_factory=dict)

    def project(self, request: web.Request) -> str | None:
        """The project of whoever asks, by session or by `Authorization: Bearer`; None when neither opens one."""
        session = self.sessions.get(request.cookies.get(COOKIE, ""))
        if session is not None:
            return session
        scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        return self.project_of_key(key.strip()) if scheme.lower() == "bearer" and key else None

    def token(self, request: web.Request) -> str:
        """The CSRF token that belongs to this browser's session."""
        return hmac.new(self.secret, request.cookies.get(COOKIE, "").encode(), "sha256").hexdigest()

    def open(self, project: str) -> str:
        """A new session; the oldest gives way when there are too many."""
        if len(self.sessions) >= MOST_SESSIONS:
            self.sessions.pop(next(iter(self.sessions)))
        session = secrets.token_urlsafe(32)
        self.sessions[session] = project
        return session


GUARD: web.AppKey[Guard] = web.AppKey("dashboard_guard", Guard)


def only_project(request: web.Request) -> str | None:
    """The one project that whoever asks may see; None means any, which holds only while no keys are set."""
    guard = request.app[GUARD]
    return guard.project(request) if guard.keys_set else None


def csrf_token(request: web.Request) -> str:
    """The token that forms of this page carry."""
    return request.app[GUARD].token(request)


def signed_in(request: web.Request) -> bool:
    """Whether this browser holds a session that it can end."""
    return request.cookies.get(COOKIE, "") in request.app[GUARD].sessions


def protect(handler: Handler, *, public: bool = False) -> Handler:
    """A handler behind the guard; `public` ones (sign-in, static files) need no key."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        guard = request.app[GUARD]
        if guard.keys_set and not public and guard.project(request) is None:
            if request.method != hdrs.METH_GET or request.path.endswith((".json", ".csv")):
                raise web.HTTPUnauthorized(
                    text="A key is needed: Authorization: Bearer KEY, or sign in at /login.\n", headers=CHALLENGE
                )
            response = await guard.sign_in(request)
            response.set_status(401)
            response.headers.update(CHALLENGE)
        else:
            if request.method == hdrs.METH_POST:
                await _read_form(request)
                await _refuse_forged(request, guard)
            response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    guarded.asks_itself = True  # type: ignore[attr-defined] # read by the receivers' guard
    return guarded


def start_session(request: web.Request, key: str, where: str) -> web.Response | None:
    """Answers a sign-in: a redirect with the session's cookie, None when the key opens nothing."""
    guard = request.app[GUARD]
    project = guard.project_of_key(key)
    if project is None:
        return None
    response = web.Response(status=303, headers={hdrs.LOCATION: local_path(where)})
    response.set_cookie(
        COOKIE,
        guard.open(project),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return response


def end_session(request: web.Request) -> web.Response:
    """Forgets the session, here and in the browser."""
    request.app[GUARD].sessions.pop(request.cookies.get(COOKIE, ""), None)
    response = web.Response(status=303, headers={hdrs.LOCATION: "/login"})
    response.del_cookie(COOKIE)
    return response


def local_path(where: str) -> str:
    """A path on this server: anything that could lead elsewhere becomes `/`."""
    plain = where.startswith("/") and not where.startswith(("//", "/\\")) and where.isprintable()
    return where if plain else "/"


async def _read_form(request: web.Request) -> None:
    """Reads the form once, for everybody who asks for it later."""
    try:
        await request.post()
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
