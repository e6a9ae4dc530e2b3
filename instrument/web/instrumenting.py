"""`evalspan.web.instrument(app)`: the one line, for whatever the app is built with."""

from __future__ import annotations

import inspect
import sys
from typing import Any, TypeVar

from ...errors import UsageError
from ..safe_call import safe_call
from .asgi import ASGIMiddleware
from .wsgi import ROUTE, WSGIMiddleware

App = TypeVar("App")


def instrument(app: App, **options: Any) -> App:
    """Makes the app's requests the roots of their traces; returns the app to serve.

    FastAPI, Starlette and Flask apps are changed in place; any other ASGI or WSGI callable comes back wrapped. Django
    takes `"evalspan.web.DjangoMiddleware"` as the first of its MIDDLEWARE.

    Args:
        app: the application object.
        session: header that names the session, or a function from the headers (a mapping, names in lower case) to it.
            Default: x-session-id, x-conversation-id, mcp-session-id.
        user: the same for the user. Default: x-user-id.
        exclude: paths without a span. Default: /healthz, /readyz, /metrics.

    UsageError for something that is no application.
    """
    target: Any = app
    if getattr(target, "_evalspan_web", False) or isinstance(target, (ASGIMiddleware, WSGIMiddleware)):
        return app
    if hasattr(target, "add_middleware"):
        target.add_middleware(ASGIMiddleware, **options)
        target._evalspan_web = True  # noqa: SLF001 - our own mark
        return app
    if hasattr(target, "wsgi_app"):
        target.wsgi_app = WSGIMiddleware(target.wsgi_app, **options)
        safe_call(target.before_request, _remember_flask_route)
        target._evalspan_web = True  # noqa: SLF001
        return app
    if not callable(target):
        raise UsageError(
            f"{target!r} is no web application.", hint="Give a FastAPI, Starlette, Flask, ASGI or WSGI app."
        )
    call = target if inspect.isroutine(target) else type(target).__call__
    middleware = ASGIMiddleware if inspect.iscoroutinefunction(call) else WSGIMiddleware
    return middleware(target, **options)  # type: ignore[return-value] # it is served as the app was


def _remember_flask_route() -> None:
    safe_call(_store_route)


def _store_route() -> None:
    request = sys.modules["flask"].request
    request.environ[ROUTE] = getattr(request.url_rule, "rule", None)
