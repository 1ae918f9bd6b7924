"""City → what is plugged into what: namespaces, veth pairs, bridges, addresses. Pure, nothing is made here.

Every veth pair is made directly between two of the lab's namespaces, so the machine's own network never sees one.
What is called what follows from each host and site alone, so that who comes or goes renames nothing of the others.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from egovctl.lab.names import EXPORTER_OFFSET, FABRIC, PROMETHEUS_OFFSET
from egovctl.lab.state import Forward, Kind, LabHost
from egovctl.plan.derived import City, Host, Lan

MANAGEMENT_POOL = IPv4Network("198.18.0.0/15")  # RFC 2544: for benches, in nobody's plan
MANAGEMENT = "mgmt"
INTERNET = "internet"
PROMETHEUS_PORT, EXPORTER_PORT = 9090, 9116


@dataclass(frozen=True)
class Wire:
    """A veth pair: each end is (namespace's short name, interface). `mbps` shapes both directions."""

    a: tuple[str, str]
    b: tuple[str, str]
    mbps: int | None = None


@dataclass(frozen=True)
class Port:
    """A bridge port in the fabric. An isolated one reaches only those that are not."""

    bridge: str
    interface: str
    isolated: bool = False


@dataclass(frozen=True)
class Bare:
    """What the lab itself configures in a namespace: addresses and default gateways.

    That of a switch, which boots no system, and of control, whose own network the playbooks do not configure.
    """

    addresses: tuple[tuple[str, str], ...]
    gateways: tuple[str, ...]


@dataclass(frozen=True)
class Wiring:
    """The whole lab on paper. `skipped` are hosts of the plan that a lab of Linux containers cannot boot.

    `internet` is the lab's own address on the untrusted network, where some host wants one by DHCP.
    """

    hosts: dict[str, LabHost]
    wires: tuple[Wire, ...]
    bridges: tuple[str, ...]
    ports: tuple[Port, ...]
    management: dict[str, IPv4Interface]
    bare: dict[str, Bare]
    skipped: tuple[str, ...]
    internet: str | None = None
    control: str = ""  # the host from whose network all others are reached

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Short names of all network namespaces, the fabric first."""
        return (FABRIC, *self.hosts)

    @property
    def digest(self) -> str:
        """Changes when the plan asks for another lab: hosts, links, bandwidths, the lab's own addresses."""
        parts = (self.hosts, self.wires, self.bridges, self.ports, self.management, self.bare, self.internet)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def kind_of(host: Host) -> Kind | None:
    """How the lab stands in for a host; None when it cannot (a vendor's router, a camera)."""
    if host.role == "switch":
        return "switch"
    return "guest" if host.platform == "linux" else None


def wiring_of(city: City) -> Wiring:
    """Decide everything that `network.lay` then does."""
    kinds = {name: kind for name, host in city.hosts.items() if (kind := kind_of(host)) is not None}
    management = management_addresses(kinds)
    hosts = {name: LabHost(kind, str(management[name].ip), city.hosts[name].address_v4) for name, kind in kinds.items()}
    control = next((name for name in kinds if city.hosts[name].role == "control"), "")
    wires, ports, bridges = _management(city, kinds, control)
    for link in city.links:
        if link.child in kinds and link.parent in kinds and link.medium == "line":
            ends = ((link.parent, link.parent_interface), (link.child, link.child_interface))
            wires.append(Wire(*ends, link.mbps))
    _lans(city, kinds, wires, ports, bridges)
    _internet(city, kinds, wires, ports, bridges)
    return Wiring(
        hosts=hosts,
        wires=tuple(wires),
        bridges=tuple(bridges),
        ports=tuple(ports),
        management=management,
        bare={name: _bare(city.hosts[name]) for name, kind in kinds.items() if kind != "guest" or name == control},
        skipped=tuple(name for name in city.hosts if name not in kinds),
        internet=_internet_address(city),
        control=control,
    )


def management_addresses(names: Collection[str]) -> dict[str, IPv4Interface]:
    """An address for each host, from its name alone; of two names that meet, the later one takes the next free one."""
    size, taken = MANAGEMENT_POOL.num_addresses - 2, dict[int, str]()
    for name in sorted(names):
        number = zlib.crc32(name.encode()) % size
        while number in taken:
            number = (number + 1) % size
        taken[number] = name
    found = {name: IPv4Interface((MANAGEMENT_POOL[n + 1], MANAGEMENT_POOL.prefixlen)) for n, name in taken.items()}
    return {name: found[name] for name in names}


def lan_bridge(city: City, lan: Lan) -> str:
    """What the bridge of a site's LAN is called in the fabric."""
    return f"lan{city.hosts[lan.hosts[0]].site_number}"


def _port(letter: str, host: Host) -> str:
    """A host's port in the fabric; site and index are nobody else's."""
    return f"{letter}{host.site_number}-{host.index}"


def _management(city: City, kinds: dict[str, Kind], control: str) -> tuple[list[Wire], list[Port], list[str]]:
    """One bridge on which control reaches every host, and no host another."""
    wires, ports = [], []
    for name in kinds:
        port = _port("m", city.hosts[name])
        wires.append(Wire((FABRIC, port), (name, MANAGEMENT)))
        ports.append(Port(MANAGEMENT, port, isolated=name != control))
    return wires, ports, [MANAGEMENT]


def _lans(city: City, kinds: dict[str, Kind], wires: list[Wire], ports: list[Port], bridges: list[str]) -> None:
    """One bridge a site; each of its hosts has a port there, so that lan0 has a carrier even when it is alone."""
    for lan in city.lans:
        bridge = lan_bridge(city, lan)
        bridges.append(bridge)
        for name in lan.hosts:
            if name not in kinds:
                continue
            port = _port("l", city.hosts[name])
            end = next(item.name for item in city.hosts[name].interfaces if item.role == "lan")
            wires.append(Wire((FABRIC, port), (name, end)))
            ports.append(Port(bridge, port))


def _internet(city: City, kinds: dict[str, Kind], wires: list[Wire], ports: list[Port], bridges: list[str]) -> None:
    """The network that nobody trusts: one bridge for all attachments, so that any may call any other."""
    attached = [(name, city.hosts[name].outside) for name, kind in kinds.items() if kind == "guest"]
    if any(outside for _, outside in attached):
        bridges.append(INTERNET)
    for name, outside in attached:
        if outside is not None:
            port = _port("o", city.hosts[name])
            wires.append(Wire((FABRIC, port), (name, outside.name)))
            ports.append(Port(INTERNET, port))


def _internet_address(city: City) -> str | None:
    """Where the lab itself is on that network: the last address of the first fixed attachment's; None: nobody asks."""
    attached = [host.outside for host in city.hosts.values() if host.outside is not None]
    fixed = [IPv4Interface(outside.v4) for outside in attached if outside.v4 is not None]
    if not fixed or len(fixed) == len(attached):
        return None
    network = fixed[0].network
    return f"{network.broadcast_address - 1}/{network.prefixlen}"


def _bare(host: Host) -> Bare:
    addresses = tuple((item.name, str(ip)) for item in host.interfaces for ip in (item.v4, item.v6))
    return Bare(addresses, tuple(gw for gw in (host.gateway_v4, host.gateway_v6) if gw))


def forwards_of(city: City, base: int) -> tuple[Forward, ...]:
    """The ports on 127.0.0.1 that lead to the first NOC host's Prometheus and exporter."""
    noc = next((host for host in city.hosts.values() if host.role == "noc" and kind_of(host) == "guest"), None)
    if noc is None:
        return ()
    return (
        Forward("prometheus", base + PROMETHEUS_OFFSET, noc.name, noc.address_v4, PROMETHEUS_PORT),
        Forward("exporter", base + EXPORTER_OFFSET, noc.name, noc.address_v4, EXPORTER_PORT),
    )
