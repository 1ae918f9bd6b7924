"""The matrix and its verdicts: what is tried, what counts, and above all what does not.

If these fail, a hole in the segmentation could be reported as proven shut.
"""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from egovctl.checks import content
from egovctl.checks.collect import listener, places, reachability, sweep
from egovctl.checks.collect.reachability import Outcome, judge_all
from egovctl.checks.context import Context, open_context
from egovctl.checks.judge import judge
from egovctl.checks.matrix import Matrix, matrix_of, provers
from egovctl.checks.model import Status
from egovctl.errors import CannotMeasure
from egovctl.i18n import set_language
from egovctl.paths import Inventory
from egovctl.plan import load_city
from egovctl.plan.policy import Place, policy_of
from egovctl.report.reachability import cells, heat_map, zone_table

INVENTORIES = Path(__file__).resolve().parents[2] / "inventories"
LAB = Inventory(INVENTORIES / "lab")
MATRIX = matrix_of(load_city(LAB))


def perfect(matrix: Matrix) -> Outcome:
    """Everything as planned: what is allowed is open, what is denied is silent."""
    letters = {s: "".join("o" if allowed else "t" for _, allowed in matrix.wanted[s]) for s in matrix.sources}
    return Outcome(letters)


def put(outcome: Outcome, source: Place, position: int, letter: str) -> Outcome:
    text = outcome.letters[source]
    return replace(outcome, letters={**outcome.letters, source: text[:position] + letter + text[position + 1 :]})


def test_as_planned_is_as_planned() -> None:
    verdicts = judge_all(MATRIX, perfect(MATRIX))
    assert verdicts.allowed + verdicts.denied == MATRIX.size > 1500
    assert (verdicts.leaks, verdicts.closed, verdicts.unproven) == ((), (), ())
    assert verdicts.allowed > 80


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_one_flow_that_is_not_as_planned_is_named_whichever_it_is(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(MATRIX.sources))
    position = data.draw(st.integers(0, len(MATRIX.wanted[source]) - 1))
    number, allowed = MATRIX.wanted[source][position]
    letter = data.draw(st.sampled_from("rtune" if allowed else "or"))
    verdicts = judge_all(MATRIX, put(perfect(MATRIX), source, position, letter))
    flow = (source, MATRIX.targets[number])
    if allowed:
        assert verdicts.closed == (flow,) and verdicts.leaks == ()
    else:
        assert verdicts.leaks == (flow,) and verdicts.closed == ()
    kinds = cells(MATRIX, verdicts)
    assert kinds[(source, MATRIX.targets[number].place)] == ("closed" if allowed else "leak")


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_dead_listener_proves_nothing_but_an_open_flow_proves_itself(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(MATRIX.targets) - 1))
    outcome = replace(perfect(MATRIX), dead={number})
    verdicts = judge_all(MATRIX, outcome)
    assert all(target == MATRIX.targets[number] for _, target in verdicts.unproven)
    tried = [(s, a) for s in MATRIX.sources for n, a in MATRIX.wanted[s] if n == number]
    assert len(verdicts.unproven) == sum(not allowed for _, allowed in tried)
    source = next((s for s, allowed in tried if not allowed), None)
    if source is not None:
        position = next(i for i, (n, _) in enumerate(MATRIX.wanted[source]) if n == number)
        assert len(judge_all(MATRIX, put(outcome, source, position, "o")).leaks) == 1


def test_a_source_that_said_nothing_makes_its_flows_unproven_and_the_check_unknown() -> None:
    silent = MATRIX.sources[0]
    outcome = perfect(MATRIX)
    del outcome.letters[silent]
    verdicts = judge_all(MATRIX, outcome)
    assert {source for source, _ in verdicts.unproven} == {silent}
    assert len(verdicts.unproven) == len(MATRIX.wanted[silent])


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ({}, Status.PASS),
        ({"leak_count": 1, "unproven_count": 9}, Status.FAIL),
        ({"closed_count": 1}, Status.FAIL),
        ({"unproven_count": 1}, Status.UNKNOWN),
        ({"probes": 0}, Status.UNKNOWN),
        ({"probes": 9}, Status.UNKNOWN),
    ],
)
def test_nothing_tried_or_not_all_proven_is_never_a_pass(seen: dict[str, int], status: Status) -> None:
    facts = {
        **dict.fromkeys(("leak_count", "closed_count", "unproven_count", "allowed", "denied"), 0),
        **{key: [] for key in ("leaks", "closed", "unproven", "silent", "zones")},
        **{"probes": 10, "seconds": 1.0, "report": "r", "report_sha256": "s"},
        **seen,
    }
    found, _ = judge(content.checks().get("reachability"), {"planned": {"probes": 10}, "seen": facts, "subject": {}})
    assert found is status


