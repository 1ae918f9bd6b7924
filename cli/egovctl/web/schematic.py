"""The network as a drawing: the centre in the middle, hubs beside it, all other sites in two columns outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from egovctl.web.atlas import CITY, Atlas

WIDTH, ROW, MARGIN = 1840, 22, 26
CENTRE = WIDTH / 2
HUB, LEAF = 250, 520  # how far from the centre
FILLED = 38  # rows: a small city fills a screen as well


@dataclass(frozen=True)
class Node:
    """A site on the drawing; `side` is -1 left, 0 centre, 1 right."""

    site: str
    x: float
    y: float
    side: int
    hub: bool


@dataclass(frozen=True)
class Edge:
    """A link on the drawing, as a path; `shift` sets links between the same two sites apart."""

    link: str
    path: str
    middle: tuple[float, float]


@dataclass(frozen=True)
class Schematic:
    """Where everything is. A pure function of the plan: nothing moves when something fails."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: float
    height: float


def schematic(atlas: Atlas) -> Schematic:
    """The drawing of this city."""
    parents = {place.name: {parent.site for parent in place.parents} - {place.name} for place in atlas.topology.places}
    tops = [site for site, above in parents.items() if not above]
    above_somebody = {site for above in parents.values() for site in above}
    hubs = [site for site in parents if site in above_somebody and site not in tops]
    sides = _sides(atlas, tops, hubs, parents)
    rows = max(1, *(len(leaves) for leaves in sides.values()))
    height = max(rows, FILLED) * ROW + 2 * MARGIN
    nodes: dict[str, Node] = {}
    for side, leaves in sides.items():
        gap = (height - 2 * MARGIN) / max(1, len(leaves))
        for number, site in enumerate(leaves):
            nodes[site] = Node(site, CENTRE + side * LEAF, MARGIN + (number + 0.5) * gap, side, False)
    for number, site in enumerate(tops):
        nodes[site] = Node(site, CENTRE, height * (number + 1) / (len(tops) + 1), 0, True)
    for site in hubs:
        below = [nodes[leaf] for leaf, above in parents.items() if site in above and leaf in nodes]
        side = below[0].side if below else 1
        middle = sum(node.y for node in below) / len(below) if below else height / 2
        nodes[site] = Node(site, CENTRE + side * HUB, middle, side, True)
    return Schematic(tuple(nodes.values()), tuple(_edges(atlas, nodes)), WIDTH, height)


def _sides(atlas: Atlas, tops: list[str], hubs: list[str], parents: Mapping[str, set[str]]) -> dict[int, list[str]]:
    """The leaves of each side: a county stays together, the city's own sites even the two sides out."""
    sides: dict[int, list[str]] = {-1: [], 1: []}
    inner = {*tops, *hubs}
    for county in atlas.counties:
        if county != CITY:
            leaves = [site for site in atlas.sites_of(county) if site not in inner]
            leaves.sort(key=lambda site: sorted(parents[site]))
            min(sides.values(), key=len).extend(leaves)
    for site in atlas.sites_of(CITY):
        if site not in inner:
            min(sides.values(), key=len).append(site)
    return sides


def _edges(atlas: Atlas, nodes: Mapping[str, Node]) -> list[Edge]:
    seen: dict[tuple[str, str], int] = {}
    found = []
    for link in atlas.topology.links:
        child, parent = nodes.get(link.site), nodes.get(link.peer_site)
        if child is None or parent is None or child == parent:
            continue
        number = seen.get((link.site, link.peer_site), 0)
        seen[link.site, link.peer_site] = number + 1
        shift = ((number + 1) // 2) * (7 if number % 2 else -7)
        half = (child.x + parent.x) / 2
        path = (
            f"M{parent.x:.0f},{parent.y + shift:.1f} C{half:.0f},{parent.y + shift:.1f}"
            f" {half:.0f},{child.y + shift / 2:.1f} {child.x:.0f},{child.y + shift / 2:.1f}"
        )
        found.append(Edge(link.name, path, (half, (child.y + parent.y) / 2 + shift)))
    return found
