"""The middleware of ASGI apps: FastAPI, Starlette, Quart, Litestar, Django's ASGI handler."""

from __future__ import annotations

from typing import Any

from ..safe_call import safe_call
from .request_span import RequestSpan, WebOptions, begin


class ASGIMiddleware:
    """Makes every HTTP request the root of its trace; websockets and lifespan pass through.

    `app.add_middleware(evalspan.web.ASGIMiddleware)`, or `evalspan.web.instrument(app)`. Options as of `instrument`.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        self.app = app
        self._options = WebOptions(**options)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One connection."""
        if scope.get("type") != "http":
            await self.app(scope, receive, send)
            return
        request = begin(scope["method"], scope["path"], safe_call(_headers, scope) or {}, self._options)
        if request is None:
            await self.app(scope, receive, send)
            return
        await self._traced(request, scope, receive, send)

    async def _traced(self, request: RequestSpan, scope: Any, receive: Any, send: Any) -> None:
        status: list[int | None] = [None]

        async def sending(message: Any) -> None:
            if message.get("type") == "http.response.start":
                status[0] = message.get("status")
            await send(message)

        token = safe_call(request.enter)
        try:
            await self.app(scope, receive, sending)
        except BaseException as error:
            safe_call(request.end, scope["method"], status[0], safe_call(_route, scope), error)
            raise
        finally:
            if token is not None:
                safe_call(request.leave, token)
        safe_call(request.end, scope["method"], status[0], safe_call(_route, scope))


def _headers(scope: Any) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers") or ()}


def _route(scope: Any) -> str | None:
    """The route's pattern, as Starlette and FastAPI leave it in the scope: ids in paths would make endless names."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else None
