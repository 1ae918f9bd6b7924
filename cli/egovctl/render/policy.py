"""Who may talk to whom, as address sets: the part of the derived model that firewalls and checks both read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from egovctl.plan import City, Host

# What a department's people may open on the shared services' LANs.
SHARED_TCP_PORTS = (80, 443)


@dataclass(frozen=True)
class Addresses:
    """The same set in both families, as sorted text for templates."""

    v4: tuple[str, ...]
    v6: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """Address sets of the city; see `policy` for what each means."""

    control: Addresses
    noc: Addresses
    routers: Addresses
    backup_clients: Addresses
    users_lans: Addresses
    services_lans: Addresses
    devices: Addresses
    shared_tcp_ports: tuple[int, ...] = SHARED_TCP_PORTS


def policy(city: City) -> Policy:
    """control: where people log in from. noc: what polls. routers: all loopbacks. devices: polled but not managed."""
    hosts = list(city.hosts.values())
    return Policy(
        control=_of(host for host in hosts if host.role == "control"),
        noc=_of(host for host in hosts if host.role == "noc"),
        routers=_of(host for host in hosts if host.router),
        backup_clients=_of(host for host in hosts if "backup_clients" in host.groups),
        users_lans=_lans(city, "users"),
        services_lans=_lans(city, "services"),
        devices=_of(host for host in hosts if host.platform == "unmanaged"),
    )


def _of(hosts: Iterable[Host]) -> Addresses:
    chosen = list(hosts)
    return Addresses(tuple(host.address_v4 for host in chosen), tuple(host.address_v6 for host in chosen))


def _lans(city: City, zone: str) -> Addresses:
    chosen = [lan for lan in city.lans if lan.zone == zone]
    return Addresses(tuple(str(lan.v4) for lan in chosen), tuple(str(lan.v6) for lan in chosen))
