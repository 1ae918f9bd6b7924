"""Who may talk to whom, decided once and platform-neutral: firewalls print it, checks try it, reports draw it.

A group is a set of addresses, a permission lets one group open flows to another; whatever no permission names is
denied. Answers to permitted flows are permitted. Nothing here knows a firewall's language.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Literal

from egovctl.plan.derived import City, Host, Lan

Protocol = Literal["tcp", "udp", "icmp", "any"]
SSH, DNS, DHCP, HTTP, NTP, SNMP, SNMP_TRAP, HTTPS = 22, 53, 67, 80, 123, 161, 162, 443
SYSLOG_TLS, PROMETHEUS, NODE_EXPORTER, SNMP_EXPORTER, WATCHDOG = 6514, 9090, 9100, 9116, 9096
SMTP, SUBMISSION, IMAPS = 25, 587, 993
TEXT_MESSAGES = 8443
VERTICAL = "vertical_"


@dataclass(frozen=True)
class Group:
    """Addresses under one name: `v4` and `v6` are prefixes as text, as few as say it.

    Its members are `hosts`, each by its own address, and `lans`, by the names of their sites.
    """

    name: str
    v4: tuple[str, ...]
    v6: tuple[str, ...]
    hosts: frozenset[str]
    lans: frozenset[str]


@dataclass(frozen=True)
class Permission:
    """`source` and `destination` name groups. No ports: all of the protocol. icmp: echo request, in both families."""

    source: str
    destination: str
    protocol: Protocol
    ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Crossing(Permission):
    """A permission at a LAN's own router, and at which end addresses tell who is meant.

    Where a group has the whole LAN, its own end is known by the interface, and the router has checked the LAN's sources
    before anything else. Without that every router would hold the addresses of all LANs of a city.
    """

    by_source: bool = True
    by_destination: bool = True


@dataclass(frozen=True)
class Service:
    """What a LAN's own router offers to its LAN."""

    protocol: Protocol
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """An end of a flow: a host by its own address, or anybody's place on a site's LAN."""

    kind: Literal["host", "lan"]
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "host" else f"{self.name}.lan"


@dataclass(frozen=True)
class HostRules:
    """What one host lets in, and what its router lets through between its LAN and the rest of the city.

    `groups` are those that a firewall needs for them: at the destination itself it goes by source alone.
    All three lists are in the order of the city's permissions.
    """

    groups: tuple[Group, ...]
    into: tuple[Permission, ...]
    from_lan: tuple[Crossing, ...]
    to_lan: tuple[Crossing, ...]


PERMISSIONS = (
    Permission("control", "routers", "tcp", (SSH,)),
    Permission("control", "routers", "icmp"),
    Permission("control", "noc", "tcp", (PROMETHEUS, SNMP_EXPORTER)),
    Permission("control", "cores", "udp", (NTP,)),
    Permission("control", "devices", "any"),
    Permission("control", "services", "any"),
    Permission("noc", "routers", "udp", (SNMP,)),
    Permission("noc", "routers", "tcp", (NODE_EXPORTER,)),
    Permission("noc", "devices", "udp", (SNMP,)),
    Permission("devices", "noc", "udp", (SNMP_TRAP,)),
    Permission("routers", "cores", "udp", (NTP,)),
    Permission("log_senders", "noc", "tcp", (SYSLOG_TLS,)),
    Permission("backup_clients", "backup", "tcp", (SSH,)),
    Permission("postgresql", "backup", "tcp", (SSH,)),
    Permission("backup", "postgresql", "tcp", (SSH,)),
    Permission("offsite", "backup", "tcp", (SSH,)),
    Permission("deadman", "notifier", "tcp", (WATCHDOG,)),
    Permission("notifier", "mail", "tcp", (SMTP,)),
    Permission("deadman", "mail", "tcp", (SMTP,)),
    Permission("users", "mail", "tcp", (SUBMISSION, IMAPS)),
    Permission("users", "sms", "tcp", (TEXT_MESSAGES,)),
    Permission("users", "services", "tcp", (HTTP, HTTPS)),
    Permission("users", "services", "icmp"),
)
LAN_SERVICES = (Service("udp", (DNS, NTP)), Service("tcp", (DNS,)))
LEASE_SERVICES = (Service("udp", (DHCP,)),)


@dataclass(frozen=True)
class Policy:
    """The whole city's: groups by name, and every permission."""

    groups: dict[str, Group]
    permissions: tuple[Permission, ...]

    def rules_for(self, host: Host, lan: Lan | None) -> HostRules:
        """What `host` enforces; `lan` is the LAN that it is the router of, if any."""
        into = tuple(item for item in self.permissions if host.name in self.groups[item.destination].hosts)
        from_lan: tuple[Crossing, ...] = ()
        to_lan: tuple[Crossing, ...] = ()
        if lan:
            out = (item for item in self.permissions if _touches(self.groups[item.source], lan))
            back = (item for item in self.permissions if _touches(self.groups[item.destination], lan))
            whole = {group.name for group in self.groups.values() if lan.site in group.lans}
            from_lan = tuple(_crossing(item, item.source not in whole, True) for item in out)
            to_lan = tuple(_crossing(item, True, item.destination not in whole) for item in back)
        # A router's own address is no address of its LAN: what it lets in is `into`, whoever asks.
        named = {item.source for item in into}
        named |= {item.source for item in (*from_lan, *to_lan) if item.by_source}
        named |= {item.destination for item in (*from_lan, *to_lan) if item.by_destination}
        groups = tuple(group for group in self.groups.values() if group.name in named)
        return HostRules(groups, into, from_lan, to_lan)

    def permits(self, city: City, source: Place, destination: Place, protocol: Protocol, port: int = 0) -> bool:
        """Whether a new flow from one place to another is planned to work."""
        if source.kind == "lan" and destination.kind == "host":
            lan = next(item for item in city.lans if item.site == source.name)
            if destination.name == lan.hosts[0] and any(_fits(item, protocol, port) for item in lan_services(lan)):
                return True
        return any(
            _fits(item, protocol, port)
            and _holds(self.groups[item.source], source)
            and _holds(self.groups[item.destination], destination)
            for item in self.permissions
        )


