"""Plan → derived city: interfaces, links, neighbours, zones. Pure functions; the plan has passed rules.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv6Interface
from urllib.parse import urlsplit

from egovctl.plan.addresses import Numbering
from egovctl.plan.derived import (
    BACKUP_GROUPS,
    BgpPeer,
    City,
    Host,
    HostRole,
    Interface,
    Lan,
    Link,
    Outside,
    Share,
    Tunnel,
    Zone,
)
from egovctl.plan.models import MAX_UPLINKS, Plan, Site, SmsSpool, Uplink
from egovctl.plan.names import downward_name

REFERENCE_MBPS = 100_000
MAX_COST = 65_535  # RFC 2328, C.3
STUB_COST = 50_000
OUTSIDE = "wan0"
TUNNEL_PORTS = 20_000  # the first; the listening end takes this plus four times the child's number plus the slot
TUNNEL_MTU = 1400  # 60 octets of WireGuard over IPv4, and room for what carriers of mobile data add
KEEPALIVE = 25  # seconds; shorter than any address translator's memory for UDP (RFC 4787, REQ-5 asks for 120)
LEASED = (100, 199)  # of 256 addresses of a users' LAN; smaller or larger LANs in proportion
SMALLEST_LEASED = 16  # addresses; a smaller LAN has no room for leases beside its fixed hosts
BACKUP_BUNDLES = {  # the bundle that backs up the hosts of a group, for `manage`
    "backup_clients": "borgmatic",
    "mariadb": "borgmatic",
    "postgresql": "pgbackrest",
    "postgresql_backups": "pgbackrest_server",
}
# Where somebody is to be told of alerts: who tells, and who tells that nobody is told any more.
TELLING_KINDS = {"noc": "notifier", "backup": "deadman"}
GATEWAY = "sms_gateway"  # the group of hosts of the plan that take text messages for it
CENTRE = "smsc"  # and of those that its own SMS service hands them to
TRANSIT_KINDS = frozenset({"core", "hub"})
ZONE_OF_KIND: dict[str, Zone] = {
    "noc": "management",
    "backup": "services",
    "offsite": "management",  # nobody has business there
    "video": "services",
    "services": "services",
}
ROLE_OF_KIND: dict[str, HostRole] = {
    "core": "core",
    "hub": "hub",
    "department": "access",
    "town": "access",
    "village": "access",
    "mobile": "access",
    "noc": "noc",
    "backup": "backup",
    "offsite": "offsite",
    "video": "video",
    "services": "services",
}


@dataclass
class _Wiring:
    """Interfaces and tunnels of each router while links are being laid. `outside`: where tunnels end."""

    plan: Plan
    shares: tuple[Share, ...]
    interfaces: dict[str, list[Interface]] = field(default_factory=dict)
    tunnels: dict[str, list[Tunnel]] = field(default_factory=dict)
    outside: dict[str, Outside] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)


@dataclass(frozen=True)
class _Lists:
    """What is asked for every host, made once, so that a city's cost does not grow with the square of its sites.

    `services` of each host in plan order; `clients`: by what engines a host is backed up; `reflectors` are the cores
    as a site's router peers with them, `routers` all routers as a core does.
    """

    services: Mapping[str, tuple[str, ...]]
    clients: Mapping[str, frozenset[str]]
    reflectors: tuple[BgpPeer, ...]
    routers: tuple[BgpPeer, ...]


def derive(plan: Plan, inventory: str) -> City:
    """The city that the plan means. `inventory` is the name of its folder."""
    numbering = Numbering(plan.addressing)
    shares = tuple(Share(item.name, item.percent, item.dscp) for item in plan.shares.classes)
    wiring = _Wiring(plan, shares)
    for site in plan.sites:
        for k, router in enumerate(site.router_names, start=1):
            wiring.interfaces[router] = _fixed_interfaces(numbering, site, k)
            wiring.tunnels[router] = []
            if attached := site.internet.get(router):
                v4 = None if attached.v4 is None else str(attached.v4)
                gateway = None if attached.gateway_v4 is None else str(attached.gateway_v4)
                wiring.outside[router] = Outside(OUTSIDE, v4, gateway)
    for site in plan.sites:
        _lay_links(numbering, site, wiring)
    lists = _lists(plan, numbering)
    hosts: dict[str, Host] = {}
    gateways, centres = _gateways(plan), _centres(plan)
    for site in plan.sites:
        for host in _hosts_of(plan, numbering, site, wiring, lists):
            takes = ((GATEWAY, gateways), (CENTRE, centres))
            more = tuple(name for name, places in takes if host.address_v4 in places)
            hosts[host.name] = replace(host, groups=(*host.groups, *more)) if more else host
    inside = [host.address_v4 for host in hosts.values()]
    ports, smsc = (
        tuple(sorted({port for address in inside for port in places.get(address, ())}))
        for places in (gateways, centres)
    )
    lans = tuple(_lan(numbering, site) for site in plan.sites if site.kind != "core")
    return City(inventory, plan.revision, hosts, tuple(wiring.links), lans, plan.city.plane, ports, smsc)


def _gateways(plan: Plan) -> dict[str, set[int]]:
    """IPv4 address → ports of the gateways of text messages that are asked over HTTP, wherever they are."""
    found: dict[str, set[int]] = {}
    for gateway in plan.contacts.sms if plan.contacts else ():
        if not isinstance(gateway, SmsSpool):
            place = urlsplit(gateway.url)
            port = place.port or {"https": 443}.get(place.scheme, 80)
            found.setdefault(place.hostname or "", set()).add(port)
    return found


def _centres(plan: Plan) -> dict[str, set[int]]:
    """The same of operators' message centres."""
    found: dict[str, set[int]] = {}
    for service in plan.services:
        if service.sms:
            found.setdefault(str(service.sms.smsc.host), set()).add(service.sms.smsc.port)
    return found


