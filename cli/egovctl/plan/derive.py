"""Plan → derived city: interfaces, links, neighbours, zones. Pure functions; the plan has passed rules.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from egovctl.plan.addresses import Numbering
from egovctl.plan.derived import BgpPeer, City, Host, HostRole, Interface, Lan, Link, Zone
from egovctl.plan.models import Plan, Site
from egovctl.plan.names import downward_name

REFERENCE_MBPS = 100_000
MAX_COST = 65_535  # RFC 2328, C.3
STUB_COST = 50_000
TRANSIT_KINDS = frozenset({"core", "hub"})
ZONE_OF_KIND: dict[str, Zone] = {"noc": "management", "backup": "services", "video": "services", "services": "services"}
ROLE_OF_KIND: dict[str, HostRole] = {
    "core": "core",
    "hub": "hub",
    "department": "access",
    "noc": "noc",
    "backup": "backup",
    "video": "video",
    "services": "services",
}


@dataclass
class _Wiring:
    """Interfaces of each router while links are being laid."""

    interfaces: dict[str, list[Interface]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)


def derive(plan: Plan, inventory: str) -> City:
    """The city that the plan means. `inventory` is the name of its folder."""
    numbering = Numbering(plan.addressing)
    wiring = _Wiring()
    for site in plan.sites:
        for k, router in enumerate(site.router_names, start=1):
            wiring.interfaces[router] = _fixed_interfaces(numbering, site, k)
    for site in plan.sites:
        _lay_links(numbering, site, wiring)
    hosts: dict[str, Host] = {}
    for site in plan.sites:
        for host in _hosts_of(plan, numbering, site, wiring):
            hosts[host.name] = host
    lans = tuple(_lan(numbering, site) for site in plan.sites if site.kind != "core")
    return City(inventory, plan.revision, hosts, tuple(wiring.links), lans)


def _fixed_interfaces(numbering: Numbering, site: Site, k: int) -> list[Interface]:
    loopback = Interface(
        name="lo",
        role="loopback",
        v4=IPv4Interface((numbering.loopback_v4(site, k), 32)),
        v6=IPv6Interface((numbering.loopback_v6(site, k), 128)),
        cost=0,
    )
    if site.kind == "core":
        return [loopback]
    v4, v6 = numbering.lan_v4(site), numbering.lan_v6(site)
    lan = Interface(
        name="lan0",
        role="lan",
        v4=IPv4Interface((v4.network_address + 1, v4.prefixlen)),
        v6=IPv6Interface((v6.network_address + 1, v6.prefixlen)),
        description=f"LAN of {site.name}",
    )
    return [loopback, lan]


def _lay_links(numbering: Numbering, site: Site, wiring: _Wiring) -> None:
    if site.kind == "core":
        for slot, (first, second) in enumerate(zip(site.router_names, site.router_names[1:], strict=False)):
            _lay(numbering, site, wiring, (second, f"x{slot}"), (first, f"x{slot}"), site.interconnect_mbps, slot)
        return
    router = site.router_names[0]
    for j, uplink in enumerate(site.uplinks):
        slot = j if uplink.slot is None else uplink.slot
        parent_end = (uplink.to, downward_name(router, site.number))
        _lay(numbering, site, wiring, (router, f"up{slot}"), parent_end, uplink.mbps, slot, j)


def _lay(
    numbering: Numbering,
    site: Site,
    wiring: _Wiring,
    child: tuple[str, str],
    parent: tuple[str, str],
    mbps: int,
    slot: int,
    uplink_index: int | None = None,
) -> None:
    uplink = None if uplink_index is None else site.uplinks[uplink_index]
    v4, v6 = numbering.transit_v4(site, uplink, slot), numbering.transit_v6(site, uplink, slot)
    cost = max(1, REFERENCE_MBPS // mbps) + slot
    # A department or server sees its own uplinks as dear as possible, so that nobody's path leads through it.
    costs = (cost, cost if site.kind in TRANSIT_KINDS else STUB_COST + min(cost, MAX_COST - STUB_COST))
    # Of a /31 or /127 both addresses are hosts' (RFC 3021, 6164); of a wider prefix the first is not.
    first = 0 if v4.prefixlen == 31 else 1
    first_v6 = 0 if v6.prefixlen == 127 else 1
    ends = ((parent, child), (child, parent))
    for offset, (((here, name), (there, far)), end_cost) in enumerate(zip(ends, costs, strict=True)):
        wiring.interfaces[here].append(
            Interface(
                name=name,
                role="transit",
                v4=IPv4Interface((v4.network_address + first + offset, v4.prefixlen)),
                v6=IPv6Interface((v6.network_address + first_v6 + offset, v6.prefixlen)),
                peer_host=there,
                peer_interface=far,
                mbps=mbps,
                upward=uplink is not None and offset == 1,
                cost=min(MAX_COST, end_cost),
                description=f"{there} {far}, {mbps} Mbit/s",
            )
        )
    wiring.links.append(Link(child[0], child[1], parent[0], parent[1], mbps, v4, v6))


def _hosts_of(plan: Plan, numbering: Numbering, site: Site, wiring: _Wiring) -> list[Host]:
    result = []
    clients = {name for service in plan.services if service.backup for name in service.hosts}
    for k, name in enumerate(site.router_names, start=1):
        interfaces = wiring.interfaces[name]
        role = ROLE_OF_KIND[site.kind]
        result.append(
            Host(
                name=name,
                site=site.name,
                site_number=site.number,
                index=k,
                role=role,
                platform=site.platform,
                county=site.county,
                router=True,
                address_v4=str(interfaces[0].v4.ip),
                address_v6=str(interfaces[0].v6.ip),
                interfaces=tuple(interfaces),
                bgp=_bgp(plan, numbering, name, role),
                services=tuple(s.name for s in plan.services if name in s.hosts),
                groups=_groups(site, role, site.platform, backed_up=name in clients),
            )
        )
    return [*result, *_lan_hosts(numbering, site)]


def _lan_hosts(numbering: Numbering, site: Site) -> list[Host]:
    result = []
    v4, v6 = numbering.lan_v4(site), numbering.lan_v6(site)
    for extra in site.hosts:
        lan = Interface(
            name="lan0",
            role="lan",
            v4=IPv4Interface((v4.network_address + extra.index, v4.prefixlen)),
            v6=IPv6Interface((v6.network_address + extra.index, v6.prefixlen)),
        )
        result.append(
            Host(
                name=extra.name,
                site=site.name,
                site_number=site.number,
                index=extra.index,
                role=extra.role,
                platform=extra.platform,
                county=site.county,
                router=False,
                address_v4=str(lan.v4.ip),
                address_v6=str(lan.v6.ip),
                interfaces=(lan,),
                gateway_v4=str(v4.network_address + 1),
                gateway_v6=str(v6.network_address + 1),
                groups=_groups(site, extra.role, extra.platform),
            )
        )
    return result


def _bgp(plan: Plan, numbering: Numbering, name: str, role: HostRole) -> tuple[BgpPeer, ...]:
    """The cores reflect routes: every other router peers with both cores, the cores with everyone."""
    peers = []
    for site in plan.sites:
        for k, router in enumerate(site.router_names, start=1):
            if router == name or (role != "core" and site.kind != "core"):
                continue
            v4, v6 = str(numbering.loopback_v4(site, k)), str(numbering.loopback_v6(site, k))
            peers.append(BgpPeer(router, v4, v6, client=role == "core" and site.kind != "core"))
    return tuple(peers)


def _groups(site: Site, role: HostRole, platform: str, backed_up: bool = False) -> tuple[str, ...]:
    groups = ["plane_extranet", f"role_{role}", f"platform_{platform}"]
    if site.county is not None:
        groups.append(f"county_{site.county}")
    elif site.kind == "department":
        groups.append("city_departments")
    if backed_up:
        groups.append("backup_clients")
    if platform == "linux" and role != "control":
        groups.append("managed")
    return tuple(groups)


def _lan(numbering: Numbering, site: Site) -> Lan:
    hosts = (*site.router_names, *(host.name for host in site.hosts))
    return Lan(site.name, ZONE_OF_KIND.get(site.kind, "users"), numbering.lan_v4(site), numbering.lan_v6(site), hosts)
