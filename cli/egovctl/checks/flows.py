"""Which flows are tried, and what must become of each. Pure functions of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from egovctl.plan import City, Host, Lan

SSH, PROMETHEUS, HTTP, HTTPS = 22, 9090, 80, 443
Expectation = Literal["allow", "deny"]


@dataclass(frozen=True)
class Flow:
    """One TCP connection to try. `target` is a host, or a site when a user's place there is the target."""

    target: str
    at_place: bool
    family: Literal[4, 6]
    port: int
    expect: Expectation

    @property
    def name(self) -> str:
        """As people read it."""
        where = f"users@{self.target}" if self.at_place else self.target
        return f"{where}:{self.port}/tcp IPv{self.family}"


def _both(target: str, port: int, expect: Expectation, *, at_place: bool = False) -> list[Flow]:
    return [Flow(target, at_place, 4, port, expect), Flow(target, at_place, 6, port, expect)]


def management(city: City, source: Host) -> list[Flow]:
    """What no department may reach: ssh of its own gateway, of the first core and of the NOC, and Prometheus.

    Prometheus listens on the NOC's IPv4 loopback only.
    """
    flows = _both(source.name, SSH, "deny")
    for role in ("core", "noc", "backup", "offsite"):
        host = first(city, role)
        if host is not None:
            flows += _both(host.name, SSH, "deny")
    noc = first(city, "noc")
    if noc is not None:
        flows.append(Flow(noc.name, False, 4, PROMETHEUS, "deny"))
    return flows


def from_lan(city: City, lan: Lan) -> list[Flow]:
    """From a user's place: management denied, the next unrelated department's users denied, shared services allowed."""
    flows = management(city, city.hosts[lan.hosts[0]])
    users = [item for item in city.lans if item.zone == "users"]
    place = users.index(lan)
    others = [
        item for item in users[place + 1 :] + users[:place] if lan.vertical is None or item.vertical != lan.vertical
    ]
    if others:
        flows += _both(others[0].site, HTTPS, "deny", at_place=True)
    services = [item.site for item in city.lans if item.zone == "services" and firewalled(city, item)]
    if services:
        flows += _both(services[0], HTTP, "allow", at_place=True)
    return flows


def from_router(city: City, router: Host) -> list[Flow]:
    """From the department's router itself, should it be taken over: no ssh and no Prometheus elsewhere.

    A backup client, or a host whose PostgreSQL sends its WAL, may open ssh to the backup node: that flow is left out.
    To the off-site node nobody may.
    """
    flows = [flow for flow in management(city, router) if flow.target != router.name]
    backup = first(city, "backup")
    if backup is not None and not {"backup_clients", "postgresql"}.isdisjoint(router.groups):
        flows = [flow for flow in flows if flow.target != backup.name]
    return flows


def firewalled(city: City, lan: Lan) -> bool:
    """Whether the firewall of the LAN's router is the plan's, and not left to others."""
    return city.hosts[lan.hosts[0]].manages("nftables")


def first(city: City, role: str) -> Host | None:
    """The first host of a role whose firewall is the plan's, in plan order."""
    for host in city.hosts.values():
        if host.role == role and host.manages("nftables"):
            return host
    return None
