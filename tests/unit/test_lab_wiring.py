"""The lab on paper: what is plugged into what, for the lab inventory as it is planned."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from egovctl.errors import UsageError
from egovctl.lab import network
from egovctl.lab.facts import facts_of
from egovctl.lab.names import FABRIC, LabNames, port_base
from egovctl.lab.wiring import INTERNET, MANAGEMENT, Wiring, forwards_of, kind_of, wiring_of
from egovctl.paths import Inventory
from egovctl.plan import City, load_city


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(Inventory.find("lab"))


@pytest.fixture(scope="module")
def wiring(city: City) -> Wiring:
    return wiring_of(city)


def test_every_veth_joins_two_namespaces_of_the_lab(wiring: Wiring) -> None:
    for wire in wiring.wires:
        assert wire.a[0] in wiring.namespaces and wire.b[0] in wiring.namespaces
        assert wire.a != wire.b


def test_interface_names_are_unique_in_their_namespace_and_fit_linux(wiring: Wiring) -> None:
    ends = [end for wire in wiring.wires for end in (wire.a, wire.b)]
    ends += [(FABRIC, bridge) for bridge in wiring.bridges]
    assert [end for end, times in Counter(ends).items() if times > 1] == []
    assert all(len(name) <= 15 for _, name in ends)


def test_each_planned_interface_exists(city: City, wiring: Wiring) -> None:
    ends = {end for wire in wiring.wires for end in (wire.a, wire.b)}
    for name in wiring.hosts:
        for interface in city.hosts[name].interfaces:
            made_there = interface.role == "loopback" or interface.medium == "tunnel"
            assert made_there != ((name, interface.name) in ends)


def test_links_carry_the_planned_bandwidth(city: City, wiring: Wiring) -> None:
    shaped = {frozenset((wire.a, wire.b)): wire.mbps for wire in wiring.wires if wire.mbps}
    planned = {
        frozenset(((link.child, link.child_interface), (link.parent, link.parent_interface))): link.mbps
        for link in city.links
        if link.medium == "line"
    }
    assert shaped == planned


def test_every_attachment_is_on_the_untrusted_bridge_and_nothing_else_is(city: City, wiring: Wiring) -> None:
    peers = {wire.a[1]: wire.b for wire in wiring.wires if wire.a[0] == FABRIC}
    attached = {peers[port.interface] for port in wiring.ports if port.bridge == INTERNET}
    assert attached == {(host.name, "wan0") for host in city.hosts.values() if host.outside}
    assert wiring.internet == "203.0.113.254/24"
    assert "addr replace 203.0.113.254/24 dev internet" in network.commands(facts_of(wiring))[FABRIC]


def test_only_control_sees_the_others_on_the_management_bridge(wiring: Wiring) -> None:
    open_ports = [port for port in wiring.ports if port.bridge == MANAGEMENT and not port.isolated]
    peers = {wire.a[1]: wire.b[0] for wire in wiring.wires if wire.a[0] == FABRIC}
    assert [peers[port.interface] for port in open_ports] == ["control"]


def test_a_guest_but_control_gets_no_address_but_management(wiring: Wiring) -> None:
    assert set(wiring.bare) == {"control", "switch-minqin"}
    lines = network.commands(facts_of(wiring))
    for name, host in wiring.hosts.items():
        added = [line.split()[-1] for line in lines[name] if line.startswith("addr replace")]
        routes = [line for line in lines[name] if line.startswith("route")]
        if host.kind == "guest" and name != "control":
            assert added == [MANAGEMENT] and routes == []
        else:
            assert sorted(added) == ["lan0", "lan0", MANAGEMENT]
            assert len(routes) == 2


def test_hosts_that_are_not_linux_are_named_not_booted(city: City) -> None:
    hub = replace(city.hosts["hub-minqin"], platform="vrp8")
    other = replace(city, hosts={**city.hosts, "hub-minqin": hub})
    assert kind_of(hub) is None
    wiring = wiring_of(other)
    assert wiring.skipped == ("hub-minqin",)
    assert all("hub-minqin" not in (wire.a[0], wire.b[0]) for wire in wiring.wires)


def test_the_digest_tells_another_bandwidth(city: City, wiring: Wiring) -> None:
    assert wiring_of(city).digest == wiring.digest
    slower = replace(city, links=(replace(city.links[0], mbps=1), *city.links[1:]))
    assert wiring_of(slower).digest != wiring.digest


def test_forwards_lead_to_the_noc_and_move_with_the_base(city: City) -> None:
    assert [(item.port, item.host, item.target_port) for item in forwards_of(city, 19000)] == [
        (19090, "noc", 9090),
        (19116, "noc", 9116),
    ]
    without = replace(city, hosts={name: host for name, host in city.hosts.items() if host.role != "noc"})
    assert forwards_of(without, 19000) == ()


@pytest.mark.parametrize("value", ["", "80", "x", "70000"])
def test_a_bad_port_base_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("EGOV_LAB_PORT_BASE", value)
    with pytest.raises(UsageError, match="EGOV_LAB_PORT_BASE"):
        port_base()


@pytest.mark.parametrize("mbps", [1, 100, 10_000])
def test_a_shaper_lets_an_offloaded_packet_through(mbps: int) -> None:
    words = network.shape_command("up0", mbps).split()
    assert f"{mbps}mbit" in words
    assert int(words[words.index("burst") + 1]) >= 65_536


@pytest.mark.parametrize("name", ["Lab", "a_b", "-x", "x" * 30, "a.b"])
def test_a_folder_name_that_no_namespace_can_carry_is_refused(tmp_path, name: str) -> None:
    with pytest.raises(UsageError, match="rename it"):
        LabNames.of(Inventory(tmp_path / name))
