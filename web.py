"""Web frameworks: `evalspan.web.instrument(app)` makes every request the root of its trace."""

from .instrument.web.asgi import ASGIMiddleware
from .instrument.web.django import DjangoMiddleware
from .instrument.web.instrumenting import instrument
from .instrument.web.wsgi import WSGIMiddleware

__all__ = ["ASGIMiddleware", "DjangoMiddleware", "WSGIMiddleware", "instrument"]
