"""From one lab to another in steps: on a kernel of paper that keeps to the real one's rules.

If these fail, `lab grow` makes an interface twice, leaves one behind, or forgets what went along with something else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_cases import Data, cities, city_of, load_data, site

from egovctl.lab import facts as lab_facts
from egovctl.lab.facts import PROCESSES, Fact, Steps, facts_of, steps
from egovctl.lab.names import FABRIC, LabNames
from egovctl.lab.wiring import forwards_of, management_addresses, wiring_of
from egovctl.paths import Inventory
from egovctl.plan import load_city

End = tuple[str, str]


@dataclass
class Kernel:
    """What is there. A namespace takes its interfaces along, an interface its addresses; making twice is an error."""

    spaces: set[str] = field(default_factory=set)
    bridges: set[str] = field(default_factory=set)
    peers: dict[End, End] = field(default_factory=dict)
    rest: set[Fact] = field(default_factory=set)
    restarted: list[str] = field(default_factory=list)

    def facts(self) -> frozenset[Fact]:
        wires = {Fact("wire", (*one, *other)) for one, other in self.peers.items()}
        return frozenset(
            {Fact("netns", (name,)) for name in self.spaces}
            | {Fact("bridge", (name,)) for name in self.bridges}
            | self.rest
            | wires
        )

    def ends(self) -> set[End]:
        return set(self.peers) | {(FABRIC, name) for name in self.bridges}

    def take(self, fact: Fact) -> None:
        match fact.kind, fact.words:
            case "netns", (name,):
                for end in [end for end in self.peers if end[0] == name]:
                    self._unplug(end)
                assert not [item for item in self.rest if item.kind in PROCESSES and f"netns {name}" in item.needs]
                self.rest = {item for item in self.rest if item.kind in PROCESSES or item.words[0] != name}
                self.spaces.discard(name)
            case "bridge", (name,):
                self.bridges.discard(name)
                self._lose((FABRIC, name))
            case "wire", (one, first, other, second):
                self._unplug((one, first))
                self._unplug((other, second))
            case _:
                self.rest.discard(fact)
                if fact.kind == "address":
                    self._lose_routes(fact.words[0])

    def _unplug(self, end: End) -> None:
        if (other := self.peers.pop(end, None)) is not None:
            self.peers.pop(other, None)
            self._lose(end)
            self._lose(other)

    def _lose(self, end: End) -> None:
        def stays(fact: Fact) -> bool:
            return not (fact.kind in ("shape", "address") and fact.words[:2] == end) and not (
                fact.kind == "port" and end[0] == FABRIC and end[1] in fact.words[:2]
            )

        lost = {fact for fact in self.rest if not stays(fact)}
        self.rest -= lost
        for fact in lost:
            if fact.kind == "address":
                self._lose_routes(fact.words[0])

    def _lose_routes(self, name: str) -> None:
        self.rest = {fact for fact in self.rest if not (fact.kind == "route" and fact.words[0] == name)}

    def put(self, fact: Fact) -> None:
        match fact.kind, fact.words:
            case "netns", (name,):
                self.spaces.add(name)
            case "bridge", (name,):
                assert FABRIC in self.spaces
                self.bridges.add(name)
            case "wire", (one, first, other, second):
                ends = (one, first), (other, second)
                assert {one, other} <= self.spaces, f"no namespace for {fact}"
                assert self.peers.get(ends[0], ends[1]) == ends[1], f"{ends[0]} is there, and leads elsewhere"
                assert self.peers.get(ends[1], ends[0]) == ends[0], f"{ends[1]} is there, and leads elsewhere"
                self.peers |= {ends[0]: ends[1], ends[1]: ends[0]}
            case "port", (bridge, interface, _):
                assert {(FABRIC, bridge), (FABRIC, interface)} <= self.ends(), f"no interface for {fact}"
                self.rest = {item for item in self.rest if item.kind != "port" or item.words[1] != interface} | {fact}
            case (("shape" | "address"), (name, interface, _)):
                assert (name, interface) in self.ends(), f"no interface for {fact}"
                if fact.kind == "shape":
                    self.rest = {f for f in self.rest if f.kind != "shape" or f.words[:2] != fact.words[:2]}
                self.rest.add(fact)
            case "route", (name, _):
                assert any(item.kind == "address" and item.words[0] == name for item in self.rest)
                self.rest.add(fact)
            case _:
                assert all(need.split()[1] in self.spaces for need in fact.needs), f"no namespace for {fact}"
                self.rest.add(fact)
                self.restarted.append(f"{fact.kind} {fact.words[0]}")

    def do(self, todo: Steps, only: int | None = None) -> None:
        work = [(self.take, fact) for fact in todo.gone] + [(self.put, fact) for fact in todo.made]
        for action, fact in work[:only]:
            action(fact)


def facts(data: Data) -> frozenset[Fact]:
    city = load_data(data)[1]
    return facts_of(wiring_of(city), forwards_of(city, 19000))


def both_ways(found: frozenset[Fact]) -> frozenset[Fact]:
    """Each wire from both ends, as the kernel knows them."""
    return found | {Fact("wire", fact.words[2:] + fact.words[:2]) for fact in found if fact.kind == "wire"}


def built(found: frozenset[Fact]) -> Kernel:
    kernel = Kernel()
    kernel.do(steps(frozenset(), frozenset(), found))
    kernel.restarted.clear()
    return kernel


FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@FEW
@given(cities(), cities())
def test_the_steps_lead_from_any_city_to_any_other(one: Data, other: Data) -> None:
    before, after = facts(one), facts(other)
    kernel = built(before)
    assert kernel.facts() == both_ways(before)
    kernel.do(todo := steps(before, before, after))
    assert kernel.facts() == both_ways(after)
    stay = {f"guest {fact.words[0]}" for fact in before & after if fact.kind == "guest"}
    assert not stay & set(kernel.restarted), "a host that both have was started anew"
    assert not steps(after, after, after).gone and not steps(after, after, after).made
    assert {fact for fact in todo.made if fact.kind == "netns"} == {
        fact for fact in after - before if fact.kind == "netns"
    }


@FEW
@given(cities(), cities(), cities(), st.floats(0, 1), st.floats(0, 1))
def test_a_kill_in_the_middle_is_made_good_by_the_next_run(
    one: Data, other: Data, third: Data, place: float, later: float
) -> None:
    """Also when the plan has changed again, and when the next run is killed too."""
    before, kernel = facts(one), built(facts(one))
    sure = maybe = before
    for wanted, where in ((facts(other), place), (facts(third), later), (facts(other), 1.0), (before, 1.0)):
        todo = steps(sure, maybe, wanted)
        sure, maybe = sure - frozenset(todo.gone), maybe | wanted
        count = round((len(todo.gone) + len(todo.made)) * where)
        kernel.do(todo, count)
        if where == 1.0:
            assert kernel.facts() == both_ways(wanted)
            sure = maybe = wanted


@pytest.fixture(scope="module")
def lab() -> frozenset[Fact]:
    city = load_city(Inventory.find("lab"))
    return facts_of(wiring_of(city), forwards_of(city, 19000))


def small(*more: Data, hub: int = 100, to: str = "hub-c") -> frozenset[Fact]:
    both = ["core1", "core2"]
    sites = [
        site(1, "core", "core", routers=both),
        site(2, "noc", "noc", both, hosts=[{"name": "control", "role": "control", "index": 10}]),
        site(3, "backup", "backup", both),
        site(12, "hub-c", "hub", both, county="c"),
        site(221, "school", "department", [to], county="c"),
        *more,
    ]
    sites[3]["uplinks"][0]["mbps"] = hub
    return facts(city_of(sites, ["c"]))


def test_a_department_more_touches_its_hub_alone() -> None:
    todo = steps(small(), small(), small(site(222, "clinic", "department", ["hub-c"], county="c")))
    assert todo.gone == ()
    assert {word for fact in todo.made for word in fact.words} & {"core1", "core2", "noc", "backup", "school"} == set()
    wires = [fact.words for fact in todo.made if fact.kind == "wire" and FABRIC not in fact.words]
    assert wires == [("hub-c", "d-clinic", "clinic", "up0")]


def test_another_bandwidth_only_shapes() -> None:
    todo = steps(small(), small(), small(hub=50))
    assert {fact.kind for fact in (*todo.gone, *todo.made)} == {"shape"}
    assert {fact.words for fact in todo.made} == {("core1", "d-hub-c", "50"), ("hub-c", "up0", "50")}


def test_a_moved_uplink_keeps_its_lower_interface_and_gets_its_shape_again() -> None:
    todo = steps(small(), small(), small(to="core2"))
    made = {(fact.kind, fact.words) for fact in todo.made}
    assert ("wire", ("core2", "d-school", "school", "up0")) in made
    assert ("shape", ("school", "up0", "100")) in made
    assert not [fact for fact in (*todo.gone, *todo.made) if fact.kind in PROCESSES | {"netns"}]
    kernel = built(small())
    kernel.do(todo)
    assert kernel.facts() == both_ways(small(to="core2"))


def test_a_host_anew_has_its_namespace_and_lines_made_again_and_nobody_else_is_started(lab: frozenset[Fact]) -> None:
    kernel = built(lab)
    kernel.do(todo := steps(lab, lab, lab, ["hub-minqin"]))
    assert kernel.facts() == both_ways(lab)
    assert {name for name in kernel.restarted if name.startswith("guest")} == {"guest hub-minqin"}
    assert Fact("netns", ("hub-minqin",)) in todo.gone


def test_a_guest_that_was_half_made_starts_anew(lab: frozenset[Fact]) -> None:
    guest = Fact("guest", ("education",))
    todo = steps(lab - {guest}, lab, lab)
    assert guest in todo.gone and guest in todo.made
    assert not [fact for fact in todo.made if fact.kind == "guest" and fact != guest]


def test_what_a_host_is_called_in_the_fabric_does_not_depend_on_the_others() -> None:
    names = [f"host-{n}" for n in range(2000)]
    everybody = management_addresses(names)
    assert len({address.ip for address in everybody.values()}) == len(names)
    assert management_addresses(names[::-1]) == everybody
    without = management_addresses(names[1:])
    moved = [name for name in names[1:] if without[name] != everybody[name]]
    assert len(moved) <= 2, "only two names that meet may move"


def test_the_record_reads_back_and_a_broken_one_reads_as_none(
    lab: frozenset[Fact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egovctl.lab.names.RUN", tmp_path)
    names = LabNames("x")
    assert lab_facts.load(names) is None
    some = frozenset(sorted(lab)[:9])
    lab_facts.save(names, some, lab)
    assert lab_facts.load(names) == (some, lab)
    path = names.run / "facts.json"
    good = path.read_text(encoding="utf-8")
    for bad in ("{}", "[]", good[:-9], good.replace('"netns"', '"other"')):
        path.write_text(bad, encoding="utf-8")
        assert lab_facts.load(names) is None
