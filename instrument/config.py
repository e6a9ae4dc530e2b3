"""What `init` was told, from its arguments and the environment: the settings the rest of the instrumentation reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from ..errors import ConfigError

if TYPE_CHECKING:
    from .redact import Redactor

CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
REDACT_VARIABLE = "EVALSPAN_REDACT"
CONTENT_BYTES_VARIABLE = "EVALSPAN_MAX_CONTENT_BYTES"
DEFAULT_CONTENT_BYTES = 262_144

RedactOption = bool | str | Callable[[str], str] | Sequence["str | Callable[[str], str]"] | None


class ContentMode(Enum):
    """Where inputs and outputs go: the four values of the OpenTelemetry variable."""

    NO_CONTENT = "no_content"
    SPAN_ONLY = "span_only"
    EVENT_ONLY = "event_only"
    SPAN_AND_EVENT = "span_and_event"

    @property
    def on_span(self) -> bool:
        """Whether spans carry content."""
        return self in (ContentMode.SPAN_ONLY, ContentMode.SPAN_AND_EVENT)

    @property
    def on_event(self) -> bool:
        """Whether a log event carries content."""
        return self in (ContentMode.EVENT_ONLY, ContentMode.SPAN_AND_EVENT)


_OLD_SPELLINGS = {"true": ContentMode.SPAN_ONLY, "false": ContentMode.NO_CONTENT}


class InstrumentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one `init`; arguments win over variables, variables over defaults."""

    service_name: str | None = None
    """`service.name` of the spans; None leaves it to OTEL_SERVICE_NAME."""
    endpoint: str | None = None
    """Base URL of the collector, without `/v1/traces`; None leaves it to OTEL_EXPORTER_OTLP_*."""
    headers: dict[str, str] | None = None
    """Sent with every export, e.g. `{"Authorization": "Bearer ..."}`."""
    content: ContentMode = ContentMode.SPAN_ONLY
    redactor: Redactor | None = None
    """Rewrites every captured text, or None."""
    max_content_bytes: int = DEFAULT_CONTENT_BYTES
    """Longest content attribute, in bytes of its JSON."""


def load(
    *,
    service_name: str | None,
    endpoint: str | None,
    headers: Mapping[str, str] | None,
    capture_content: bool | str | None,
    redact: RedactOption,
    max_content_bytes: int | None,
) -> InstrumentConfig:
    """The settings of these arguments in this environment; ConfigError for a value that cannot be."""
    if redact is None:
        redact = [name for name in os.environ.get(REDACT_VARIABLE, "").split(",") if name.strip()]
    return InstrumentConfig(
        service_name=service_name,
        endpoint=base_url(endpoint, "endpoint") if endpoint else None,
        headers=dict(headers) if headers else None,
        content=content_mode(capture_content),
        redactor=_redactor(redact),
        max_content_bytes=_content_bytes(max_content_bytes),
    )


def base_url(endpoint: str, name: str, *, over_http: bool = False) -> str:
    """
    The collector's base URL; `name` is what it was given as. ConfigError for what is no URL, unless OTLP goes over gRPC,
    whose addresses need no scheme, and not `over_http`.
    """
    base = endpoint.strip().rstrip("/").removesuffix("/v1/traces")
    is_grpc = named_protocol("TRACES") == "grpc" and not over_http
    if not base.lower().startswith(("http://", "https://")) and not is_grpc:
        raise ConfigError(
            f"{name}={endpoint!r} is no URL.", hint=f"Write the scheme, too: http://{base or 'localhost:4318'}"
        )
    return base


def named_protocol(signal: str) -> str:
    """The protocol that the standard variables ask for, for this signal or all."""
    name = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"
    return (os.environ.get(name) or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf").strip().lower()


def from_environment() -> InstrumentConfig:
    """The settings where no `init` was called: the variables and defaults alone."""
    return load(
        service_name=None, endpoint=None, headers=None, capture_content=None, redact=None, max_content_bytes=None
    )


def content_mode(value: bool | str | None) -> ContentMode:
    """The mode that an argument, else the variable, asks for; content is captured when neither says anything."""
    if isinstance(value, bool):
        return ContentMode.SPAN_ONLY if value else ContentMode.NO_CONTENT
    named = value if value is not None else os.environ.get(CAPTURE_VARIABLE)
    if named is None or not named.strip():
        return ContentMode.SPAN_ONLY
    name = named.strip().lower()
    try:
        return _OLD_SPELLINGS.get(name) or ContentMode(name)
    except ValueError:
        if value is None:
            # A misspelled variable must not publish what somebody wanted to keep private.
            return ContentMode.NO_CONTENT
        raise ConfigError(
            f"capture_content={value!r} is not a content mode.",
            hint=f"Give True, False or one of {', '.join(mode.name for mode in ContentMode)}.",
        ) from None


def _redactor(option: RedactOption) -> Redactor | None:
    if not option and not callable(option):
        return None
    # Its patterns take longer to compile than all the rest of switching on.
    from .redact import make_redactor

    return make_redactor(option)


def sdk_disabled() -> bool:
    """Whether OTEL_SDK_DISABLED switches everything off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _content_bytes(value: int | None) -> int:
    text = os.environ.get(CONTENT_BYTES_VARIABLE, "").strip()
    if value is None and text:
        if not text.isdigit():
            raise ConfigError(f"{CONTENT_BYTES_VARIABLE}={text!r} is not a number of bytes.", hint="Give e.g. 262144.")
        value = int(text)
    if value is None:
        return DEFAULT_CONTENT_BYTES
    if value < 256:
        raise ConfigError(f"max_content_bytes={value} is too small to hold a message.", hint="Give 256 or more.")
    return value
