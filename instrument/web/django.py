"""The middleware of Django, for both of its handlers: first in MIDDLEWARE, as `evalspan.web.DjangoMiddleware`."""

from __future__ import annotations

import inspect
from typing import Any

from ..safe_call import safe_call
from .request_span import RequestSpan, WebOptions, begin


class DjangoMiddleware:
    """Makes every request the root of its trace."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response
        self._options = WebOptions()
        self._is_async = inspect.iscoroutinefunction(get_response)
        if self._is_async:
            # Django and asgiref ask by this mark whether to await what the middleware returns.
            inspect.markcoroutinefunction(self) if hasattr(inspect, "markcoroutinefunction") else _mark(self)

    def __call__(self, request: Any) -> Any:
        """One request."""
        if self._is_async:
            return self._async(request)
        found = self._begin(request)
        if found is None:
            return self._get_response(request)
        token = safe_call(found.enter)
        try:
            response = self._get_response(request)
        except BaseException as error:
            safe_call(found.end, request.method, None, safe_call(_route, request), error)
            raise
        finally:
            if token is not None:
                safe_call(found.leave, token)
        self._end(found, request, response)
        return response

    async def _async(self, request: Any) -> Any:
        found = self._begin(request)
        if found is None:
            return await self._get_response(request)
        token = safe_call(found.enter)
        try:
            response = await self._get_response(request)
        except BaseException as error:
            safe_call(found.end, request.method, None, safe_call(_route, request), error)
            raise
        finally:
            if token is not None:
                safe_call(found.leave, token)
        self._end(found, request, response)
        return response

    def _begin(self, request: Any) -> RequestSpan | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return begin(request.method, request.path, headers, self._options)

    def _end(self, found: RequestSpan, request: Any, response: Any) -> None:
        """Now, or for a streamed response when Django closes it."""
        route = safe_call(_route, request)
        if getattr(response, "streaming", False):
            closers = getattr(response, "_resource_closers", None)
            if closers is not None:
                closers.append(lambda: safe_call(found.end, request.method, response.status_code, route))
                return
        safe_call(found.end, request.method, response.status_code, route)


def _mark(middleware: Any) -> None:
    import asyncio

    middleware._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined] # noqa: SLF001 - as asgiref does before Python 3.12


def _route(request: Any) -> str | None:
    route = getattr(getattr(request, "resolver_match", None), "route", None)
    return f"/{route.lstrip('/')}" if isinstance(route, str) else None
