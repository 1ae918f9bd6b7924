"""The derived model: what the plan means for each host, decided once and platform-neutral.

Everything that a template, the inventory, the lab, the exporter's targets or a check needs to know about the
network is here as plain frozen data; templates only print it. Nothing in this module reads a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Literal

InterfaceRole = Literal["loopback", "transit", "lan"]
HostRole = Literal["core", "hub", "access", "noc", "backup", "offsite", "video", "services", "control", "switch"]


Zone = Literal["users", "services", "management"]
# By which engine a service is backed up → the group of the hosts on which that is done.
BACKUP_GROUPS = {
    "borg": "backup_clients",
    "system": "backup_clients",
    "mariadb": "mariadb",
    "postgresql": "postgresql",
}
Medium = Literal["line", "tunnel"]


@dataclass(frozen=True)
class Share:
    """A part of a link: at least `percent` of its bandwidth for packets with one of the code points `dscp`.

    The one share without code points is everybody else's. Every share may borrow what the others leave.
    """

    name: str
    percent: int
    dscp: tuple[int, ...]


@dataclass(frozen=True)
class Interface:
    """One interface of a host, with both families.

    `name` is the Linux name (15 characters at most). A transit interface is one end of a link: `peer_host` and
    `peer_interface` name the other end, `mbps` is the contracted bandwidth, `upward` is true at the end that
    leads towards the core; `medium` says whether it is a line or a tunnel over a network that nobody trusts (then `mtu`
    is smaller), `shares` how it is shared where it is thin. A lan interface joins all hosts of one site on one segment.
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
    medium: Medium = "line"
    mtu: int | None = None
    shares: tuple[Share, ...] = ()


@dataclass(frozen=True)
class Outside:
    """A router's attachment to a network that nobody trusts. `v4` has its length; None means by DHCP."""

    name: str
    v4: str | None
    gateway_v4: str | None


@dataclass(frozen=True)
class Tunnel:
    """One end of an encrypted tunnel: an interface of its own, with one peer.

    The end nearer the core listens on `listen_port` of its attachment. The other end calls `endpoint_v4`, from
    wherever it is, and keeps the way open by a packet every `keepalive` seconds (0: it is called).
    """

    interface: str
    peer_host: str
    listen_port: int | None
    endpoint_v4: str | None
    endpoint_port: int | None
    keepalive: int
    mtu: int


@dataclass(frozen=True)
class BgpPeer:
    """An internal BGP session between loopbacks; `client` marks a route-reflector client of this host."""

    host: str
    v4: str
    v6: str
    client: bool


@dataclass(frozen=True)
class Host:
    """A managed node. `router` says whether it takes part in routing; a plain host has a default gateway on its LAN.

    `manage` names the bundles that are applied to it; None means all that fit it.
    """

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
    outside: Outside | None = None
    tunnels: tuple[Tunnel, ...] = ()
    manage: tuple[str, ...] | None = None

    def manages(self, bundle: str) -> bool:
        """Whether the suite answers for `bundle` on it, where that fits: it is managed, and the plan leaves it in."""
        return "managed" in self.groups and (self.manage is None or bundle in self.manage)

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
    medium: Medium = "line"


@dataclass(frozen=True)
class Lan:
    """A site's LAN segment. `zone` is what firewalls tell apart.

    users: a department's people; services: what they may use; management: the NOC's own, which nobody may enter.
    `vertical` is the vertical network that its users belong to; `dhcp_v4` the first and last address that is leased.
    """

    site: str
    zone: Zone
    v4: IPv4Network
    v6: IPv6Network
    hosts: tuple[str, ...]
    vertical: str | None = None
    dhcp_v4: tuple[str, str] | None = None


@dataclass(frozen=True)
class City:
    """The whole derived city, in plan order. `hosts` is keyed by host name.

    `gateway_ports`: where gateways of text messages that are hosts of the plan (group sms_gateway) take requests;
    `smsc_ports`: the same of message centres (group smsc), which the SMS service hands its messages to.
    """

    inventory: str
    plan_revision: str
    hosts: dict[str, Host]
    links: tuple[Link, ...]
    lans: tuple[Lan, ...] = field(default=())
    plane: str = "extranet"
    gateway_ports: tuple[int, ...] = ()
    smsc_ports: tuple[int, ...] = ()

    def backed_up(self, names: Iterable[str], engine: str = "borg") -> tuple[str, ...]:
        """Those of these hosts that the suite backs up by `engine`, in their order."""
        return tuple(name for name in names if BACKUP_GROUPS[engine] in self.hosts[name].groups)
