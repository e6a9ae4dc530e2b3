"""The middleware of WSGI apps: Flask, Bottle, Django's WSGI handler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..safe_call import safe_call
from .request_span import RequestSpan, WebOptions, begin

# Where a framework leaves the pattern that the path matched: ids in paths would make endless names.
ROUTE = "evalspan.route"


class WSGIMiddleware:
    """Makes every request the root of its trace, streamed responses to their end. Options as of `instrument`."""

    def __init__(self, app: Any, **options: Any) -> None:
        self.app = app
        self._options = WebOptions(**options)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """One request."""
        method, path = environ.get("REQUEST_METHOD", "GET"), environ.get("PATH_INFO") or "/"
        request = begin(method, path, safe_call(_headers, environ) or {}, self._options)
        if request is None:
            return self.app(environ, start_response)
        status: list[int | None] = [None]

        def starting(line: str, *args: Any, **kwargs: Any) -> Any:
            status[0] = safe_call(_code, line)
            return start_response(line, *args, **kwargs)

        token = safe_call(request.enter)
        try:
            body = self.app(environ, starting)
        except BaseException as error:
            safe_call(request.end, method, status[0], safe_call(_route, environ), error)
            raise
        finally:
            if token is not None:
                safe_call(request.leave, token)
        return _Body(body, request, environ, status)


class _Body:
    """The response on its way out: parts are made inside the request, whose span ends with the last of them."""

    def __init__(self, body: Any, request: RequestSpan, environ: dict[str, Any], status: list[int | None]) -> None:
        self._body = body
        self._request = request
        self._environ = environ
        self._status = status

    def __iter__(self) -> Iterator[Any]:
        parts = iter(self._body)
        while True:
            token = safe_call(self._request.enter)
            try:
                part = next(parts)
            except StopIteration:
                self._end()
                return
            except BaseException as error:
                self._end(error)
                raise
            finally:
                if token is not None:
                    safe_call(self._request.leave, token)
            yield part

    def close(self) -> None:
        """Called by every server when the response is out or the client has gone."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._end()

    def _end(self, error: BaseException | None = None) -> None:
        method, route = self._environ.get("REQUEST_METHOD", "GET"), safe_call(_route, self._environ)
        safe_call(self._request.end, method, self._status[0], route, error)


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    return {
        name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name.startswith("HTTP_")
    }


def _code(line: str) -> int:
    return int(line.split(" ", 1)[0])


def _route(environ: dict[str, Any]) -> str | None:
    rule = environ.get(ROUTE)
    return rule if isinstance(rule, str) else None