@pytest.mark.parametrize("name", ["lab", "wuwei", "lab-private"])
def test_the_matrix_covers_every_lan_and_every_managed_host_in_both_families(name: str) -> None:
    city = load_city(Inventory(INVENTORIES / name))
    matrix = matrix_of(city)
    places = {Place("lan", lan.site) for lan in city.lans}
    places |= {Place("host", host.name) for host in city.hosts.values() if "managed" in host.groups}
    for family in (4, 6):
        assert {target.place for target in matrix.targets if target.family == family} == places
    assert places < set(matrix.sources)


def test_members_of_a_vertical_network_reach_each_other_and_nobody_else_does() -> None:
    city = load_city(LAB)
    policy = policy_of(city)
    mine, theirs, other = Place("lan", "education"), Place("lan", "minqin-education"), Place("lan", "minqin-health")
    for port in (22, 80, 4444):
        assert policy.permits(city, mine, theirs, "tcp", port) and policy.permits(city, theirs, mine, "tcp", port)
        assert not policy.permits(city, other, theirs, "tcp", port)
        assert not policy.permits(city, theirs, other, "tcp", port)
    assert policy.permits(city, other, Place("lan", "shared-services"), "tcp", 80)
    assert not policy.permits(city, other, Place("lan", "shared-services"), "tcp", 22)


def test_a_department_s_firewall_does_not_grow_with_the_city() -> None:
    """Every router holding the addresses of all LANs would make a city's files grow with the square of its sites."""
    city = load_city(Inventory(INVENTORIES / "wuwei"))
    policy, lans = policy_of(city), {lan.hosts[0]: lan for lan in city.lans}
    for host in city.hosts.values():
        if host.role == "access":
            rules = policy.rules_for(host, lans[host.name])
            assert {group.name for group in rules.groups} <= {
                "control",
                "noc",
                "services",
                "mail",
                "sms",
                f"vertical_{lans[host.name].vertical}",
            }
            assert not any(item.by_source for item in rules.from_lan)
            assert not any(item.by_destination for item in rules.to_lan)
    services = policy.rules_for(city.hosts["shared-services"], lans["shared-services"])
    assert all(item.by_source for item in services.to_lan)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_by_zone_counts_every_flow_once_and_the_wrong_one_in_its_place(lang: str) -> None:
    city = load_city(LAB)
    source = Place("lan", "minqin-health")
    position, target = next(
        (i, MATRIX.targets[n])
        for i, (n, allowed) in enumerate(MATRIX.wanted[source])
        if not allowed and MATRIX.targets[n].place.kind == "host"
    )
    rows = reachability.by_zone(city, MATRIX, judge_all(MATRIX, put(perfect(MATRIX), source, position, "o")))
    assert sum(row[2] + row[3] for row in rows) == MATRIX.size
    assert [row[:2] for row in rows if row[4]] == [["users", "routers"]] and target
    assert sum(row[5] for row in rows) == 0
    set_language(lang)
    try:
        out = io.StringIO()
        Console(file=out, width=80).print(zone_table(rows))
        assert ("用户局域网" if lang == "zh" else "users' LANs") in out.getvalue()
    finally:
        set_language("en")


def test_the_heat_map_is_a_picture_that_marks_what_is_wrong() -> None:
    outcome = perfect(MATRIX)
    source = next(s for s in MATRIX.sources if s.kind == "lan")
    position = next(i for i, (_, allowed) in enumerate(MATRIX.wanted[source]) if not allowed)
    svg = heat_map(MATRIX, judge_all(MATRIX, put(outcome, source, position, "o")))
    root = ElementTree.fromstring(svg)
    marks = [item.text for item in root.iter("{http://www.w3.org/2000/svg}text")]
    assert marks.count("!") == 1 and "?" not in marks and "x" not in marks
    assert str(source) in marks


