"""What every request at the HTTP port passes first: no pages of other sites, and a key decides once what may be done."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ...queries.host.auth import Access, KeyRing
from ...queries.host.origin import TrustedProxies
from ...queries.http.access import ACCESS, ask_to_go_on, foreign_request
from .http import rejection_response
from .rejection import PERMISSION_DENIED, RequestRejected

OPEN_PATHS = frozenset({"/healthz", "/readyz"})


class Admission:
    """A middleware that refuses foreign pages and maps keys to what they may do."""

    def __init__(self, keys: KeyRing, proxies: TrustedProxies) -> None:
        self._keys, self._proxies = keys, proxies

    @property
    def middleware(self) -> Middleware:
        """For the application's list of middlewares."""

        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path in OPEN_PATHS:
                return await handler(request)
            if foreign := foreign_request(request, self._proxies, keys_set=not self._keys.open):
                if request.path.startswith("/v1/"):
                    return rejection_response(RequestRejected(403, PERMISSION_DENIED, foreign), request.content_type)
                return ask_to_go_on(request, foreign)
            # The dashboard's pages decide by themselves: they know sessions, too.
            if not getattr(request.match_info.handler, "asks_itself", False):
                try:
                    request[ACCESS] = self._access(request)
                except RequestRejected as rejected:
                    answer = rejection_response(rejected, request.content_type)
                    answer.headers["WWW-Authenticate"] = "Bearer"
                    return answer
            return await handler(request)

        return admit

    def _access(self, request: web.Request) -> Access:
        access = self._keys.access(request.headers.get("Authorization"))
        if access is None:
            raise RequestRejected.unauthenticated()
        return access
