"""Where a scrape goes: `target=HOST[:PORT]`, also `[v6]:PORT` and a bare IPv6 address, and its resolution."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from egov_exporters.snmp.session import NoAnswer

DEFAULT_PORT = 161
MAX_LENGTH = 300
HOSTNAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?\Z")
ZONE = re.compile(r"[A-Za-z0-9_.-]{0,32}\Z")


class BadTarget(ValueError):
    """`str(error)` is one sentence."""


@dataclass(frozen=True)
class Target:
    """A host (name, IPv4 or IPv6 address) and a UDP port."""

    host: str
    port: int = DEFAULT_PORT

    @cached_property
    def literal(self) -> bool:
        """Whether it is an address, not a name."""
        try:
            ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORT else f"{host}:{self.port}"


def parse_target(text: str) -> Target:
    """Given the `target` parameter: the target. Raises BadTarget."""
    if len(text) > MAX_LENGTH:
        raise BadTarget(f"'target' is longer than {MAX_LENGTH} characters")
    rest = text.removeprefix("udp://")
    if "://" in rest:
        raise BadTarget(f"'target' {text!r} asks for a transport other than udp, which is not supported")
    if is_ipv6(rest):
        return Target(rest)
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or not is_ipv6(host) or (port and not port.startswith(":")):
            raise BadTarget(f"'target' {text!r} is not HOST, HOST:PORT or [IPV6]:PORT")
        return Target(host, _port(port[1:], text) if port else DEFAULT_PORT)
    host, colon, port = rest.partition(":")
    if not HOSTNAME.match(host):
        raise BadTarget(f"'target' {text!r} is not HOST, HOST:PORT or [IPV6]:PORT")
    return Target(host, _port(port, text) if colon else DEFAULT_PORT)


def is_ipv6(text: str) -> bool:
    """Whether this is an IPv6 address without brackets, with or without a zone."""
    address, _, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return ZONE.match(zone) is not None


def _port(text: str, target: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65_535:
        raise BadTarget(f"'target' {target!r} has no valid port after the colon")
    return int(text)


SocketAddress = tuple[str, int] | tuple[str, int, int, int]


async def resolve(target: Target) -> tuple[socket.AddressFamily, SocketAddress]:
    """The first address of the target; an IPv6 address with its zone. Raises NoAnswer when the name is unknown."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as why:
        raise NoAnswer(f"has no address ({getattr(why, 'strerror', None) or 'bad name'})") from None
    family, _, _, _, address = found[0]
    return family, cast(SocketAddress, address)