@pytest.fixture
def silent() -> Iterator[list[Any]]:
    """An address that does not answer: its queue of connections is full, and Linux drops what comes then."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        yield list(full.getsockname())


@pytest.mark.parametrize("at_once", [5, 16, 1024])
def test_the_sweep_tells_open_refused_and_silent_apart(silent: list[Any], at_once: int) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        wanted = [list(listening.getsockname()), list(bound.getsockname())] * 40
        begun = time.monotonic()
        letters, slowest = sweep.sweep([silent, *wanted, silent], 0.5, at_once)
    assert letters == "t" + "or" * 40 + "t" and 0 <= slowest < 0.5
    assert 0.5 <= time.monotonic() - begun < 3


def test_an_answer_s_time_is_not_that_of_beginning_all_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a busy machine takes near answers for slow ones and tries everything again, with patience."""
    begin = sweep.begin

    def slow(address: str, port: int) -> tuple[Any, int]:
        time.sleep(0.002)
        return begin(address, port)

    monkeypatch.setattr(sweep, "begin", slow)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        begun = time.monotonic()
        letters, slowest = sweep.sweep([list(listening.getsockname())] * 300, 5.0, 1024)
        whole = time.monotonic() - begun
    assert letters == "o" * 300 and slowest < whole / 2


HERE = places.Place("here", "127.0.0.1", "::1", ())


@pytest.fixture
def ports() -> list[int]:
    """Two ports that nobody listens on."""
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as two:
        return [one.getsockname()[1], two.getsockname()[1]]


def own(ports: list[int]) -> list[list[Any]]:
    return [[address, port] for port in ports for address in (HERE.v4, HERE.v6)]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that places start."""
    found: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            found.append(self)

    monkeypatch.setattr(places.subprocess, "Popen", Kept)
    return found


def test_a_listener_proves_what_it_listens_on_and_nothing_else(ports: list[int], silent: list[Any]) -> None:
    with places.listening(HERE, ports[:1]) as running:
        assert running.prove(own(ports), 5.0) == "ooee"
        with socket.create_connection((HERE.v4, ports[0])):  # and it goes on to accept
            assert running.prove([silent[:2], *own(ports[:1])], 1.0) == "eoo"


def test_the_sweep_runs_at_a_place(ports: list[int]) -> None:
    with places.listening(HERE, ports[:1]):
        answer = HERE.run(places.source_of("sweep"), {"connects": own(ports), "seconds": 5.0, "at_once": 8})
    assert (answer["protocol"], answer["letters"]) == (reachability.PROTOCOL, "oorr")


def test_a_connection_that_only_the_kernel_took_proves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody_accepts:
        begun = time.monotonic()
        assert listener.prove([("127.0.0.1", nobody_accepts.getsockname()[1])], 0.3) == "e"
    assert 0.3 <= time.monotonic() - begun < 2


def test_a_listener_that_hangs_or_has_ended_proves_nothing_and_holds_nobody_up(
    ports: list[int], processes: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kernel still connects, so whoever only tries the port would call it alive."""
    monkeypatch.setattr(places, "GRACE_SECONDS", 0.2)
    with places.listening(HERE, ports) as running:
        processes[-1].send_signal(signal.SIGSTOP)
        socket.create_connection((HERE.v4, ports[0]), 2).close()
        begun = time.monotonic()
        with pytest.raises(CannotMeasure):
            running.prove(own(ports), 0.2)
        assert time.monotonic() - begun < 2
        processes[-1].send_signal(signal.SIGCONT)
        time.sleep(0.3)  # its answer comes now, too late for the first question and not meant for the second
        with pytest.raises(CannotMeasure):
            running.prove(own(ports), 5.0)
    with places.listening(HERE, ports) as running:
        processes[-1].kill()
        for _ in range(2):
            with pytest.raises(CannotMeasure):
                running.prove(own(ports), 60.0)