def _lists(plan: Plan, numbering: Numbering) -> _Lists:
    services: dict[str, tuple[str, ...]] = {}
    for service in plan.services:
        for name in dict.fromkeys(service.hosts):
            services[name] = (*services.get(name, ()), service.name)
    clients: dict[str, frozenset[str]] = {}
    for service in plan.services:
        if service.backup:
            for name in service.hosts:
                clients[name] = clients.get(name, frozenset()) | {service.backup.engine}
    reflectors, routers = [], []
    for site in plan.sites:
        for k, router in enumerate(site.router_names, start=1):
            v4, v6 = str(numbering.loopback_v4(site, k)), str(numbering.loopback_v6(site, k))
            routers.append(BgpPeer(router, v4, v6, client=site.kind != "core"))
            if site.kind == "core":
                reflectors.append(BgpPeer(router, v4, v6, client=False))
    return _Lists(services, clients, tuple(reflectors), tuple(routers))


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
        parent_end = (uplink.to, downward_name(router, site.number, uplink.via))
        child_end = (router, f"{'up' if uplink.via == 'line' else 'wg'}{slot}")
        _lay(numbering, site, wiring, child_end, parent_end, uplink.mbps, slot, j)
        if uplink.via == "internet":
            _dig(site, wiring, child_end, parent_end, slot)


def _dig(site: Site, wiring: _Wiring, child: tuple[str, str], parent: tuple[str, str], slot: int) -> None:
    """The two ends of a tunnel: the child calls the parent's fixed address."""
    port = TUNNEL_PORTS + site.number * MAX_UPLINKS + slot
    outside = wiring.outside.get(parent[0])
    address = None if outside is None or outside.v4 is None else outside.v4.partition("/")[0]
    wiring.tunnels[parent[0]].append(Tunnel(parent[1], child[0], port, None, None, 0, TUNNEL_MTU))
    wiring.tunnels[child[0]].append(Tunnel(child[1], parent[0], None, address, port, KEEPALIVE, TUNNEL_MTU))


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
    uplink: Uplink | None = None if uplink_index is None else site.uplinks[uplink_index]
    tunnel = uplink is not None and uplink.via == "internet"
    shares = wiring.shares if tunnel or mbps <= wiring.plan.shares.thin_mbps else ()
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
                medium="tunnel" if tunnel else "line",
                mtu=TUNNEL_MTU if tunnel else None,
                shares=shares,
            )
        )
    link = Link(*child, *parent, mbps, v4, v6, "tunnel" if tunnel else "line")
    wiring.links.append(link)


