"""The full matrix of flows: who is tried against whom, on what, and what the plan says must come of it. Pure.

Sources are anybody's place on each LAN, each managed router itself (should it be taken over), and control. Targets are
a place on each LAN, on a port that the plan opens to users and on one that it opens to nobody, and each managed host's
own address on what it listens on. UDP is not in it: silence there proves nothing. Where the plan leaves a firewall to
others, a flow is tried only if the firewalls that are the plan's own decide about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from egovctl.plan import City, Host
from egovctl.plan.policy import HTTP, NODE_EXPORTER, PROMETHEUS, SNMP_EXPORTER, SSH, Place, Policy, policy_of

UNLISTED = 4444  # a port that no permission names
LAN_PORTS = (HTTP, UNLISTED)
Family = Literal[4, 6]
FAMILIES: tuple[Family, ...] = (4, 6)


@dataclass(frozen=True)
class Target:
    """One listener: a TCP port of a place, in one family."""

    place: Place
    port: int
    family: Family

    def __str__(self) -> str:
        return f"{self.place}:{self.port}/tcp IPv{self.family}"


@dataclass(frozen=True)
class Matrix:
    """All sources, all targets, and per source which targets are tried, with what is planned: (target, allowed)."""

    sources: tuple[Place, ...]
    targets: tuple[Target, ...]
    wanted: dict[Place, tuple[tuple[int, bool], ...]]

    @property
    def size(self) -> int:
        return sum(len(tries) for tries in self.wanted.values())


def matrix_of(city: City) -> Matrix:
    """Every flow that can be tried in this city; `wanted` numbers the targets."""
    policy = policy_of(city)
    managed = [host for host in city.hosts.values() if "managed" in host.groups]
    lans = [Place("lan", lan.site) for lan in city.lans]
    control = [Place("host", host.name) for host in city.hosts.values() if host.role == "control"]
    sources = (*lans, *(Place("host", host.name) for host in managed), *control)
    targets = tuple(_targets(lans, managed))
    site_of = {host.name: host.site for host in city.hosts.values()}
    verdicts = {source: tuple(_tries(policy, city, site_of, source, targets)) for source in sources}
    return Matrix(sources, targets, verdicts)


def provers(city: City, matrix: Matrix) -> dict[Place, list[int]]:
    """Who is to prove that hosts' targets listen: a few hosts that the plan lets in to many, and the targets of each.

    Control takes all that it may reach, then each time the host that may reach most of what is left. A host reaches
    itself, so every target of a host has its prover.
    """
    left = {number for number, target in enumerate(matrix.targets) if target.place.kind == "host"}
    reach = {
        source: left & {number for number, permitted in matrix.wanted[source] if permitted}
        for source in matrix.sources
        if source.kind == "host"
    }
    for number in left:
        reach[matrix.targets[number].place].add(number)

    def worth(source: Place) -> tuple[bool, int]:
        useful = len(reach[source] & left)
        return (useful > 0 and city.hosts[source.name].role == "control", useful)

    found = {}
    while left:
        chosen = max(reach, key=worth)
        found[chosen] = sorted(reach[chosen] & left)
        left -= reach.pop(chosen)
    return found


def zone_of(city: City, place: Place) -> str:
    """The zone that a place belongs to: of a LAN users, services or management; of a host control or routers."""
    if place.kind == "lan":
        return next(lan.zone for lan in city.lans if lan.site == place.name)
    return "control" if city.hosts[place.name].role == "control" else "routers"


def _targets(lans: list[Place], managed: list[Host]) -> Iterator[Target]:
    for family in FAMILIES:
        for lan in lans:
            yield from (Target(lan, port, family) for port in LAN_PORTS)
        for host in managed:
            ports = [SSH, *([NODE_EXPORTER] if host.manages("node_exporter") else [])]
            # Prometheus and the exporter listen on the NOC's IPv4 loopback only.
            ports += [PROMETHEUS, SNMP_EXPORTER] if host.role == "noc" and family == 4 and host.manages("noc") else []
            yield from (Target(Place("host", host.name), port, family) for port in ports)


def _tries(
    policy: Policy, city: City, site_of: dict[str, str], source: Place, targets: tuple[Target, ...]
) -> Iterator[tuple[int, bool]]:
    known: dict[tuple[Place, int], bool | None] = {}
    gateways = {lan.site: city.hosts[lan.hosts[0]] for lan in city.lans}
    site = source.name if source.kind == "lan" else site_of[source.name]
    for number, target in enumerate(targets):
        there = target.place.name if target.place.kind == "lan" else site_of[target.place.name]
        same_wire = site == there and target.place.kind == "lan"
        if source == target.place or same_wire:  # no firewall stands between them
            continue
        key = (target.place, target.port)
        if key not in known:
            permitted = policy.permits(city, source, target.place, "tcp", target.port)
            ours = [host.manages("nftables") for host in _guards(city, gateways, source, target.place)]
            # One firewall is enough to deny; to let a flow through takes all of them.
            known[key] = permitted if (all(ours) if permitted else any(ours)) else None
        verdict = known[key]
        if verdict is not None:
            yield number, verdict


def _guards(city: City, gateways: Mapping[str, Host], source: Place, target: Place) -> Iterator[Host]:
    """Whose firewalls decide about a flow: the router of the LAN it comes from, and where it ends or enters a LAN."""
    if source.kind == "lan":
        yield gateways[source.name]
    elif not city.hosts[source.name].router:
        yield gateways[city.hosts[source.name].site]
    yield gateways[target.name] if target.kind == "lan" else city.hosts[target.name]
