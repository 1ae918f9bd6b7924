"""What hangs on what, as seen from the NOC: the facts that alerts subtract by, decided here and printed by a template.

A site's parents are the routers that its uplinks lead to. What nobody measures cannot be seen dead, so in its place
stand its own parents. Behind a site (or a router) are the sites that the NOC cannot reach without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import networkx as nx

from egovctl.plan import City, Host, Plan
from egovctl.plan.models import Maintenance, Short, Text
from egovctl.plan.routing import TRANSIT_ROLES

LABEL_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


@dataclass(frozen=True)
class Place:
    """A site, and the routers that it hangs on (none: it is the top, or nothing above it is measured)."""

    name: str
    county: str | None
    title: Text
    parents: tuple[Host, ...]
    short: Short | None = None


@dataclass(frozen=True)
class End:
    """One end of a link: `end` says whether it is the lower one, whose site number gave the addresses."""

    host: Host
    interface: str
    end: str


@dataclass(frozen=True)
class Contract:
    """A link by its lower end, with the bandwidth that was contracted."""

    name: str
    site: str
    peer_site: str
    county: str | None
    medium: str
    bits_per_second: int
    ends: tuple[End, End]


@dataclass(frozen=True)
class Window:
    """When somebody works at a site or on a service, as PromQL over the time."""

    name: str
    times: str


@dataclass(frozen=True)
class Topology:
    """All that the NOC's rules need of the plan.

    `watched` tell of themselves (role watch), and from `clocks` the others have the time. `behind` are (site, site
    without which it is cut off); so `behind_host` for the routers of sites that have several.
    """

    places: tuple[Place, ...]
    hosts: tuple[Host, ...]
    watched: tuple[Host, ...]
    clocks: tuple[Host, ...]
    links: tuple[Contract, ...]
    behind: tuple[tuple[str, str], ...]
    behind_host: tuple[tuple[str, str], ...]
    site_windows: tuple[Window, ...]
    service_windows: tuple[Window, ...]


def topology_for_rules(plan: Plan, city: City) -> Topology:
    """The city's topology for its NOC."""
    routers: dict[str, list[Host]] = defaultdict(list)
    for host in city.hosts.values():
        if host.router:
            routers[host.site].append(host)
    places = tuple(
        Place(site.name, site.county, site.title, _parents(city, routers[site.name]), site.short) for site in plan.sites
    )
    behind, behind_host = _behind(city, routers)
    return Topology(
        places,
        tuple(host for host in city.hosts.values() if is_measured(host)),
        tuple(host for host in city.hosts.values() if host.manages("watch") and host.manages("node_exporter")),
        tuple(host for host in city.hosts.values() if host.role == "core" and host.manages("base")),
        tuple(_contracts(city)),
        behind,
        behind_host,
        _windows((item.site, item) for item in plan.maintenance),
        _windows((item.service, item) for item in plan.maintenance),
    )


def is_measured(host: Host) -> bool:
    """Whether Prometheus asks anything of this host over the network; control is asked nothing."""
    watched = host.manages("node_exporter") or host.manages("snmpd") or "platform_unmanaged" in host.groups
    return host.role != "control" and watched


def _parents(city: City, routers: Iterable[Host]) -> tuple[Host, ...]:
    """The measured routers that these hang on, in plan order."""
    found: dict[str, Host] = {}
    seen: set[str] = set()
    todo = list(routers)
    own = {host.site for host in todo}
    while todo:
        host = todo.pop(0)
        for interface in host.interfaces:
            peer = city.hosts.get(interface.peer_host or "")
            if not interface.upward or peer is None or peer.site in own or peer.name in seen:
                continue
            seen.add(peer.name)
            if is_measured(peer):
                found[peer.name] = peer
            else:
                todo.append(peer)
    return tuple(found.values())


def _contracts(city: City) -> Iterable[Contract]:
    for link in city.links:
        child, parent = city.hosts[link.child], city.hosts[link.parent]
        yield Contract(
            f"{link.child}:{link.child_interface}",
            child.site,
            parent.site,
            child.county,
            link.medium,
            link.mbps * 1_000_000,
            (End(child, link.child_interface, "lower"), End(parent, link.parent_interface, "upper")),
        )


def _behind(
    city: City, routers: Mapping[str, list[Host]]
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """(site, what it is behind) for sites, and for the single routers of sites that have several."""
    start = next((host.name for host in city.hosts.values() if host.role == "noc" and host.router), None)
    if start is None:
        return (), ()
    graph: Any = nx.DiGraph()
    for link in city.links:
        for here, there in ((link.child, link.parent), (link.parent, link.child)):
            # Others' traffic goes through cores and hubs only; what the NOC asks begins at the NOC.
            if here == start or city.hosts[here].role in TRANSIT_ROLES:
                graph.add_edge(here, there)
    above = nx.immediate_dominators(graph, start) if start in graph else {}
    single: dict[tuple[str, str], None] = {}
    several: dict[tuple[str, str], None] = {}
    for site, own in routers.items():
        chains = [set(_chain(above, host.name)) for host in own if host.name in above]
        for name in sorted(set.intersection(*chains)) if chains else ():
            there = city.hosts[name].site
            if there == site or name == start:
                continue
            if len(routers[there]) == 1:
                single[site, there] = None
            else:
                several[site, name] = None
    for pair in _behind_pairs(graph, start, routers):
        single[pair] = None
    return tuple(single), tuple(several)


def _behind_pairs(graph: Any, start: str, routers: Mapping[str, list[Host]]) -> Iterable[tuple[str, str]]:
    """(site, site of several routers that it is behind when all of them are lost at once)."""
    for site, own in routers.items():
        if len(own) < 2 or any(host.name == start for host in own):
            continue
        left = nx.restricted_view(graph, [host.name for host in own], [])
        reached = {start} | (nx.descendants(left, start) if start in left else set())
        for other, theirs in routers.items():
            if other != site and not any(host.name in reached for host in theirs):
                yield other, site


def _chain(above: Mapping[str, str | None], name: str) -> Iterable[str]:
    """The routers without which this one cannot be reached, itself left out."""
    while (there := above.get(name)) not in (None, name):
        name = str(there)
        yield name


def _windows(items: Iterable[tuple[str | None, Maintenance]]) -> tuple[Window, ...]:
    times: dict[str, list[str]] = defaultdict(list)
    for name, item in items:
        if name is not None:
            times[name].append(f"vector(time()) >= {_seconds(item.begin)} < {_seconds(item.end)}")
    return tuple(Window(name, " or ".join(texts)) for name, texts in sorted(times.items()))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def label_value(text: str) -> str:
    """A title as a label's value in quotes; the plan lets no control characters into it."""
    return f'"{text.translate(LABEL_ESCAPES)}"'
