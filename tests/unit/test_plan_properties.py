"""What holds for every good plan, tried on random ones.

If one of these fails, two hosts of some city would share an address, an extension of the network would renumber
offices that were not touched, or a fibre cut would take down more than was promised.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_cases import Data, cities, load_data, site

from egovctl.plan import City, Host
from egovctl.plan.survive import survival

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(cities())
def test_no_address_is_given_twice(data: Data) -> None:
    _, city = load_data(data)
    for family in ("v4", "v6"):
        given_out = [getattr(i, family).ip for host in city.hosts.values() for i in host.interfaces]
        assert len(given_out) == len(set(given_out))


@few
@given(cities())
def test_prefixes_are_disjoint(data: Data) -> None:
    _, city = load_data(data)
    for family in ("v4", "v6"):
        networks = [getattr(item, family) for item in (*city.lans, *city.links)]
        networks += [getattr(host.interfaces[0], family).network for host in city.hosts.values() if host.router]
        for one, other in pairwise(sorted(networks, key=lambda n: int(n.network_address))):
            assert int(one.broadcast_address) < int(other.network_address), (one, other)


@few
@given(cities())
def test_interfaces_have_good_names_and_agree_with_their_peers(data: Data) -> None:
    _, city = load_data(data)
    for host in city.hosts.values():
        names = [item.name for item in host.interfaces]
        assert len(names) == len(set(names))
        assert all(1 <= len(name) <= 15 for name in names)
        for item in host.interfaces:
            if item.peer_host is None or item.peer_interface is None:
                continue
            far = city.hosts[item.peer_host].interface(item.peer_interface)
            assert (far.peer_host, far.peer_interface) == (host.name, item.name)
            assert far.v4.network == item.v4.network and far.v6.network == item.v6.network
            assert far.mbps == item.mbps and far.upward + item.upward <= 1


def without_order(host: Host) -> tuple[object, ...]:
    """What of a host must stay when another site comes or goes: all but its downward ends and BGP peers there."""
    own = tuple(sorted(repr(item) for item in host.interfaces if item.upward or item.peer_host is None))
    return host.address_v4, host.address_v6, host.gateway_v4, host.index, own


@few
@given(cities(), st.data())
def test_removing_a_site_renumbers_nobody(data: Data, pick: st.DataObject) -> None:
    leaves = [item["name"] for item in data["sites"] if item["kind"] == "department"]
    if not leaves:
        return
    gone = pick.draw(st.sampled_from(leaves))
    smaller = deepcopy(data)
    smaller["sites"] = [item for item in smaller["sites"] if item["name"] != gone]
    assert_same_but(load_data(data)[1], load_data(smaller)[1], gone)


@few
@given(cities(), st.integers(0, 40))
def test_adding_a_site_renumbers_nobody(data: Data, place: int) -> None:
    number = next(n for n in range(1, 4001) if n not in {item["number"] for item in data["sites"]})
    bigger = deepcopy(data)
    bigger["sites"].insert(place, site(number, "county-0-education-annex", "department", ["hub-county-0"]))
    assert_same_but(load_data(bigger)[1], load_data(data)[1], "county-0-education-annex")


def assert_same_but(bigger: City, smaller: City, only: str) -> None:
    """All hosts, links and LANs of `smaller` are in `bigger` as they are; what is more there belongs to `only`."""
    assert set(bigger.hosts) - set(smaller.hosts) == {only}
    for name, host in smaller.hosts.items():
        assert without_order(host) == without_order(bigger.hosts[name])
        assert {peer.host for peer in bigger.hosts[name].bgp if peer not in host.bgp} <= {only}
        more = {repr(i) for i in bigger.hosts[name].interfaces} - {repr(i) for i in host.interfaces}
        assert {i.peer_host for i in bigger.hosts[name].interfaces if repr(i) in more} <= {only}
        assert {repr(i) for i in host.interfaces} <= {repr(i) for i in bigger.hosts[name].interfaces}
    assert set(smaller.links) == {link for link in bigger.links if link.child != only}
    assert set(smaller.lans) == {lan for lan in bigger.lans if lan.site != only}


def reached(city: City, lost: object) -> set[str]:
    """The routers that core1 reaches over all links but `lost`: a plain walk, to check networkx's answer by."""
    known, todo = {"core1"}, ["core1"]
    while todo:
        here = todo.pop()
        for link in city.links:
            if link is lost or here not in (link.child, link.parent):
                continue
            there = link.parent if here == link.child else link.child
            if there not in known:
                known.add(there)
                todo.append(there)
    return known


@few
@given(cities())
def test_one_lost_link_cuts_off_only_a_single_homed_site(data: Data) -> None:
    _, city = load_data(data)
    routers = {host.name for host in city.hosts.values() if host.router}
    result = survival(city)
    assert [loss.link for loss in result.links] == list(city.links)
    single = {item["name"] for item in data["sites"] if len(item["uplinks"]) == 1}
    assert set(result.single_homed) == single
    for loss in result.links:
        cut = routers - reached(city, loss.link)
        assert cut == {city.hosts[name].name for name in loss.cut_off}
        assert cut == ({loss.link.child} if loss.link.child in single else set())


@few
@given(cities())
def test_a_plan_s_revision_follows_its_data_alone(data: Data) -> None:
    again = {key: data[key] for key in sorted(data, reverse=True)}
    assert load_data(data)[0].revision == load_data(again)[0].revision
    again["city"] = {**again["city"], "asn": 64601}
    assert load_data(data)[0].revision != load_data(again)[0].revision