def policy_of(city: City) -> Policy:
    """The policy that the plan means. control: where people log in from. noc: what polls and keeps logs.

    routers: everything that routes, by its loopback. log_senders: those, and managed hosts on LANs. devices: polled,
    but not managed. users and services: LANs. Members of a vertical network reach each other's LANs.
    postgresql: WAL goes from them to the backup node, which fetches the rest itself. notifier: tells people of alerts;
    deadman: asks it whether it lives. mail: where people have their mailboxes. sms_gateway:
    takes text messages, where that is a host of the plan. sms: where departments send theirs; smsc: the operator's
    message centre, where that is a host of the plan. websites: LANs where they are; visitors: what visits them.
    """
    hosts = list(city.hosts.values())
    groups = [
        _hosts("control", (host for host in hosts if host.role == "control")),
        _hosts("noc", (host for host in hosts if host.role == "noc")),
        _hosts("routers", (host for host in hosts if host.router)),
        _hosts("cores", (host for host in hosts if host.role == "core")),
        _hosts("log_senders", (host for host in hosts if host.router or "managed" in host.groups)),
        _hosts("backup", (host for host in hosts if host.role == "backup")),
        _hosts("offsite", (host for host in hosts if host.role == "offsite")),
        _hosts("backup_clients", (host for host in hosts if "backup_clients" in host.groups)),
        _hosts("postgresql", (host for host in hosts if "postgresql" in host.groups)),
        _hosts("notifier", (host for host in hosts if "notifier" in host.groups)),
        _hosts("deadman", (host for host in hosts if "deadman" in host.groups)),
        _hosts("mail", (host for host in hosts if "mail" in host.groups)),
        _hosts("sms", (host for host in hosts if "sms" in host.groups)),
        _hosts("smsc", (host for host in hosts if "smsc" in host.groups)),
        _hosts("sms_gateway", (host for host in hosts if "sms_gateway" in host.groups)),
        _hosts("devices", (host for host in hosts if host.platform == "unmanaged")),
        _lans("users", (lan for lan in city.lans if lan.zone == "users")),
        _lans("services", (lan for lan in city.lans if lan.zone == "services")),
    ]
    verticals = dict.fromkeys(lan.vertical for lan in city.lans if lan.vertical is not None)
    groups += [_lans(VERTICAL + name, (lan for lan in city.lans if lan.vertical == name)) for name in verticals]
    within = (Permission(VERTICAL + name, VERTICAL + name, "any") for name in verticals)
    tell = (Permission(name, "sms_gateway", "tcp", city.gateway_ports) for name in ("notifier", "deadman"))
    # Only where websites are planned: a policy without them does not speak of them.
    visitors = [host for host in hosts if "websites" in host.groups]
    groups += [_hosts("visitors", visitors), _lans("websites", lans_of_websites(city))] if visitors else []
    visit = [Permission("visitors", "websites", "tcp", (HTTP, HTTPS))] if visitors else []
    carry = [Permission("sms", "smsc", "tcp", city.smsc_ports)] if city.smsc_ports else []
    more = (*(tell if city.gateway_ports else ()), *carry, *visit, *within)
    return Policy({group.name: group for group in groups}, (*PERMISSIONS, *more))


def lans_of_websites(city: City) -> list[Lan]:
    """Where the city's websites are: LANs of sites for services. The backup node's is in their zone, and none."""
    return [lan for lan in city.lans if city.hosts[lan.hosts[0]].role == "services"]


def lan_services(lan: Lan) -> tuple[Service, ...]:
    """What the router of a LAN offers there: names and time, and addresses where they are leased."""
    return (*LAN_SERVICES, *(LEASE_SERVICES if lan.dhcp_v4 else ()))


def _hosts(name: str, members: Iterable[Host]) -> Group:
    chosen = list(members)
    v4 = _text(collapse_addresses(IPv4Network(host.address_v4) for host in chosen))
    v6 = _text(collapse_addresses(IPv6Network(host.address_v6) for host in chosen))
    return Group(name, v4, v6, frozenset(host.name for host in chosen), frozenset())


def _lans(name: str, members: Iterable[Lan]) -> Group:
    chosen = list(members)
    v4 = _text(collapse_addresses(lan.v4 for lan in chosen))
    v6 = _text(collapse_addresses(lan.v6 for lan in chosen))
    return Group(name, v4, v6, frozenset(), frozenset(lan.site for lan in chosen))


def _text(networks: Iterable[IPv4Network | IPv6Network]) -> tuple[str, ...]:
    return tuple(str(network) for network in networks)


def _crossing(item: Permission, by_source: bool, by_destination: bool) -> Crossing:
    return Crossing(item.source, item.destination, item.protocol, item.ports, by_source, by_destination)


def _touches(group: Group, lan: Lan) -> bool:
    """Whether the group has the LAN itself, or hosts on it that are not its router."""
    return lan.site in group.lans or any(name in group.hosts for name in lan.hosts[1:])


def _holds(group: Group, place: Place) -> bool:
    return place.name in (group.hosts if place.kind == "host" else group.lans)


def _fits(offered: Permission | Service, protocol: Protocol, port: int) -> bool:
    if offered.protocol == "any":
        return True
    return offered.protocol == protocol and (not offered.ports or port in offered.ports)
