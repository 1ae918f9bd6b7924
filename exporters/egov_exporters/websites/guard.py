"""Which addresses may be asked. Pages are written by others, and would gladly have us ask the city's own management."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from egov_exporters.websites.config import Config

# Addresses that stand for an IPv4 address behind a translator: whose it is cannot be said from here.
TRANSLATED = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))


class Refused(OSError):
    """An address or a port that is not asked."""


def may_ask(address: str, config: Config) -> bool:
    """Whether this address is a website's of the city, or one of the Internet that is none of the city's."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if any(found in network for network in config.inside):
        return True
    if any(found in network for network in (*config.closed, *TRANSLATED)):
        return False
    return found.is_global and not found.is_multicast


def require_askable(url: str, config: Config) -> None:
    """Raise Refused for another scheme, another port, a name with a password, or an address that is not asked."""
    try:
        place = urlsplit(url)
        port = place.port or {"http": 80, "https": 443}.get(place.scheme, 0)
    except ValueError:
        raise Refused("no address") from None
    if place.scheme not in ("http", "https") or not place.hostname or place.username is not None:
        raise Refused("no address of the web")
    if port not in config.ports:
        raise Refused(f"port {port}")
    try:
        literal = str(ip_address(place.hostname))
    except ValueError:
        return  # a name: the resolver decides
    if not may_ask(literal, config):
        raise Refused(f"address {literal}")


class Resolver(AbstractResolver):
    """Looks names up, and gives only addresses that may be asked: what is connected to is what was looked at."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises Refused when all addresses are such as are not asked, another OSError when there is none."""
        found: Any = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        allowed = [item for item in found if may_ask(item[4][0], self._config)]
        if found and not allowed:
            raise Refused(f"{host} has no address that is asked")
        return [
            ResolveResult(
                hostname=host,
                host=item[4][0],
                port=port,
                family=item[0],
                proto=item[2],
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for item in allowed
        ]

    async def close(self) -> None:
        """Nothing is kept."""