@pytest.mark.parametrize("instead", ["exec sleep 60", "echo not; exec sleep 60", "exit 0"])
def test_a_listener_that_does_not_get_ready_is_an_error_soon(instead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "READY_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(CannotMeasure), places.listening(replace(HERE, enter=("sh", "-c", instead)), []):
        pass
    assert time.monotonic() - begun < 5


def test_a_listener_ends_when_nobody_holds_its_standard_input(ports: list[int]) -> None:
    argv = [sys.executable, "-I", str(listener.__file__), *map(str, ports)]
    done = subprocess.run(argv, input=b"", capture_output=True, timeout=20, check=True)
    assert done.stdout == b"ready\n"


CONTROL, NOC = Place("host", "control"), Place("host", "noc")


class FakeCity:
    """A city whose firewalls do as planned. It keeps what was asked: (phase, source, how many connections, seconds).

    `dead` are targets by phase (before, sweep, after) whose listener does not run then, `mute` the sources where no
    program can be run, `shut` the flows that a firewall drops though they are allowed.
    """

    def __init__(self, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
        self.context, self.matrix = context, matrix_of(context.city)
        self.phase, self.asked = "", list[tuple[str, Place, int, float]]()
        self.listening: set[str] = set()
        self.dead: dict[str, set[int]] = {}
        self.mute: set[Place] = set()
        self.hung: set[str] = set()  # sites whose listener does not say anything any more
        self.unopened: set[str] = set()  # sites where no listener can be opened
        self.shut: set[tuple[Place, int]] = set()
        self.allowed = {
            source: {number for number, permitted in tries if permitted} for source, tries in self.matrix.wanted.items()
        }
        users = {}
        for index, lan in enumerate(context.city.lans):
            users[lan.site] = places.Place(lan.site, f"192.0.2.{index}", f"2001:db8::{index:x}", ())
        numbers = enumerate(reachability._addresses(context, self.matrix, users))
        self.numbers = {(address, port): number for number, (address, port) in numbers}
        proof = reachability._dead

        def in_phases(*args: Any) -> set[int]:
            self.phase = "after" if self.phase else "before"
            found = proof(*args)
            if self.phase == "before":
                self.phase = "sweep"
            return found

        monkeypatch.setattr(reachability, "_dead", in_phases)
        monkeypatch.setattr(places, "user_place", lambda context, site: users[site])
        monkeypatch.setattr(places, "listening", self._listening)
        monkeypatch.setattr(places.Place, "run", lambda place, _, params: self._run(Place("lan", place.site), params))
        monkeypatch.setattr(places, "run_at_control", lambda context, _, params: self._run(CONTROL, params))
        monkeypatch.setattr(
            places, "run_at_host", lambda context, host: lambda _, params: self._run(Place("host", host), params)
        )

    def run(self) -> Outcome:
        outcome = reachability.run_matrix(self.context, self.matrix)
        assert not self.listening  # all that were opened have ended
        return outcome

    def asked_in(self, phase: str) -> Counter[Place]:
        return Counter(source for when, source, _, _ in self.asked if when == phase)

    def numbers_of(self, place: Place) -> set[int]:
        return {number for number, target in enumerate(self.matrix.targets) if target.place == place}

    def _letter(self, source: Place, number: int) -> str:
        target = self.matrix.targets[number]
        if source != target.place and (number not in self.allowed[source] or (source, number) in self.shut):
            return "t"
        unopened = target.place.kind == "lan" and target.place.name not in self.listening
        return "r" if unopened or number in self.dead.get(self.phase, ()) else "o"

    def _run(self, source: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((self.phase, source, len(params["connects"]), params["seconds"]))
        if source in self.mute:
            raise CannotMeasure("does not answer")
        letters = (self._letter(source, self.numbers[address, port]) for address, port in params["connects"])
        return {"protocol": 1, "letters": "".join(letters), "slowest": 0.001}

    @contextmanager
    def _listening(self, place: places.Place, ports: list[int]) -> Iterator[SimpleNamespace]:
        if place.site in self.unopened:
            raise CannotMeasure("port in use")

        def prove(connects: list[list[Any]], seconds: float) -> str:
            if place.site in self.hung:
                raise CannotMeasure("no answer in time")
            return "".join(self._letter(Place("lan", place.site), self.numbers[at, port]) for at, port in connects)

        self.listening.add(place.site)
        try:
            yield SimpleNamespace(prove=prove)
        finally:
            self.listening.remove(place.site)


@pytest.fixture
def city(monkeypatch: pytest.MonkeyPatch) -> FakeCity:
    return FakeCity(open_context(LAB), monkeypatch)


@pytest.mark.parametrize("name", ["lab", "wuwei", "lab-private"])
def test_two_processes_prove_all_the_listeners_of_a_city_that_is_as_planned(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = FakeCity(open_context(Inventory(INVENTORIES / name)), monkeypatch)
    outcome = city.run()
    assert outcome.letters == perfect(city.matrix).letters
    assert (outcome.dead, outcome.silent) == (set(), {})
    noc = next(Place("host", host.name) for host in city.context.city.hosts.values() if host.role == "noc")
    assert city.asked_in("before") == city.asked_in("after") == Counter([CONTROL, noc])
    assert city.asked_in("sweep") == Counter(city.matrix.sources)


@pytest.mark.parametrize("name", ["lab", "wuwei", "lab-private"])
def test_every_target_of_a_host_has_one_prover_who_is_let_in(name: str) -> None:
    plan = load_city(Inventory(INVENTORIES / name))
    matrix = matrix_of(plan)
    chosen = provers(plan, matrix)
    numbers = sorted(number for some in chosen.values() for number in some)
    assert numbers == [number for number, target in enumerate(matrix.targets) if target.place.kind == "host"]
    assert next(iter(chosen)) == CONTROL
    for source, some in chosen.items():
        assert all(matrix.targets[n].place == source or (n, True) in matrix.wanted[source] for n in some)


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("wanted", ["lan 80", "lan 4444", "host 22", "host 9100", "noc 9100", "noc 9090"])
def test_a_listener_that_is_dead_before_or_after_proves_nothing(city: FakeCity, wanted: str, phase: str) -> None:
    """Also when it ran during the sweep: nobody could tell for how long."""
    kind, port = wanted.split()
    number = next(
        number
        for number, target in enumerate(city.matrix.targets)
        if target.port == int(port) and (target.place == NOC if kind == "noc" else target.place.kind == kind)
    )
    city.dead = {phase: {number}}
    outcome = city.run()
    assert outcome.dead == {number}
    verdicts = judge_all(city.matrix, outcome)
    assert {target for _, target in verdicts.unproven} == {city.matrix.targets[number]}
    other = {"before": "after", "after": "before"}[phase]
    assert city.asked_in(other) == Counter([CONTROL, NOC])
    asked_itself = city.matrix.targets[number].place.kind == "host"
    assert city.asked_in(phase).total() == (3 if asked_itself else 2)


@pytest.mark.parametrize("mute", [CONTROL, NOC])
def test_without_one_prover_the_hosts_are_asked_from_their_own_side(city: FakeCity, mute: Place) -> None:
    mine = provers(city.context.city, city.matrix)[mute]
    city.mute = {mute}
    outcome = city.run()
    assert outcome.dead == {number for number in mine if city.matrix.targets[number].place == mute}
    places_of_mine = {city.matrix.targets[number].place for number in mine}
    for phase in ("before", "after"):
        assert city.asked_in(phase) == Counter([CONTROL, NOC, *places_of_mine])
    assert set(outcome.silent) == {mute}


def test_a_prover_that_is_shut_out_says_nothing_of_the_listener(city: FakeCity) -> None:
    number = next(n for n, t in enumerate(city.matrix.targets) if t.place.name == "core2" and t.port == 22)
    city.shut = {(CONTROL, number)}
    outcome = city.run()
    assert outcome.dead == set()
    verdicts = judge_all(city.matrix, outcome)
    assert verdicts.closed == ((CONTROL, city.matrix.targets[number]),) and not verdicts.unproven
    assert city.asked_in("before") == Counter([CONTROL, NOC, Place("host", "core2")])
    assert ("before", Place("host", "core2"), 1, reachability.PATIENT_SECONDS) in city.asked


def test_a_host_that_nobody_can_run_anything_on_is_proven_by_who_gets_in(city: FakeCity) -> None:
    city.mute = {Place("host", "core2")}
    assert city.run().dead == set()
    assert city.asked_in("before") == Counter([CONTROL, NOC])


def test_a_listener_that_does_not_answer_leaves_its_own_targets_unproven_and_no_others(city: FakeCity) -> None:
    city.hung = {"minqin-health"}
    outcome = city.run()
    assert outcome.dead == city.numbers_of(Place("lan", "minqin-health"))
    assert city.asked_in("before") == city.asked_in("after") == Counter([CONTROL, NOC])


def test_where_no_listener_can_be_opened_the_place_is_asked_from_its_own_side(city: FakeCity) -> None:
    """Two runs at once: the other's listener stands there and is as good. Without it nothing is proven."""
    place = Place("lan", "minqin-health")
    city.unopened = {place.name}
    assert city.run().dead == city.numbers_of(place)
    assert city.asked_in("before") == city.asked_in("after") == Counter([CONTROL, NOC, place])


def test_without_places_on_the_lans_the_check_does_not_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability.places, "user_place", lambda context, site: None)
    request = reachability.Request("reachability", ("lab",), content.checks().get("reachability").collect)
    (facts,) = reachability.collect(open_context(LAB), [request])
    assert type(facts["lab"]).__name__ == "NotApplicable"
