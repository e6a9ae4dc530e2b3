"""Makes a context the current one for a block, also where the block is left in another task, thread or order.

A `with` block around a `yield` may be left wherever its generator is closed: there the context cannot be reset, and
where it was entered it would stay current for ever. So the block is marked as left, and whoever starts a span next
goes back to the context that was current before it.
"""

from __future__ import annotations

from contextvars import Token

from opentelemetry.context import _RUNTIME_CONTEXT, Context, attach, create_key, get_current
from opentelemetry.trace.propagation import _SPAN_KEY

SPAN_KEY = _SPAN_KEY
_SCOPE = create_key("evalspan.scope")


class ContextScope:
    """One block in which a context is current."""

    __slots__ = ("_token", "context", "left", "outer")

    def __init__(self, context: Context) -> None:
        self.outer = get_current()
        self.left = False
        self.context = Context({**context, _SCOPE: self})
        self._token: Token[Context] = attach(self.context)

    def leave(self) -> None:
        """Makes current again what was before; never raises, wherever it is called."""
        if get_current().get(_SCOPE) is not self:
            # Another task or thread, or another block of ours was entered later and is still open.
            self.left = True
            return
        if not reset(self._token):
            # A copy of the context in another task: there, the block ends too.
            self.left = True
        live_context()


def reset(token: Token[Context]) -> bool:
    """Goes back to the context before; False, without a word, where that is not possible."""
    try:
        # OpenTelemetry's `detach` would log a traceback.
        _RUNTIME_CONTEXT.detach(token)
    except (ValueError, RuntimeError):
        return False
    return True


def live_context() -> Context:
    """The current context, after going back past blocks that were left elsewhere."""
    context = get_current()
    scope = context.get(_SCOPE)
    if scope is None or not scope.left:  # type: ignore[attr-defined] # only scopes stand under the key
        return context
    while isinstance(scope, ContextScope) and scope.left and context.get(SPAN_KEY) is scope.context.get(SPAN_KEY):
        # Where another span was made current since, that one is alive.
        context = scope.outer
        scope = context.get(_SCOPE)
    attach(context)
    return context
