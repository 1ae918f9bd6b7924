"""A wiring as single facts, and the steps from one set of facts to another: what `lab grow` does. Pure.

A fact is the smallest thing that is there or is not. Facts stand on others: an address on its interface, an interface
on its network namespace. What goes takes along what stands on it; what of that is still wanted is made again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from egovctl.lab.names import FABRIC, LabNames
from egovctl.lab.state import Forward, read_json, write_json
from egovctl.lab.wiring import INTERNET, MANAGEMENT, Wiring

Kind = Literal[
    "netns",
    "bridge",
    "wire",
    "port",
    "shape",
    "address",
    "route",
    "guest",
    "switch",
    "leases",
    "gateway",
    "smsc",
    "forward",
]
# In this order they are made; in the other they go.
KINDS: tuple[Kind, ...] = (
    *("netns", "bridge", "wire", "port", "shape", "address", "route"),
    *("guest", "switch", "leases", "gateway", "smsc", "forward"),
)
PROCESSES: frozenset[Kind] = frozenset({"guest", "switch", "leases", "gateway", "smsc", "forward"})


@dataclass(frozen=True, order=True)
class Fact:
    """One thing of a lab. `words` by kind:

    netns: host; bridge: name; wire: both ends, each as namespace, interface; port: bridge, interface, "isolated" or "";
    shape: namespace, interface, Mbit/s; address: namespace, interface, address; route: namespace, gateway; guest: host;
    switch: host, address; leases: address; gateway, smsc: host, where it listens; forward: name, port, host, address
    there, port there.
    """

    kind: Kind
    words: tuple[str, ...]

    @property
    def gives(self) -> frozenset[str]:
        """What others may stand on."""
        match self.kind, self.words:
            case "netns", (name,):
                return frozenset({f"netns {name}"})
            case "bridge", (name,):
                return frozenset({f"end {FABRIC} {name}"})
            case "wire", (one, first, other, second):
                return frozenset({f"end {one} {first}", f"end {other} {second}"})
            case "address", (name, *_):
                return frozenset({f"addresses {name}"})
            case _:
                return frozenset()

    @property
    def needs(self) -> frozenset[str]:
        """What it stands on; without that it is not there."""
        match self.kind, self.words:
            case "bridge", _:
                return frozenset({f"netns {FABRIC}"})
            case "wire", (one, _, other, _):
                return frozenset({f"netns {one}", f"netns {other}"})
            case "port", (bridge, interface, _):
                return frozenset({f"end {FABRIC} {bridge}", f"end {FABRIC} {interface}"})
            case (("shape" | "address"), (name, interface, _)):
                return frozenset({f"end {name} {interface}"})
            case (("route" | "switch" | "gateway" | "smsc"), (name, _)):
                return frozenset({f"addresses {name}"})
            case "guest", (name,):
                return frozenset({f"netns {name}"})
            case "leases", _:
                return frozenset({f"end {FABRIC} {INTERNET}"})
            case "forward", (_, _, name, _, _):
                return frozenset({f"netns {name}"})
            case _:
                return frozenset()


@dataclass(frozen=True)
class Steps:
    """First all of `gone`, then all of `made`, each in its order."""

    gone: tuple[Fact, ...]
    made: tuple[Fact, ...]

    def of(self, *kinds: Kind) -> tuple[list[Fact], list[Fact]]:
        """(gone, made) of these kinds."""
        return [fact for fact in self.gone if fact.kind in kinds], [fact for fact in self.made if fact.kind in kinds]


def facts_of(wiring: Wiring, forwards: Iterable[Forward] = (), gateway: str = "", smsc: str = "") -> frozenset[Fact]:
    """All that a lab of this wiring has."""
    found = {Fact("netns", (name,)) for name in wiring.namespaces}
    found |= {Fact("bridge", (name,)) for name in wiring.bridges}
    for wire in wiring.wires:
        found.add(Fact("wire", (*wire.a, *wire.b)))
        if wire.mbps:
            found |= {Fact("shape", (*end, str(wire.mbps))) for end in (wire.a, wire.b)}
    for port in wiring.ports:
        found.add(Fact("port", (port.bridge, port.interface, "isolated" if port.isolated else "")))
    found |= {Fact("address", (name, MANAGEMENT, str(address))) for name, address in wiring.management.items()}
    for name, bare in wiring.bare.items():
        found |= {Fact("address", (name, interface, address)) for interface, address in bare.addresses}
        found |= {Fact("route", (name, gateway)) for gateway in bare.gateways}
    for name, host in wiring.hosts.items():
        if host.kind == "guest":
            found.add(Fact("guest", (name,)))
        elif host.kind == "switch":
            found.add(Fact("switch", (name, host.loopback)))
    if wiring.internet is not None:
        found |= {Fact("address", (FABRIC, INTERNET, wiring.internet)), Fact("leases", (wiring.internet,))}
    if gateway:
        found.add(Fact("gateway", (wiring.control, gateway)))
    if smsc:
        found.add(Fact("smsc", (wiring.control, smsc)))
    for item in forwards:
        found.add(Fact("forward", (item.name, str(item.port), item.host, item.target, str(item.target_port))))
    return frozenset(found)


def steps(sure: frozenset[Fact], maybe: frozenset[Fact], wanted: frozenset[Fact], renew: Iterable[str] = ()) -> Steps:
    """From what is there to what is wanted. `sure` is there, `maybe` (which holds it) may be: after a kill they differ.

    Every step can be done again: what goes may be gone already, and what is made may be there. `renew` names hosts
    that are to start anew, with an empty disk. A guest that was only half made starts anew too.
    """
    gone = (maybe - wanted) | {fact for fact in maybe - sure if fact.kind == "guest"}
    gone |= {fact for fact in maybe if fact.kind in ("netns", "guest") and fact.words[0] in renew}
    gone = _with_what_stands_on(gone, maybe)
    made = (wanted - sure) | (wanted & gone)
    while more := {fact for fact in wanted - made if fact.needs & _given(made)}:
        made |= more
    return Steps(tuple(sorted(gone, key=_place, reverse=True)), tuple(sorted(made, key=_place)))


def _with_what_stands_on(gone: frozenset[Fact] | set[Fact], maybe: frozenset[Fact]) -> frozenset[Fact]:
    """Also what needs one of them, and any other wire or bridge that may have the same end."""
    found = frozenset(gone)
    while True:
        given = _given(found)
        ends = {item for item in given if item.startswith("end ")}
        more = {fact for fact in maybe - found if fact.needs & given or fact.gives & ends}
        if not more:
            return found
        found |= more


def _given(facts: Iterable[Fact]) -> set[str]:
    return {item for fact in facts for item in fact.gives}


def _place(fact: Fact) -> tuple[int, Fact]:
    return KINDS.index(fact.kind), fact


def save(names: LabNames, sure: Iterable[Fact], maybe: Iterable[Fact]) -> None:
    """Record what is there and what may be, before it changes and when it has."""
    data = {"sure": _dump(sure), "maybe": _dump(maybe)}
    write_json(_record(names), data)


def load(names: LabNames) -> tuple[frozenset[Fact], frozenset[Fact]] | None:
    """(sure, maybe) as recorded; None when there is no record that can be read (a lab of an older version has none)."""
    data = read_json(_record(names))
    try:
        return _read(data["sure"]), _read(data["maybe"])
    except (TypeError, KeyError, ValueError, IndexError):
        return None


def _record(names: LabNames) -> Path:
    return names.run / "facts.json"


def _dump(facts: Iterable[Fact]) -> list[list[str]]:
    return [[fact.kind, *fact.words] for fact in sorted(facts)]


def _read(data: list[list[str]]) -> frozenset[Fact]:
    return frozenset(Fact(KINDS[KINDS.index(kind)], tuple(words)) for kind, *words in data)
