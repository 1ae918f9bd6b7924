"""What changes when one link or router is lost: sites cut off, narrower paths, links that then carry too much.

The load of a link is a planning figure: the contracted bandwidths of the sites behind it, added up; none is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.plan.derived import City
from egovctl.plan.paths import CORE, Finder, Path, destinations
from egovctl.plan.routing import TRANSIT_ROLES, Edge, Element, Ways, topology_of


@dataclass(frozen=True)
class Move:
    """A router whose path to the core is another one after the loss."""

    site: str
    router: str
    before: Path
    after: Path

    @property
    def narrower(self) -> bool:
        """Whether it has less bandwidth than before."""
        return self.after.mbps < self.before.mbps


@dataclass(frozen=True)
class Load:
    """One direction of a link: the contracted Mbit/s of the sites whose path to the core it is, before and after."""

    edge: Edge
    before: float
    after: float

    @property
    def ratio(self) -> float:
        """After the loss, against the link's own bandwidth: more than 1 is more than it can carry at once."""
        return self.after / self.edge.mbps

    @property
    def ratio_before(self) -> float:
        """The same with nothing lost."""
        return self.before / self.edge.mbps


@dataclass(frozen=True)
class Loss:
    """The loss of `lost`. `cut_off` are the sites that then reach no core by any router of theirs.

    `moves` are all routers with another path; `overloads` the links that then carry more than before and more than
    they can, `planned` those that do so with nothing lost (their `after` is as `before`); the worst first.
    """

    lost: Element
    cut_off: tuple[str, ...]
    moves: tuple[Move, ...]
    overloads: tuple[Load, ...]
    planned: tuple[Load, ...]


def link_names(city: City) -> dict[str, str]:
    """How people name each link: `child-parent`, or `host:interface` where two links join the same routers."""
    pairs = Counter((link.child, link.parent) for link in city.links)
    names = {}
    for link in city.links:
        ends, exact = (link.child, link.parent), f"{link.child}:{link.child_interface}"
        names[exact] = "-".join(ends) if pairs[ends] == 1 else exact
    return names


def find_element(city: City, text: str) -> Element:
    """The router or link that `text` names; UsageError when nothing is called so, or more than one thing is."""
    found = {Element("router", host.name) for host in city.hosts.values() if host.router and host.name == text}
    for link in city.links:
        exact = f"{link.child}:{link.child_interface}"
        ends = (f"{link.child}-{link.parent}", f"{link.parent}-{link.child}")
        if text in (exact, f"{link.parent}:{link.parent_interface}", *ends):
            found.add(Element("link", exact))
    if len(found) == 1:
        return found.pop()
    if found:
        names = ", ".join(sorted(item.name for item in found))
        raise UsageError(
            tr(
                f"--without {text} 可指多个：请写其中之一：{names}",
                f"--without {text} can mean any of {names}: write one",
            )
        )
    raise UsageError(
        tr(
            f"--without {text}：规划中没有这样的路由器或链路；请写路由器名、下端-上端，或 主机:接口",
            f"--without {text}: the plan has no such router or link; write a router's name, CHILD-PARENT or "
            "HOST:INTERFACE",
        )
    )


def loss_of(city: City, lost: Element) -> Loss:
    """What the city's paths to the core become when this one thing is lost."""
    topology = topology_of(city)
    finder = Finder(topology, next(item.routers for item in destinations(city) if item.name == CORE))
    was: dict[str, bool] = {}  # site → whether any router of it reached a core, and whether one still does
    still: dict[str, bool] = {}
    moves = []
    for name in topology.sends:
        site = city.hosts[name].site
        before, after = finder.path(name), finder.path(name, lost)
        was[site] = was.get(site, False) or before is not None
        still[site] = still.get(site, False) or after is not None
        if before is not None and after is not None and before.hops != after.hops:
            moves.append(Move(site, name, before, after))
    cut_off = [site for site in was if was[site] and not still[site]]
    whole, left = loads_of(city, finder.ways()), loads_of(city, finder.ways(lost))
    overloads = _over(Load(edge, whole.get(edge, 0.0), load) for edge, load in left.items())
    planned = _over(Load(edge, load, load) for edge, load in whole.items())
    return Loss(
        lost, tuple(cut_off), tuple(moves), tuple(item for item in overloads if item.after > item.before), planned
    )


def _over(loads: Iterable[Load]) -> tuple[Load, ...]:
    """Those that carry more than they can, the worst first."""
    return tuple(sorted((load for load in loads if load.ratio > 1), key=lambda load: -load.ratio))


def loads_of(city: City, ways: Ways) -> dict[Edge, float]:
    """The contracted Mbit/s that each edge carries towards the core.

    A site brings what its first link is contracted for. Hubs bring nothing of their own: their links are there for the
    sites behind them. Where next hops are equal, each takes an equal part.
    """
    costs = {name: cost for name in ways.topology.sends if (cost := ways.cost(name)) is not None}
    brought = dict.fromkeys(costs, 0.0)
    loads: dict[Edge, float] = {}
    for name in sorted(costs, key=lambda item: -costs[item]):  # the farthest first: all that comes in is there by then
        hops = ways.next_hops(name)
        if hops and city.hosts[name].role not in TRANSIT_ROLES:
            brought[name] += min(hop.mbps for hop in hops)
        for hop in hops:
            loads[hop] = brought[name] / len(hops)
            brought[hop.there] += loads[hop]
    return loads
