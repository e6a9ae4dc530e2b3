"""Connections to the service that owns an embedded store: on this machine, by the certificate that it presents itself."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .lock_file import Owner


def owner_context(certificate: str) -> ssl.SSLContext:
    """Trusts exactly the certificate whose file service.json names, whatever host it was made for. Raises OSError."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False  # it is for the public name; the address here is this machine's
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def connect_to_owner(owner: Owner, timeout_s: float) -> http.client.HTTPConnection:
    """A connection to the service's HTTP port; nothing is sent yet. Raises OSError when its certificate is gone."""
    address = urlsplit(owner.http)
    host = address.hostname or "127.0.0.1"
    if address.scheme == "https":
        context = owner_context(owner.certificate)
        return http.client.HTTPSConnection(host, address.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, address.port, timeout=timeout_s)