def _hosts_of(plan: Plan, numbering: Numbering, site: Site, wiring: _Wiring, lists: _Lists) -> list[Host]:
    result = []
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
                bgp=_bgp(lists, name, role),
                services=lists.services.get(name, ()),
                groups=_groups(
                    plan,
                    site,
                    role,
                    site.platform,
                    [
                        *_backups(lists, site, name),
                        *_telling(plan, site),
                        *_visiting(plan, site),
                        *_provided(plan, site, name),
                    ],
                ),
                outside=wiring.outside.get(name),
                tunnels=tuple(wiring.tunnels[name]),
                manage=site.manage,
            )
        )
    return [*result, *_lan_hosts(plan, numbering, site)]


def _lan_hosts(plan: Plan, numbering: Numbering, site: Site) -> list[Host]:
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
                groups=_groups(plan, site, extra.role, extra.platform),
            )
        )
    return result


def _bgp(lists: _Lists, name: str, role: HostRole) -> tuple[BgpPeer, ...]:
    """The cores reflect routes: every other router peers with both cores, the cores with everyone."""
    return tuple(peer for peer in (lists.routers if role == "core" else lists.reflectors) if peer.host != name)


def _backups(lists: _Lists, site: Site, router: str) -> list[str]:
    """The groups of those that are backed up which a router is in: the program that does it is applied to it."""
    engines = lists.clients.get(router, frozenset())
    groups = {BACKUP_GROUPS[engine]: BACKUP_BUNDLES[BACKUP_GROUPS[engine]] for engine in engines}
    if "mariadb" in groups:
        groups["backup_clients"] = BACKUP_BUNDLES["backup_clients"]
    if site.kind == "backup" and any("postgresql" in found for found in lists.clients.values()):
        groups["postgresql_backups"] = BACKUP_BUNDLES["postgresql_backups"]
    return sorted(name for name, bundle in groups.items() if site.manage is None or bundle in site.manage)


def _telling(plan: Plan, site: Site) -> list[str]:
    """The group of those that tell people, which a site's router is in."""
    group = TELLING_KINDS.get(site.kind) if plan.contacts is not None else None
    bundle = {"notifier": "notify"}.get(group or "", group)
    return [group] if group and (site.manage is None or bundle in site.manage) else []


def _visiting(plan: Plan, site: Site) -> list[str]:
    """The group of the NOC when it visits websites."""
    there = plan.websites is not None and site.kind == "noc"
    return ["websites"] if there and (site.manage is None or "websites" in site.manage) else []


def _provided(plan: Plan, site: Site, router: str) -> list[str]:
    """What the suite itself sets up on a router, since a service provides it."""
    found = {service.provides for service in plan.services if service.provides and router in service.hosts}
    return sorted(name for name in found if site.manage is None or name in site.manage)


def _groups(plan: Plan, site: Site, role: HostRole, platform: str, more: Sequence[str] = ()) -> tuple[str, ...]:
    groups = [f"plane_{plan.city.plane}", f"role_{role}", f"platform_{platform}"]
    if role == "access":
        groups.append(f"kind_{site.kind}")
    if site.vertical is not None:
        groups.append(f"vertical_{site.vertical}")
    if site.county is not None:
        groups.append(f"county_{site.county}")
    elif site.kind == "department":
        groups.append("city_departments")
    groups += more
    if platform == "linux" and role != "control":
        groups.append("managed")
    return tuple(groups)


def _lan(numbering: Numbering, site: Site) -> Lan:
    hosts = (*site.router_names, *(host.name for host in site.hosts))
    zone = ZONE_OF_KIND.get(site.kind, "users")
    v4 = numbering.lan_v4(site)
    first, last = (v4.network_address + v4.num_addresses * index // 256 for index in LEASED)
    leased = (str(first), str(last)) if zone == "users" and v4.num_addresses >= SMALLEST_LEASED else None
    return Lan(site.name, zone, v4, numbering.lan_v6(site), hosts, site.vertical, leased)
