"""Tells a web page's request from a program's: no route answers a page of another site, whatever the method."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from .auth import is_loopback

_FOREIGN_SITES = {"cross-site", "same-site"}


def foreign_page(headers: Mapping[str, str], host: str, own: Sequence[str] = ()) -> str:
    """
    Why the request comes from a page of another site, "" when it does not. `own` are further origins of ours.

    Browsers say so in Sec-Fetch-Site, also for an <img> that sends no Origin; older ones in Origin alone.
    """
    if headers.get("Sec-Fetch-Site", "none").lower() in _FOREIGN_SITES:
        return "Requests from web pages of other sites are refused."
    origin = headers.get("Origin")
    if origin is None or origin in own:
        return ""
    if urlsplit(origin).netloc.lower() == host.lower() != "":
        return ""
    return f"Requests from web pages of other origins are refused; this one is from {origin[:200]!r}."


def foreign_host(host: str, *, keys_set: bool) -> str:
    """
    Why the Host header names another machine, "" when it does not matter.

    A page from elsewhere whose name was pointed at 127.0.0.1 (DNS rebinding) still sends its own name.
    """
    if keys_set or is_loopback(host_name(host)):
        return ""
    return f"The Host {host[:200]!r} is not this machine: set [auth] keys to serve others."


def host_name(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def is_navigation(headers: Mapping[str, str], method: str) -> bool:
    """Whether somebody followed a link: the page may ask them to go on, and nothing is looked up before."""
    mode, target = headers.get("Sec-Fetch-Mode", ""), headers.get("Sec-Fetch-Dest", "")
    return method == "GET" and mode == "navigate" and target == "document"


class TrustedProxies:
    """Addresses of proxies whose X-Forwarded-* headers are believed."""

    def __init__(self, addresses: Sequence[str] = ()) -> None:
        """Raises ValueError when one is neither an address nor a network such as 10.0.0.0/8."""
        self._networks = [ipaddress.ip_network(address, strict=False) for address in addresses]

    def trusts(self, peer: str) -> bool:
        """Whether the peer is one of them."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def is_https(self, peer: str, headers: Mapping[str, str]) -> bool:
        """Whether the browser's connection, before the proxy, was encrypted."""
        return self.trusts(peer) and headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower() == "https"

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """The address of whoever asks: the last one of X-Forwarded-For that is no trusted proxy, else the peer."""
        address = peer
        for hop in reversed(headers.get("X-Forwarded-For", "").split(",")):
            if not self.trusts(address) or not hop.strip():
                break
            address = hop.strip()
        return address
