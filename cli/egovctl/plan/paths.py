"""Each site's primary path to the core and to the central services, and its backup when a part of that path is lost.

Pure functions of the derived city: what is said here is planned, nothing of it was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from egovctl.plan.derived import City
from egovctl.plan.routing import Edge, Element, Topology, Ways, topology_of, ways_to

CORE = "core"


@dataclass(frozen=True)
class Destination:
    """Where paths lead: `routers` are equally good, the nearest is taken."""

    name: str
    routers: tuple[str, ...]


@dataclass(frozen=True)
class Path:
    """One shortest path: `hops` in order, from the router that sends.

    `equal` counts the shortest paths that cost the same (a flow takes one of them); `mbps` is the narrowest link of
    any of them, `tunnel` whether any of them passes a tunnel. `blocked_by` is a router on one of them whose firewall
    lets nobody through: then the path is none, although the routing takes it.
    """

    router: str
    hops: tuple[Edge, ...]
    cost: int
    mbps: int
    equal: int
    tunnel: bool
    blocked_by: str | None = None

    @property
    def routers(self) -> tuple[str, ...]:
        """The routers that it leads through, and its end; without the one that sends."""
        return tuple(hop.there for hop in self.hops)


@dataclass(frozen=True)
class Backup:
    """What is left when `lost`, a part of the primary path, is lost; no path: the site is then cut off."""

    lost: Element
    path: Path | None


@dataclass(frozen=True)
class SitePaths:
    """One router's primary path to one destination, and the backup for each link and each router on it, in order.

    A path's last router is a part that can be lost only where the destination has another one. `blocked_by`: the
    routing does lead there, but over a router whose firewall lets nobody through, so there is no path.
    """

    site: str
    router: str
    destination: str
    single_homed: bool
    primary: Path | None
    backups: tuple[Backup, ...]
    blocked_by: str | None = None

    @property
    def link_disjoint(self) -> bool:
        """Whether no single link takes the destination away."""
        return self.primary is not None and all(item.path for item in self.backups if item.lost.kind == "link")

    @property
    def node_disjoint(self) -> bool:
        """Whether no single router on the way takes the destination away."""
        return self.primary is not None and all(item.path for item in self.backups if item.lost.kind == "router")

    @property
    def cut_by(self) -> tuple[Element, ...]:
        """The parts of the primary path whose loss takes the destination away."""
        return tuple(item.lost for item in self.backups if item.path is None)

    @property
    def narrowest(self) -> Path | None:
        """The backup with the least bandwidth; None when there is none, or when some loss leaves no path."""
        found = [item.path for item in self.backups if item.path is not None]
        return min(found, key=lambda path: path.mbps) if found and len(found) == len(self.backups) else None


class Finder:
    """Paths to one set of routers. Ways and paths that were found are kept: most sites share most of theirs."""

    def __init__(self, topology: Topology, targets: Iterable[str]) -> None:
        self.whole = ways_to(topology, targets)
        self._without: dict[Element, Ways] = {}
        self._known: dict[Element | None, dict[str, Path | None]] = {}

    def ways(self, lost: Element | None = None) -> Ways:
        """All routers' ways when `lost` is lost."""
        if lost is None:
            return self.whole
        if lost not in self._without:
            self._without[lost] = self.whole.without(lost)
        return self._without[lost]

    def path(self, router: str, lost: Element | None = None) -> Path | None:
        """The router's path when `lost` is lost; None when there is none, or a firewall on it lets nobody through."""
        path = self.routed(router, lost)
        return None if path is None or path.blocked_by else path

    def routed(self, router: str, lost: Element | None = None) -> Path | None:
        """The path that the routing takes, whatever the firewalls on it say."""
        known, ways = self._known.setdefault(lost, {}), self.ways(lost)
        todo = [router]
        while todo:  # not by recursion: a chain of routers may be longer than Python's stack
            name = todo[-1]
            hops = () if name in known else ways.next_hops(name)
            missing = [hop.there for hop in hops if hop.there not in known]
            if missing:
                todo += missing
                continue
            if name not in known:
                known[name] = _joined(ways, name, hops, known)
            todo.pop()
        return known[router]


def _joined(ways: Ways, name: str, hops: tuple[Edge, ...], known: dict[str, Path | None]) -> Path | None:
    """The path of a router from those of its next hops; None where it has none. At a target: one without hops."""
    cost = ways.cost(name)
    if cost is None:
        return None
    beyond = [path for hop in hops if (path := known[hop.there]) is not None]
    if not beyond:
        return Path(name, (), 0, 0, 1, False)
    through = ways.topology.through
    walls = (path.blocked_by or (path.router if path.hops and path.router not in through else None) for path in beyond)
    return Path(
        router=name,
        hops=(hops[0], *beyond[0].hops),
        cost=cost,
        mbps=min(min(hop.mbps, path.mbps or hop.mbps) for hop, path in zip(hops, beyond, strict=True)),
        equal=sum(path.equal for path in beyond),
        tunnel=any(hop.medium == "tunnel" or path.tunnel for hop, path in zip(hops, beyond, strict=True)),
        blocked_by=next((wall for wall in walls if wall), None),
    )


def destinations(city: City) -> tuple[Destination, ...]:
    """The core (whichever is nearest), each core by itself, then the router of each central LAN (services, NOC)."""
    cores = tuple(host.name for host in city.hosts.values() if host.role == "core")
    single = tuple(Destination(name, (name,)) for name in cores if name != CORE)
    central = tuple(Destination(lan.site, (lan.hosts[0],)) for lan in city.lans if _central(city, lan.hosts[0]))
    return (Destination(CORE, cores), *single, *central)


def _central(city: City, router: str) -> bool:
    return city.hosts[router].role in ("services", "noc", "backup", "video")


def site_paths(city: City, to: Iterable[Destination], sites: Iterable[str] | None = None) -> Iterator[SitePaths]:
    """For each destination, the paths of these sites' routers (all sites: None) in plan order."""
    topology, wanted = topology_of(city), None if sites is None else frozenset(sites)
    ups = {name: sum(item.upward for item in city.hosts[name].interfaces) for name in topology.sends}
    for destination in to:
        finder = Finder(topology, destination.routers)
        for name in topology.sends:
            host = city.hosts[name]
            if name in destination.routers or (wanted is not None and host.site not in wanted):
                continue
            primary, routed = finder.path(name), finder.routed(name)
            backups = () if primary is None else tuple(_backups(finder, primary, destination))
            wall = None if routed is None else routed.blocked_by
            yield SitePaths(host.site, name, destination.name, ups[name] == 1, primary, backups, wall)


def _backups(finder: Finder, primary: Path, destination: Destination) -> Iterator[Backup]:
    for hop in primary.hops:
        parts = [Element("link", hop.link)]
        if hop.there not in destination.routers or len(destination.routers) > 1:
            parts.append(Element("router", hop.there))
        for part in parts:
            yield Backup(part, finder.path(primary.router, part))


def planned_next_hops(city: City) -> dict[str, dict[str, tuple[Edge, ...]]]:
    """For each router, where it sends what is for each core's own address: core → next hops, several if they are equal.

    A core's own address needs none, and has no entry at that core.
    """
    topology = topology_of(city)
    found: dict[str, dict[str, tuple[Edge, ...]]] = {name: {} for name in topology.sends}
    for core in (host.name for host in city.hosts.values() if host.role == "core"):
        ways = ways_to(topology, (core,))
        for name, hops in found.items():
            if name != core:
                hops[core] = ways.next_hops(name)
    return found
