"""The derived model: what the plan means for each host, decided once and platform-neutral.

Everything that a template, the inventory, the lab, the exporter's targets or a check needs to know about the
network is here as plain frozen data; templates only print it. Nothing in this module reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Literal

InterfaceRole = Literal["loopback", "transit", "lan"]
HostRole = Literal["core", "hub", "access", "noc", "backup", "video", "services", "control", "switch"]


Zone = Literal["users", "services", "management"]


@dataclass(frozen=True)
class Interface:
    """One interface of a host, with both families.

    `name` is the Linux name (15 characters at most). A transit interface is one end of a link: `peer_host` and
    `peer_interface` name the other end, `mbps` is the contracted bandwidth, `upward` is true at the end that
    leads towards the core. A lan interface joins all hosts of one site on one segment.
    """

    name: str
    role: InterfaceRole
    v4: IPv4Interface
    v6: IPv6Interface
    peer_host: str | None = None
    peer_interface: str | None = None
    mbps: int | None = None
    upward: bool = False
    cost: int = 10
    description: str = ""


@dataclass(frozen=True)
class BgpPeer:
    """An internal BGP session between loopbacks; `client` marks a route-reflector client of this host."""

    host: str
    v4: str
    v6: str
    client: bool


@dataclass(frozen=True)
class Host:
    """A managed node. `router` says whether it takes part in routing; a plain host has a default gateway on its LAN."""

    name: str
    site: str
    site_number: int
    index: int
    role: HostRole
    platform: str
    county: str | None
    router: bool
    address_v4: str
    address_v6: str
    interfaces: tuple[Interface, ...]
    bgp: tuple[BgpPeer, ...] = ()
    gateway_v4: str | None = None
    gateway_v6: str | None = None
    services: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def interface(self, name: str) -> Interface:
        """The interface called `name`; KeyError when the host has none."""
        for item in self.interfaces:
            if item.name == name:
                return item
        raise KeyError(name)


@dataclass(frozen=True)
class Link:
    """A point-to-point link; `child` is the end whose site number gives the addresses."""

    child: str
    child_interface: str
    parent: str
    parent_interface: str
    mbps: int
    v4: IPv4Network
    v6: IPv6Network


@dataclass(frozen=True)
class Lan:
    """A site's LAN segment. `zone` is what firewalls tell apart.

    users: a department's people; services: what they may use; management: the NOC's own, which nobody may enter.
    """

    site: str
    zone: Zone
    v4: IPv4Network
    v6: IPv6Network
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class City:
    """The whole derived city, in plan order. `hosts` is keyed by host name."""

    inventory: str
    plan_revision: str
    hosts: dict[str, Host]
    links: tuple[Link, ...]
    lans: tuple[Lan, ...] = field(default=())
