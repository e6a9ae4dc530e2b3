"""Why a request is rejected, once: HTTP turns it into a status with a google.rpc.Status body, gRPC into its own code."""

from __future__ import annotations

# google.rpc.Code and what OTLP/HTTP answers for it. Clients retry 429, 502, 503 and 504 only.
INVALID_ARGUMENT = 3
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16


class RequestRejected(Exception):
    """The request is not accepted and nothing of it is kept; the message says what, why and the fix."""

    def __init__(self, http_status: int, code: int, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.http_status, self.code, self.message, self.retry_after_s = http_status, code, message, retry_after_s

    @classmethod
    def malformed(cls, message: str) -> RequestRejected:
        """The body is not what its content type says; sending it again would not help."""
        return cls(400, INVALID_ARGUMENT, message)

    @classmethod
    def too_large(cls, message: str) -> RequestRejected:
        """Over a limit; the sender has to send less at once."""
        return cls(413, RESOURCE_EXHAUSTED, message)

    @classmethod
    def unsupported(cls, message: str) -> RequestRejected:
        """A content type or encoding that no OTLP client uses."""
        return cls(415, INVALID_ARGUMENT, message)

    @classmethod
    def unauthenticated(cls) -> RequestRejected:
        """No key, or one that nobody has."""
        return cls(401, UNAUTHENTICATED, "send `Authorization: Bearer KEY` with one of [auth] keys")

    @classmethod
    def busy(cls, message: str, retry_after_s: int = 1) -> RequestRejected:
        """Not now. OTLP clients wait and send again; their exporters give up after about ten seconds."""
        return cls(503, UNAVAILABLE, message, retry_after_s=retry_after_s)

    def without_frames(self) -> RequestRejected:
        """The same without what it was raised from and where, which would keep the body in memory."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)
