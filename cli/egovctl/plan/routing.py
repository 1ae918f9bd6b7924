"""The shortest ways that OSPF finds over the planned costs, and what of them changes when one link or router is lost.

Every link is two edges, each with the cost of its sending end, as OSPF reckons. A loss is worked out from the whole
city's ways: only the routers whose every way led over what is lost are looked at again, so that losing each link of a
city of thousands of sites, one after the other, takes about as long as a few whole computations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Literal

from egovctl.plan.derived import City, Medium

TRANSIT_ROLES = frozenset({"core", "hub"})  # whose firewalls let others' traffic through


@dataclass(frozen=True)
class Element:
    """What can be lost: a router by its name, or a link by its lower end, as `host:interface`."""

    kind: Literal["link", "router"]
    name: str


@dataclass(frozen=True)
class Edge:
    """One direction of a link. `cost` is what the end that sends has; `link` is the link's name as an Element."""

    here: str
    interface: str
    there: str
    cost: int
    mbps: int
    medium: Medium
    link: str

    def lost_with(self, lost: Element | None) -> bool:
        """Whether nothing can be sent this way any more."""
        if lost is None:
            return False
        return self.link == lost.name if lost.kind == "link" else lost.name in (self.here, self.there)


@dataclass(frozen=True)
class Topology:
    """All edges by the router that sends and by the one that receives, in plan order; `through` lets others pass."""

    sends: Mapping[str, tuple[Edge, ...]]
    receives: Mapping[str, tuple[Edge, ...]]
    through: frozenset[str]


def topology_of(city: City) -> Topology:
    """The routers of the city and the two directions of each of its links."""
    lower = {(link.child, link.child_interface) for link in city.links}
    sends: dict[str, list[Edge]] = {}
    receives: dict[str, list[Edge]] = {host.name: [] for host in city.hosts.values() if host.router}
    for host in city.hosts.values():
        if not host.router:
            continue
        edges = sends[host.name] = []
        for item in host.interfaces:
            if item.peer_host is None or item.peer_interface is None or item.mbps is None:
                continue
            own, far = (host.name, item.name), (item.peer_host, item.peer_interface)
            name = ":".join(own if own in lower else far)
            edges.append(Edge(*own, item.peer_host, item.cost, item.mbps, item.medium, name))
            receives[item.peer_host].append(edges[-1])
    through = frozenset(name for name in sends if city.hosts[name].role in TRANSIT_ROLES)
    return Topology(
        {name: tuple(edges) for name, edges in sends.items()},
        {name: tuple(edges) for name, edges in receives.items()},
        through,
    )


@dataclass
class Ways:
    """The shortest ways of every router to the nearest of `targets`, with one element lost or none.

    `distance` is the whole city's, `whole` its ways, `changed` what the loss changes of it (None: cut off).
    The rest is remembered.
    """

    topology: Topology
    targets: frozenset[str]
    distance: Mapping[str, int]
    lost: Element | None = None
    whole: Ways | None = None
    changed: Mapping[str, int | None] = field(default_factory=dict)
    _hops: dict[str, tuple[Edge, ...]] = field(default_factory=dict)
    _into: dict[str, list[Edge]] = field(default_factory=dict)

    def cost(self, router: str) -> int | None:
        """The cost of the router's shortest way; None when it has none."""
        return self.changed[router] if router in self.changed else self.distance.get(router)

    def next_hops(self, router: str) -> tuple[Edge, ...]:
        """Where the router sends to: several where their ways cost the same, in plan order; none at a target."""
        found = self._hops.get(router)
        if found is None:
            found = self._hops[router] = tuple(self._find_hops(router))
        return found

    def _find_hops(self, router: str) -> Iterator[Edge]:
        if self.whole is not None and router not in self.changed:  # a loss makes no way shorter: some may be gone
            yield from (
                edge
                for edge in self.whole.next_hops(router)
                if edge.there not in self.changed and not edge.lost_with(self.lost)
            )
        elif own := self.cost(router):
            for edge in self.topology.sends[router]:
                beyond = self.cost(edge.there)
                if beyond is not None and beyond + edge.cost == own and not edge.lost_with(self.lost):
                    yield edge

    def without(self, lost: Element) -> Ways:
        """The ways when `lost` is lost too. Only for the ways of the whole city: one loss at a time."""
        cut = self._cut_by(lost)
        if lost.kind == "router":
            cut = {lost.name, *cut}
        changed: dict[str, int | None] = dict.fromkeys(cut)
        order = count()  # the heap never compares names
        heap = [
            (beyond + edge.cost, next(order), name)
            for name in cut
            for edge in self.topology.sends[name]
            if edge.there not in cut
            and (beyond := self.distance.get(edge.there)) is not None
            and not edge.lost_with(lost)
        ]
        heapify(heap)
        while heap:
            reached, _, name = heappop(heap)
            if changed[name] is not None:
                continue
            changed[name] = reached
            for edge in self.topology.receives[name]:
                if edge.here in cut and changed[edge.here] is None and not edge.lost_with(lost):
                    heappush(heap, (reached + edge.cost, next(order), edge.here))
        return Ways(self.topology, self.targets, self.distance, lost, self, changed)

    def _cut_by(self, lost: Element) -> set[str]:
        """The routers whose every shortest way leads over `lost`, without `lost` itself."""
        into = self._by_receiver()
        if lost.kind == "router":
            todo = list(into.get(lost.name, ()))
        else:
            child = lost.name.partition(":")[0]
            ends = {edge.there for edge in self.topology.sends[child] if edge.link == lost.name} | {child}
            todo = [edge for end in ends for edge in self.next_hops(end) if edge.link == lost.name]
        left: dict[str, int] = {}
        cut: set[str] = set()
        while todo:
            name = todo.pop().here
            left[name] = left.get(name, len(self.next_hops(name))) - 1
            if left[name] == 0:
                cut.add(name)
                todo += into.get(name, ())
        return cut

    def _by_receiver(self) -> dict[str, list[Edge]]:
        if not self._into:
            for name in self.distance:
                for edge in self.next_hops(name):
                    self._into.setdefault(edge.there, []).append(edge)
        return self._into


def ways_to(topology: Topology, targets: Iterable[str]) -> Ways:
    """The shortest ways of all routers to the nearest of `targets`, with nothing lost (Dijkstra, from the targets)."""
    chosen = frozenset(targets)
    distance: dict[str, int] = {}
    order = count()
    heap = [(0, next(order), name) for name in sorted(chosen)]
    while heap:
        reached, _, name = heappop(heap)
        if name in distance:
            continue
        distance[name] = reached
        for edge in topology.receives[name]:
            if edge.here not in distance:
                heappush(heap, (reached + edge.cost, next(order), edge.here))
    return Ways(topology, chosen, distance)
