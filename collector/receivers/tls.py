"""TLS of the HTTP, gRPC and SQL ports from `[receive] tls_cert` and `tls_key`, read again when the files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import ConfigError

if TYPE_CHECKING:
    from .config import ReceiveConfig

logger = logging.getLogger(__name__)

RELOAD_EVERY_S = 30.0


class Certificate(msgspec.Struct, frozen=True):
    """The files of one certificate, chain first, and of its key."""

    chain: Path
    key: Path

    @property
    def changed_ns(self) -> tuple[int, int]:
        """When the files were written last."""
        return self.chain.stat().st_mtime_ns, self.key.stat().st_mtime_ns


def certificate_of(config: ReceiveConfig) -> Certificate | None:
    """
    The certificate that the settings name, None without TLS.

    Raises:
        ConfigError: one of the two files is not named, cannot be read, or they do not belong together.
    """
    if not config.tls_cert and not config.tls_key:
        return None
    if not (config.tls_cert and config.tls_key):
        raise ConfigError(
            "[receive] tls_cert and tls_key have to be set together.", hint="Name the certificate and its key."
        )
    found = Certificate(Path(config.tls_cert).expanduser(), Path(config.tls_key).expanduser())
    try:
        load(found)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"[receive] tls_cert and tls_key cannot be used: {error}.",
            hint="They have to be PEM files that this user can read, and belong together.",
        ) from error
    return found


def load(certificate: Certificate) -> ssl.SSLContext:
    """A server's context with this certificate. Raises OSError, ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate.chain, certificate.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def follow(certificate: Certificate, context: ssl.SSLContext, every_s: float = RELOAD_EVERY_S) -> None:
    """Loads the files into the context whenever they are newer; what cannot be used leaves the old certificate."""
    seen = certificate.changed_ns
    while True:
        await asyncio.sleep(every_s)
        try:
            if certificate.changed_ns == seen:
                continue
            load(certificate)  # first: a chain without its key would leave the context with half of each
            context.load_cert_chain(certificate.chain, certificate.key)
            seen = certificate.changed_ns
        except (OSError, ssl.SSLError) as error:
            logger.error("the new TLS certificate cannot be used, the old one stays: %s", error)
        else:
            logger.info("the TLS certificate %s was loaded again", certificate.chain)


def grpc_credentials(certificate: Certificate) -> Any:
    """Server credentials for gRPC, which asks for the files at each handshake after they changed."""
    import grpc

    seen = certificate.changed_ns

    def configuration() -> Any:
        pair = (certificate.key.read_bytes(), certificate.chain.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair])

    def fetch() -> Any:
        nonlocal seen
        try:
            if certificate.changed_ns == seen:
                return None
            load(certificate)
            seen = certificate.changed_ns
            return configuration()
        except (OSError, ssl.SSLError):
            return None  # the HTTP port's task says so

    return grpc.dynamic_ssl_server_credentials(configuration(), fetch)
