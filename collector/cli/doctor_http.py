"""What `doctor` asks a collector over HTTP, as an app's exporter would: the same variables, proxy and certificates."""

from __future__ import annotations

import os
import socket
import ssl
import urllib.error
import urllib.request
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ...errors import CollectorUnreachable
from ...queries.store.owner_connection import owner_context

TIMEOUT_S = 10.0
_NOT_HTTP = "A service with TLS needs https:// in its address. 4317 is the port of gRPC: OTLP over HTTP has 4318."


class Answer(NamedTuple):
    """A reply, whatever its status."""

    status: int
    body: bytes
    headers: dict[str, str]


def exporter_headers(key: str | None) -> dict[str, str]:
    """What the app's exporter sends: OTEL_EXPORTER_OTLP_HEADERS, and a key where one is given here."""
    text = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS") or ""
    pairs = (part.split("=", 1) for part in text.split(",") if "=" in part)
    found = {unquote(name).strip(): unquote(value).strip() for name, value in pairs}
    return {**found, **({"Authorization": f"Bearer {key}"} if key else {})}


def ask(
    url: str, body: bytes | None = None, headers: dict[str, str] | None = None, own_certificate: str = ""
) -> Answer:
    """One request. CollectorUnreachable, with what to do, where no HTTP reply comes back.

    `own_certificate` is the file of the certificate of the service on this machine, where that is asked: it alone is trusted.
    """
    request = urllib.request.Request(url, data=body, headers=headers or {})  # noqa: S310 - the user's own address
    certificate = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE") or os.environ.get(
        "OTEL_EXPORTER_OTLP_CERTIFICATE"
    )
    try:
        trusted = bool(certificate) or not own_certificate
        context = ssl.create_default_context(cafile=certificate or None) if trusted else owner_context(own_certificate)
        handler = urllib.request.HTTPSHandler(context=context)
        with urllib.request.build_opener(handler, _NoRedirect).open(request, timeout=TIMEOUT_S) as reply:
            return Answer(reply.status, reply.read(), {name.lower(): value for name, value in reply.headers.items()})
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read(), {name.lower(): value for name, value in error.headers.items()})
    except (OSError, ValueError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", None) or error
        raise CollectorUnreachable(
            f"No collector answers at {url}: {reason}.", hint=_no_reply(url, reason, certificate)
        ) from error
    except Exception as error:
        # http.client's own, such as BadStatusLine: something answers that does not speak HTTP.
        raise CollectorUnreachable(
            f"What listens at {url} does not speak HTTP ({type(error).__name__}).",
            hint=_NOT_HTTP,
        ) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer that says where to go: an exporter would not follow it with its body."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:  # noqa: ARG002
        """Never."""
        return


def _no_reply(url: str, reason: object, certificate: str | None) -> str:
    parts = urlsplit(url)
    proxy = _proxy_for(url)
    if isinstance(reason, ssl.SSLCertVerificationError) and "mismatch" in str(reason).lower():
        return f"The certificate is for another name than {parts.hostname}: give the name that it is for."
    if isinstance(reason, ssl.SSLCertVerificationError):
        given = f" ({certificate} does not vouch for it)" if certificate else ""
        return (
            f"The certificate is not trusted{given}: set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of its authority."
        )
    if isinstance(reason, ssl.SSLError):
        return f"The service speaks no TLS there: write http://{parts.netloc}."
    if isinstance(reason, FileNotFoundError) and certificate:
        return f"OTEL_EXPORTER_OTLP_CERTIFICATE names {certificate}, which is not there."
    if proxy:
        return f"Requests go through the proxy {proxy}: if it cannot reach {parts.hostname}, set NO_PROXY={parts.hostname}."
    if isinstance(reason, socket.gaierror):
        return f"The name {parts.hostname} is not known here: check --endpoint or OTEL_EXPORTER_OTLP_ENDPOINT."
    if isinstance(reason, TimeoutError):
        return "Nothing answers in time: a firewall, or a network that does not lead there."
    if isinstance(reason, ConnectionError) and not isinstance(reason, ConnectionRefusedError):
        return _NOT_HTTP
    if parts.scheme not in ("http", "https"):
        return "Write the address as http://HOST:4318."
    return "Start one with `evalspan serve`, or name it with --endpoint."


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def refusal_hint(address: str, answer: Answer) -> str:
    """What to do about an answer other than 200."""
    status = answer.status
    if status in (401, 403):
        return "Give --key, and the app OTEL_EXPORTER_OTLP_HEADERS='Authorization=Bearer KEY' or init(headers=...)."
    if status == 407:
        return f"The proxy {_proxy_for(address) or ''} wants a login: set NO_PROXY={urlsplit(address).hostname}."
    if status in (301, 302, 307, 308):
        return f"It redirects to {answer.headers.get('location', 'elsewhere')}: give that as the address."
    if status in (404, 405):
        path = urlsplit(address).path
        return (
            f"The address is the base URL, without the path {path}." if path.rstrip("/") else
            "That service takes no OTLP: 4318 is the usual port, 8123 that of SQL. Behind a proxy, give the path prefix."
        )  # fmt: skip
    if status in (429, 503):
        return "The store is away or behind: `evalspan status` says more. Spans wait in the app and are sent again."
    if status == 413:
        return "A proxy in front of it refuses bodies of this size."
    return "`evalspan status` at the collector says more."
