"""What is measured, and how a case goes: both exporters side by side, proven to say the same, then asked in turn."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from agents import FAMILY, LARGE, PORTS, SMALL
from asking import Client, plain
from fleet import Fleet
from prometheus_client.parser import text_string_to_metric_families
from rivals import BANDWIDTH, FULL, OURS, THEIRS, V2C, V3, Rival, started

DELAY_MS = 5.0
MOST_COLD = 100  # new targets of one turn
# Ours sends a device so many packets a second at most; one asked without a rest would show that and nothing else.
ROTATED = {SMALL: 40, FAMILY: 40, LARGE: 4}
WHOLE_CYCLES = 100  # from so many targets on, a turn takes all of them equally often
SETTLE_SECONDS = 0.05  # what a process still does for the last scrapes counts too


class Different(Exception):
    """The two cannot be compared: they do not say the same."""


@dataclass(frozen=True)
class Case:
    """`kind` of targets; `cold`: each scrape is of a target that the exporter has never seen."""

    name: str
    module: str
    kind: int
    version: str
    targets: int = 1
    cold: bool = False
    delay_ms: float = 0.0

    @property
    def ports(self) -> int:
        """Interfaces of each target."""
        return PORTS[self.kind]


def _grid(title: str, cold: bool) -> Iterator[Case]:
    for version in (V2C, V3):
        for module, word in ((BANDWIDTH, "bandwidth"), (FULL, "full")):
            for kind in (SMALL, LARGE):
                name = f"{title}-{word}-{PORTS[kind]}-{version}"
                yield Case(name, module, kind, version, targets=1 if cold else ROTATED[kind], cold=cold)
            if not cold:
                yield Case(f"{title}-four-{word}-48-{version}", module, FAMILY, version, targets=ROTATED[FAMILY])


CASES = (
    *_grid("warm", cold=False),
    *_grid("cold", cold=True),
    Case("targets-1-v2c", BANDWIDTH, SMALL, V2C),
    Case("targets-100-v2c", BANDWIDTH, SMALL, V2C, targets=100),
    Case("targets-1000-v2c", BANDWIDTH, SMALL, V2C, targets=1000),
    Case("targets-100-v3", BANDWIDTH, SMALL, V3, targets=100),
    Case("targets-1000-v3", BANDWIDTH, SMALL, V3, targets=1000),
    *(
        Case(f"delay-{title}-{word}", module, kind, V2C, targets=ROTATED[kind], delay_ms=DELAY_MS)
        for module, word in ((BANDWIDTH, "bandwidth"), (FULL, "full"))
        for title, kind in (("four", FAMILY), ("one", SMALL))
    ),
)


@dataclass(frozen=True)
class Bench:
    """What all cases share. `new_targets` gives targets of a kind that nobody has been asked for yet."""

    fleet: Fleet
    folder: Path
    rounds: int
    turn_seconds: float
    new_targets: Callable[[int], Iterator[str]]
    our_extra: str = ""

    @contextlib.contextmanager
    def rival(self, name: str) -> Iterator[tuple[Rival, Client]]:
        """One exporter, new, and a connection to it."""
        with (
            started(name, self.folder, self.our_extra if name == OURS else "") as running,
            contextlib.closing(Client(running.port)) as client,
        ):
            yield running, client


def series(body: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The series of a scrape but for those about the scrape itself. Raises Different when one comes twice."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(plain(body).decode()):
        if family.name.startswith("snmp_"):
            continue
        for sample in family.samples:
            key = (family.name, frozenset(sample.labels.items()))
            if key in found:
                raise Different(f"{key} comes twice")
            found[key] = sample.value
    return found


@dataclass
class Side:
    """One exporter in a case, and the targets it is asked for."""

    rival: Rival
    client: Client
    case: Case
    targets: Iterator[str]

    def scrape(self, target: str) -> bytes:
        """The body, compressed."""
        return self.client.get(self.rival.path(target, self.case.module, self.case.version))


def compare(fleet: Fleet, ours: Side, theirs: Side, target: str) -> int:
    """Both asked with all counters frozen, ours twice: it may know the target by then. Returns how many series."""
    fleet.tell("freeze")
    wanted = series(theirs.scrape(target))
    for time_ in ("first", "second"):
        mine = series(ours.scrape(target))
        if mine.keys() != wanted.keys():
            strange = mine.keys() ^ wanted.keys()
            raise Different(f"{len(strange)} series are not in both ({time_} scrape), such as {next(iter(strange))}")
        if wrong := [key for key, value in wanted.items() if mine[key] != value]:
            key = wrong[0]
            raise Different(f"{len(wrong)} values differ ({time_} scrape): {key}: {mine[key]} and {wanted[key]}")
    fleet.tell("thaw")
    return len(wanted)


def turn(fleet: Fleet, side: Side, seconds: float) -> dict[str, float]:
    """Scrape for so long; per scrape: ms of processor time and wall, packets, octets."""
    fleet.tell("reset")
    case, walls, sizes, lines = side.case, list[float](), list[int](), set[int]()
    cpu, begun = side.rival.cpu(), time.perf_counter()
    for target in side.targets:
        before = time.perf_counter()
        body = side.scrape(target)
        walls.append(time.perf_counter() - before)
        sizes.append(len(body))
        if len(walls) % 16 == 1:
            lines.add(plain(body).count(b"\n"))
        whole = case.targets < WHOLE_CYCLES or len(walls) % case.targets == 0
        if (whole and time.perf_counter() - begun >= seconds) or (case.cold and len(walls) >= MOST_COLD):
            break
    time.sleep(SETTLE_SECONDS)
    cpu = side.rival.cpu() - cpu
    if len(lines) > 1:
        raise Different(f"{side.rival.name}: scrapes of one turn differ in length: {sorted(lines)} lines")
    counts, number = fleet.counts(side.rival.name), len(walls)
    return {
        "cpu_ms": cpu * 1000 / number,
        "wall_ms": statistics.median(walls) * 1000,
        "packets": counts.requests / number,
        "packet_octets": (counts.request_octets + counts.reply_octets) / number,
        "octets": statistics.median(sizes),
        "in_flight": counts.in_flight,
        "scrapes": number,
    }


def measure(bench: Bench, case: Case) -> dict[str, Any]:
    """One case. Raises Different, asking.Failed, rivals.NoRival."""
    rounds: list[dict[str, dict[str, float]]] = []
    fleet = bench.fleet
    with bench.rival(OURS) as ours_pair, bench.rival(THEIRS) as theirs_pair:
        new = bench.new_targets(case.kind)
        known = list(islice(new, case.targets))

        def side(pair: tuple[Rival, Client]) -> Side:
            return Side(*pair, case, bench.new_targets(case.kind) if case.cold else cycle(known))

        ours, theirs = side(ours_pair), side(theirs_pair)
        count = compare(fleet, ours, theirs, known[0])
        if not case.cold:
            for target in known * 2:  # so that what can be known of a target is known
                ours.scrape(target)
                theirs.scrape(target)
        fleet.tell(f"delay {case.delay_ms}")
        try:
            for number in range(bench.rounds):
                order = (ours, theirs) if number % 2 == 0 else (theirs, ours)
                found = {one.rival.name: turn(fleet, one, bench.turn_seconds) for one in order}
                rounds.append(found)
                print(f"  round {number + 1}: {_brief(found)}", flush=True)
        finally:
            fleet.tell("delay 0")
        compare(fleet, ours, theirs, known[-1])
        peaks = {one.rival.name: one.rival.peak() for one in (ours, theirs)}
    return {"case": asdict(case) | {"ports": case.ports}, "series": count, "rounds": rounds, "peak_mib": peaks}


def _brief(found: dict[str, dict[str, float]]) -> str:
    return "; ".join(
        f"{name} {one['cpu_ms']:.2f} ms CPU, {one['wall_ms']:.2f} ms wall, {one['packets']:.0f} packets"
        f" (n={one['scrapes']:.0f})"
        for name, one in found.items()
    )
