"""What the city keeps when one thing is lost: each link, each router. Pure graph work over the derived city."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import networkx as nx

from egovctl.plan.derived import City, Link


@dataclass(frozen=True)
class LinkLoss:
    """The loss of one link; `cut_off` are the sites that then cannot reach the core, in plan order."""

    link: Link
    cut_off: tuple[str, ...]


@dataclass(frozen=True)
class RouterLoss:
    """The loss of one router; `cut_off` are the other sites that then cannot reach the core, in plan order."""

    router: str
    cut_off: tuple[str, ...]


@dataclass(frozen=True)
class Survival:
    """Every link and every router of the city, each lost alone; `single_homed` are the sites with one uplink."""

    links: tuple[LinkLoss, ...]
    routers: tuple[RouterLoss, ...]
    single_homed: tuple[str, ...]


def survival(city: City) -> Survival:
    """What is cut off from the core when each link and each router is lost, one at a time."""
    graph: Any = nx.Graph()
    graph.add_nodes_from(host.name for host in city.hosts.values() if host.router)
    graph.add_edges_from((link.child, link.parent) for link in city.links)
    cores = [host.name for host in city.hosts.values() if host.role == "core"]
    parallel = Counter(frozenset((link.child, link.parent)) for link in city.links)
    bridges = {frozenset(edge) for edge in nx.bridges(graph) if parallel[frozenset(edge)] == 1}
    links = []
    for link in city.links:
        edge = frozenset((link.child, link.parent))
        lost = (
            _unreachable(nx.restricted_view(graph, (), [(link.child, link.parent)]), cores) if edge in bridges else ()
        )
        links.append(LinkLoss(link, _sites(city, lost)))
    routers = [
        RouterLoss(name, _sites(city, _unreachable(nx.restricted_view(graph, (name,), ()), cores))) for name in graph
    ]
    return Survival(tuple(links), tuple(routers), _single_homed(city))


def _unreachable(graph: Any, cores: list[str]) -> frozenset[str]:
    """The routers that reach none of the cores that are left."""
    reached: set[str] = set()
    for core in cores:
        if core in graph and core not in reached:
            reached |= nx.node_connected_component(graph, core)
    return frozenset(set(graph) - reached)


def _sites(city: City, routers: frozenset[str] | tuple[str, ...]) -> tuple[str, ...]:
    sites = (host.site for host in city.hosts.values() if host.name in routers)
    return tuple(dict.fromkeys(sites))


def _single_homed(city: City) -> tuple[str, ...]:
    return tuple(
        host.site
        for host in city.hosts.values()
        if host.router and host.role != "core" and sum(item.upward for item in host.interfaces) == 1
    )
