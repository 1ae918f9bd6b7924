"""Paths and losses: on random plans against a plain search and networkx, on the inventories by what is known of them.

If one of these fails, an operator would be told that a site survives a cut that in truth takes it off the network.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_cases import Data, centre, cities, city_of, load_data, site
from rich.cells import cell_len
from test_plan_commands import CJK, egovctl  # noqa: F401 - a fixture

from egovctl.commands import plan_tables
from egovctl.errors import UsageError
from egovctl.paths import Inventory
from egovctl.plan import City, load_city
from egovctl.plan.loss import find_element, link_names, loads_of, loss_of
from egovctl.plan.paths import (
    Finder,
    Path,
    SitePaths,
    destinations,
    planned_next_hops,
    site_paths,
)
from egovctl.plan.routing import Edge, Element, Topology, topology_of, ways_to
from egovctl.plan.survive import survival

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROLES = {"core", "hub"}


@st.composite
def uneven(draw: st.DrawFn) -> Data:
    """A random city whose links differ in bandwidth, some so thin that the routing takes strange ways."""
    data = draw(cities())
    for item in data["sites"]:
        for uplink in item["uplinks"]:
            uplink["mbps"] = draw(st.sampled_from([1, 2, 10, 100, 100, 1000]))
        if item["kind"] == "core":
            item["interconnect_mbps"] = draw(st.sampled_from([1, 100, 10_000]))
    return data


def elements(city: City) -> list[Element]:
    links = [Element("link", f"{link.child}:{link.child_interface}") for link in city.links]
    return links + [Element("router", host.name) for host in city.hosts.values() if host.router]


def graph_of(city: City, lost: Element | None) -> Any:
    """The city from its interfaces alone, each direction with the cost of its sending end, without what is lost."""
    graph: Any = nx.DiGraph()
    for host in city.hosts.values():
        if not host.router or lost == Element("router", host.name):
            continue
        graph.add_node(host.name)
        for item in host.interfaces:
            ends = {f"{host.name}:{item.name}", f"{item.peer_host}:{item.peer_interface}"}
            cut = lost is not None and (lost.name in ends if lost.kind == "link" else lost.name == item.peer_host)
            if item.peer_host is not None and not cut:
                graph.add_edge(host.name, item.peer_host, cost=item.cost)
    return graph


def assert_path(city: City, graph: Any, path: Path, ends: frozenset[str]) -> None:
    """It is in the graph, leads from its router to an end, and is what it says it is."""
    nodes = [path.router, *path.routers]
    assert nx.is_path(graph, nodes) and nodes[-1] in ends and len(set(nodes)) == len(nodes)
    assert path.cost == sum(graph[one][two]["cost"] for one, two in pairwise(nodes))
    shown = [city.hosts[hop.here].interface(hop.interface) for hop in path.hops]
    assert [item.peer_host for item in shown] == nodes[1:]
    assert path.mbps <= min(item.mbps or 0 for item in shown)
    if path.blocked_by is None:
        assert all(city.hosts[name].role in ROLES for name in nodes[1:-1])


def all_shortest(graph: Any, router: str, ends: frozenset[str]) -> list[list[str]]:
    """Every shortest path to the nearest end, by trying all simple paths."""
    best: list[list[str]] = []
    least = None
    for nodes in (p for end in ends if end in graph for p in nx.all_simple_paths(graph, router, end)):
        if ends & set(nodes[:-1]):
            continue
        cost = sum(graph[one][two]["cost"] for one, two in pairwise(nodes))
        if least is None or cost < least:
            least, best = cost, []
        if cost == least:
            best.append(nodes)
    return best


@few
@given(uneven(), st.data())
def test_a_path_is_in_the_graph_and_none_is_cheaper_after_any_loss(data: Data, pick: st.DataObject) -> None:
    _, city = load_data(data)
    destination = pick.draw(st.sampled_from(destinations(city)))
    lost = pick.draw(st.none() | st.sampled_from(elements(city)))
    graph, ends = graph_of(city, lost), frozenset(destination.routers)
    finder = Finder(topology_of(city), destination.routers)
    reached = (
        nx.multi_source_dijkstra_path_length(graph.reverse(), ends & set(graph), weight="cost")
        if ends & set(graph)
        else {}
    )
    for name in topology_of(city).sends:
        path = finder.routed(name, lost)
        if name not in reached:
            assert path is None, name
        elif name not in ends:
            assert path is not None and path.cost == reached[name]
            assert_path(city, graph, path, ends)


@few
@given(uneven(), st.data())
def test_equal_paths_are_counted_and_the_narrowest_of_them_is_told(data: Data, pick: st.DataObject) -> None:
    _, city = load_data(data)
    if len(city.links) > 25:  # all simple paths of a larger city are too many to try
        return
    destination = pick.draw(st.sampled_from(destinations(city)))
    router = pick.draw(st.sampled_from([n for n in topology_of(city).sends if n not in destination.routers]))
    graph, ends = graph_of(city, None), frozenset(destination.routers)
    path = Finder(topology_of(city), destination.routers).routed(router)
    found = all_shortest(graph, router, ends)
    assert path is not None and path.equal == len(found) and [path.router, *path.routers] in found
    mbps = {(link.child, link.parent): link.mbps for link in city.links}
    mbps |= {(link.parent, link.child): link.mbps for link in city.links}
    assert path.mbps == min(mbps[pair] for nodes in found for pair in pairwise(nodes))
    walls = {n for nodes in found for n in nodes[1:-1] if city.hosts[n].role not in ROLES}
    assert (path.blocked_by is None) == (not walls) and (path.blocked_by is None or path.blocked_by in walls)


@few
@given(uneven())
def test_a_backup_avoids_what_is_lost_and_a_single_homed_site_has_none(data: Data) -> None:
    _, city = load_data(data)
    single = set(survival(city).single_homed)
    for item in site_paths(city, destinations(city)):
        if item.primary is None:
            assert item.blocked_by is not None  # a good plan is connected
            continue
        links = {hop.link for hop in item.primary.hops}
        assert {b.lost.name for b in item.backups if b.lost.kind == "link"} == links
        for backup in item.backups:
            if backup.path is not None:
                assert not any(hop.lost_with(backup.lost) for hop in backup.path.hops)
        assert item.single_homed == (item.site in single)
        if item.single_homed:
            assert not item.link_disjoint and item.narrowest is None and item.backups[0].path is None


@few
@given(cities())
def test_losses_agree_with_the_graph_s_connections(data: Data) -> None:
    _, city = load_data(data)
    assert_survival(city)


def assert_survival(city: City) -> None:
    """What survive.py finds by connection alone, where no department is needed as a way for others."""
    found = survival(city)
    for loss in found.links:
        lost = Element("link", f"{loss.link.child}:{loss.link.child_interface}")
        assert loss_of(city, lost).cut_off == loss.cut_off
    for router in found.routers:
        own = {city.hosts[router.router].site}
        assert set(loss_of(city, Element("router", router.router)).cut_off) - own == set(router.cut_off) - own


@few
@given(uneven(), st.data())
def test_loads_add_up_at_the_cores(data: Data, pick: st.DataObject) -> None:
    _, city = load_data(data)
    lost = pick.draw(st.sampled_from(elements(city)))
    ways = ways_to(topology_of(city), destinations(city)[0].routers).without(lost)
    loads = loads_of(city, ways)
    brought = sum(
        min(hop.mbps for hop in ways.next_hops(name))
        for name in ways.topology.sends
        if city.hosts[name].role not in ROLES and ways.next_hops(name)
    )
    assert sum(load for edge, load in loads.items() if edge.there in ways.targets) == pytest.approx(brought)


def test_every_inventory_agrees_with_what_survives() -> None:
    for name in ("lab", "wuwei", "lab-private", "wuwei-private"):
        assert_survival(load_city(Inventory.find(name)))


def lab_paths() -> dict[tuple[str, str], SitePaths]:
    city = load_city(Inventory.find("lab"))
    return {(item.router, item.destination): item for item in site_paths(city, destinations(city))}


def test_the_lab_s_paths_are_those_that_its_plan_means() -> None:
    paths = lab_paths()
    school = paths["minqin-education", "core"]
    assert school.primary is not None and school.primary.routers == ("hub-minqin", "core1")
    assert (school.primary.mbps, school.primary.equal, school.primary.tunnel) == (100, 1, False)
    assert school.cut_by == (Element("link", "minqin-education:up0"), Element("router", "hub-minqin"))
    town = paths["town-caiqi", "backup"].primary
    assert town is not None and town.tunnel and town.mbps == 20 and town.routers == ("hub-minqin", "core1", "backup")
    hub = paths["hub-minqin", "core1"]
    assert [b.path and b.path.routers for b in hub.backups] == [("core2", "core1")]
    assert {item[1] for item in paths} == {"core", "core1", "core2", "noc", "backup", "shared-services"}


def small(*more: Data) -> Data:
    return city_of([*centre([1, 2, 3]), *more], ["north"])


def two_uplinks(number: int, name: str, kind: str, slots: tuple[int, int], **more: Any) -> Data:
    """A site with 100 Mbit/s to each core; an uplink costs its slot more."""
    uplinks = [{"to": f"core{k}", "mbps": 100, "slot": slot} for k, slot in enumerate(slots, start=1)]
    return site(number, name, kind, **more) | {"uplinks": uplinks}


def test_equal_ways_are_said_as_such() -> None:
    hub = two_uplinks(11, "hub", "hub", (0, 1), county="north")
    uneven = two_uplinks(12, "uneven", "services", (0, 1))
    even = two_uplinks(13, "even", "services", (1, 0))
    _, city = load_data(small(hub, uneven, even))
    topology = topology_of(city)
    one, two = Finder(topology, ("uneven",)).path("hub"), Finder(topology, ("even",)).path("hub")
    assert one is not None and (one.equal, one.routers) == (1, ("core1", "uneven"))
    assert two is not None and (two.equal, two.routers) == (2, ("core1", "even"))
    assert [edge.there for edge in ways_to(topology, ("even",)).next_hops("hub")] == ["core1", "core2"]
    assert [edge.there for edge in planned_next_hops(city)["hub"]["core2"]] == ["core2"]


def test_a_way_over_a_department_is_none_and_its_firewall_is_named() -> None:
    """The hub's own uplinks are so thin that the routing prefers a department's, which lets nobody through."""
    hub = site(11, "hub", "hub", county="north") | {"uplinks": [{"to": "core1", "mbps": 1}, {"to": "core2", "mbps": 1}]}
    data = small(hub, site(21, "office", "department", ["hub", "core2"], county="north"))
    _, city = load_data(data)
    found = {item.router: item for item in site_paths(city, destinations(city)[:1])}
    assert found["hub"].primary is None and found["hub"].blocked_by == "office"
    assert found["office"].primary is not None


def test_what_cannot_be_lost_is_one_sentence() -> None:
    city = load_city(Inventory.find("lab"))
    for text in ("core3", "hub-minqin:up7", "core1-noc-x", "", "control"):
        with pytest.raises(UsageError, match="no such router or link"):
            find_element(city, text)
    assert find_element(city, "hub-minqin") == Element("router", "hub-minqin")
    link = Element("link", "hub-minqin:up0")
    downward = next(item.name for item in city.hosts["core1"].interfaces if item.peer_host == "hub-minqin")
    for text in ("hub-minqin-core1", "core1-hub-minqin", "hub-minqin:up0", f"core1:{downward}"):
        assert find_element(city, text) == link
    assert Counter(link_names(city).values()).most_common(1)[0][1] == 1


def test_a_name_that_is_a_router_and_a_link_is_asked_back() -> None:
    sites = (site(21, "a", "department", ["hub-b"], county="north"), site(22, "a-hub-b", "department", ["core1"]))
    _, city = load_data(small(site(11, "hub-b", "hub", ["core1", "core2"], county="north"), *sites))
    with pytest.raises(UsageError, match="can mean any of a-hub-b, a:up0"):
        find_element(city, "a-hub-b")
    assert find_element(city, "a:up0").kind == "link"


def test_losing_a_core_moves_the_county_to_the_other_uplink() -> None:
    city = load_city(Inventory.find("lab"))
    loss = loss_of(city, find_element(city, "core1"))
    assert loss.cut_off == () and not any(move.narrower for move in loss.moves)
    (load,) = loss.overloads
    assert (load.edge.here, load.edge.there, load.after, load.edge.mbps) == ("hub-minqin", "core2", 280, 200)
    (planned,) = loss.planned
    assert (planned.edge.there, planned.ratio) == ("core1", 1.4)
    assert loss_of(city, find_element(city, "hub-minqin")).cut_off[0] == "hub-minqin"


def test_a_thin_second_uplink_is_told_as_a_narrower_path() -> None:
    office = site(21, "office", "department") | {"uplinks": [{"to": "core1", "mbps": 100}, {"to": "core2", "mbps": 10}]}
    _, city = load_data(small(office))
    (move,) = [m for m in loss_of(city, find_element(city, "office-core1")).moves if m.narrower]
    assert (move.site, move.before.mbps, move.after.mbps) == ("office", 100, 10)


@pytest.mark.parametrize("arguments", [(), ("--site", "minqin-education"), ("--without", "core1")])
def test_tables_are_readable_at_80_columns_in_both_languages(
    egovctl: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.setattr(plan_tables, "WIDTH_WHEN_PIPED", 80)
    for language in ("zh", "en"):
        code, out, err = egovctl("plan", "paths", "-i", "wuwei", *arguments, lang=language)
        assert (code, err, bool(CJK.search(out))) == (0, "", language == "zh")
        assert max(cell_len(line.rstrip()) for line in out.splitlines()) <= 80
        assert "hub-minqin" in out


def test_json_has_stable_keys(egovctl: Any) -> None:  # noqa: F811
    _, out, _ = egovctl("plan", "paths", "-i", "lab", "--format", "json")
    data = json.loads(out)
    assert list(data) == ["inventory", "revision", "destinations", "paths"]
    assert list(data["paths"][0]) == [
        "site", "router", "destination", "single_homed", "link_disjoint", "node_disjoint", "primary", "blocked_by",
        "narrowest_backup", "cut_by", "backups",
    ]  # fmt: skip
    assert list(data["paths"][0]["primary"]) == ["routers", "interfaces", "cost", "mbps", "equal", "tunnel"]
    _, out, _ = egovctl("plan", "paths", "-i", "lab", "--without", "hub-minqin-core1", "--format", "json")
    data = json.loads(out)
    assert list(data) == [
        "inventory",
        "revision",
        "lost",
        "cut_off",
        "moved",
        "overloads",
        "overloads_with_nothing_lost",
    ]
    assert data["lost"] == {"kind": "link", "name": "hub-minqin-core1"}
    assert list(data["overloads"][0]) == [
        "link", "from", "to", "mbps", "contracted_behind_mbps", "ratio", "ratio_before",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--site", "nowhere"), "error: the plan has no site nowhere\n"),
        (("--without", "nothing"), "error: --without nothing: the plan has no such router or link; "),
        (("--site", "noc", "--without", "core1"), "error: --site and --without do not go together"),
    ],
)
def test_a_wrong_call_is_one_sentence(egovctl: Any, arguments: tuple[str, ...], sentence: str) -> None:  # noqa: F811
    code, out, err = egovctl("plan", "paths", "-i", "lab", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith(sentence)
    code, _, err = egovctl("plan", "paths", "-i", "lab", *arguments, lang="zh")
    assert code == 2 and CJK.search(err)


def test_a_long_chain_of_routers_is_no_deep_recursion() -> None:
    names = [f"r{i}" for i in range(3000)]
    edges = {
        one: (Edge(one, "up0", two, 1, 100, "line", f"{one}:up0"),) for one, two in zip(names[1:], names, strict=False)
    }
    sends = {**edges, "r0": ()}
    receives = {edge.there: (edge,) for some in edges.values() for edge in some} | {names[-1]: ()}
    path = Finder(Topology(sends, receives, frozenset(names)), ("r0",)).path(names[-1])
    assert path is not None and path.cost == 2999
