"""The reachability collector: the whole matrix is tried, both what is allowed and what is denied.

A denied flow that fails proves nothing if nobody listens: each listener is proven alive before and after the sweep, and
a flow counts only when both succeeded. A LAN's listener proves itself. Hosts' are proven by a few hosts that are let in
to many; what lets none of them in is asked from its own side. A source that answers too slowly to tell silence from
distance is asked once more with more patience, and is unproven if that does not help.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from egovctl.checks.collect import places
from egovctl.checks.collect.base import Facts, Observed, Request
from egovctl.checks.context import Context
from egovctl.checks.matrix import LAN_PORTS, Matrix, Target, matrix_of, provers, zone_of
from egovctl.checks.model import NotApplicable
from egovctl.errors import CannotMeasure, EgovError
from egovctl.evidence.record import now
from egovctl.i18n import both, told
from egovctl.plan import City
from egovctl.plan.policy import Place
from egovctl.report.reachability import write_report

PROTOCOL = 1
SECONDS, PATIENT_SECONDS = 1.3, 5.0  # a SYN is sent again after one second
AT_ONCE = 1024  # connections a source
SOURCES_AT_ONCE = 12
NAMED = 40  # deviations that are named in the result; all of them are in the report
REACHED = frozenset("or")  # a refusal comes from the target: it was reached
Sweep = Callable[[list[list[Any]], float], tuple[str, float]]


@dataclass
class Outcome:
    """What came of the matrix: a letter for each flow by source; unproven listeners; why some sources said nothing."""

    letters: dict[Place, str] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    silent: dict[Place, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdicts:
    """The flows by verdict, as (source, target): open though denied, closed though allowed, and not proven."""

    leaks: tuple[tuple[Place, Target], ...]
    closed: tuple[tuple[Place, Target], ...]
    unproven: tuple[tuple[Place, Target], ...]
    allowed: int
    denied: int


def collect(context: Context, requests: list[Request]) -> list[Observed]:
    """One sweep for all requests; the subject is the city."""
    try:
        facts: Facts = _facts(context)
    except (EgovError, NotApplicable) as error:
        facts = error
    return [dict.fromkeys(request.subjects, facts) for request in requests]


def _facts(context: Context) -> Facts:
    matrix = matrix_of(context.city)
    begun, at = time.monotonic(), now()
    outcome = run_matrix(context, matrix)
    verdicts = judge_all(matrix, outcome)
    data = as_data(context, matrix, outcome, verdicts, at)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    report = write_report(context, matrix, outcome.letters, verdicts, text, at)
    seen = {
        "probes": verdicts.allowed + verdicts.denied,
        "allowed": verdicts.allowed,
        "denied": verdicts.denied,
        "leaks": _named(verdicts.leaks),
        "closed": _named(verdicts.closed),
        "unproven": _named(verdicts.unproven),
        "leak_count": len(verdicts.leaks),
        "closed_count": len(verdicts.closed),
        "unproven_count": len(verdicts.unproven),
        "silent": [f"{place}: {both(reason)['en']}" for place, reason in outcome.silent.items()],
        "zones": by_zone(context.city, matrix, verdicts),
        "seconds": round(time.monotonic() - begun, 1),
        "report": str(report),
        "report_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    return {"planned": {"probes": matrix.size}, "seen": seen}


def _named(flows: tuple[tuple[Place, Target], ...]) -> list[str]:
    return [f"{source} -> {target}" for source, target in flows[:NAMED]]


def by_zone(city: City, matrix: Matrix, verdicts: Verdicts) -> list[list[Any]]:
    """[source zone, target zone, flows allowed, flows denied, those not as planned, those not proven], per pair."""
    zones = {place: zone_of(city, place) for place in (*matrix.sources, *(target.place for target in matrix.targets))}
    counted: dict[tuple[str, str], list[int]] = {}
    for source in matrix.sources:
        for number, permitted in matrix.wanted[source]:
            pair = (zones[source], zones[matrix.targets[number].place])
            counted.setdefault(pair, [0, 0, 0, 0])[0 if permitted else 1] += 1
    for column, flows in ((2, (*verdicts.leaks, *verdicts.closed)), (3, verdicts.unproven)):
        for source, target in flows:
            counted[(zones[source], zones[target.place])][column] += 1
    return [[*pair, *numbers] for pair, numbers in sorted(counted.items())]


def run_matrix(context: Context, matrix: Matrix) -> Outcome:
    """Open the listeners, prove them, sweep from everywhere, prove them again."""
    users = _users(context, matrix)
    addresses = _addresses(context, matrix, users)
    outcome = Outcome()
    with ExitStack() as stack:
        listeners = _listen(stack, users)
        dead = partial(_dead, context, matrix, users, addresses, listeners)
        outcome.dead |= dead()
        with ThreadPoolExecutor(SOURCES_AT_ONCE) as pool:
            tried = {source: pool.submit(_from, context, matrix, users, addresses, source) for source in matrix.sources}
            for source, result in tried.items():
                try:
                    outcome.letters[source] = result.result()
                except EgovError as error:
                    outcome.silent[source] = str(error)
        outcome.dead |= dead()
    return outcome


def _listen(stack: ExitStack, users: dict[str, places.Place]) -> dict[str, places.Listener]:
    """Open the listeners at all places; one that cannot be opened is not among them."""
    opened = {}
    for name, place in users.items():
        try:
            opened[name] = stack.enter_context(places.listening(place, list(LAN_PORTS)))
        except CannotMeasure:
            continue  # another run's may stand there: its targets are asked from their own side
    return opened


def _users(context: Context, matrix: Matrix) -> dict[str, places.Place]:
    found = {}
    for place in matrix.sources:
        if place.kind == "lan":
            user = places.user_place(context, place.name)
            if user is None:
                raise NotApplicable(
                    "局域网内没有探测点（生产环境未部署）；管理口的隔离由 management-closed 从路由器上试探",
                    "no probe stands on the LANs in production; management-closed tries the ways in from the routers",
                )
            found[place.name] = user
    return found


def _addresses(context: Context, matrix: Matrix, users: dict[str, places.Place]) -> list[list[Any]]:
    """[address, port] of each target."""
    found = []
    for target in matrix.targets:
        if target.place.kind == "lan":
            user = users[target.place.name]
            address = user.v4 if target.family == 4 else user.v6
        else:
            host = context.city.hosts[target.place.name]
            address = host.address_v4 if target.family == 4 else host.address_v6
        found.append([address, target.port])
    return found


def _sweep_of(context: Context, users: dict[str, places.Place], source: Place) -> Sweep:
    program = places.source_of("sweep")

    def sweep(connects: list[list[Any]], seconds: float) -> tuple[str, float]:
        params = {"connects": connects, "seconds": seconds, "at_once": AT_ONCE}
        if source.kind == "lan":
            answer = users[source.name].run(program, params)
        elif context.city.hosts[source.name].role == "control":
            answer = places.run_at_control(context, program, params)
        else:
            answer = places.run_at_host(context, source.name)(program, params)
        letters = answer.get("letters", "") if isinstance(answer, dict) else ""
        if len(letters) != len(connects) or answer.get("protocol") != PROTOCOL:
            raise CannotMeasure(told("试探程序的协议版本不同", "the probing program speaks another protocol"))
        return str(letters), float(answer["slowest"])

    return sweep


def _from(
    context: Context, matrix: Matrix, users: dict[str, places.Place], addresses: list[list[Any]], source: Place
) -> str:
    """A letter for each of the source's flows. What should be open and is not gets a second, patient try."""
    sweep = _sweep_of(context, users, source)
    wanted = matrix.wanted[source]
    connects = [addresses[number] for number, _ in wanted]
    letters, slowest = sweep(connects, SECONDS)
    if slowest > SECONDS / 2:
        letters, slowest = sweep(connects, PATIENT_SECONDS)
        if slowest > PATIENT_SECONDS / 2:
            raise CannotMeasure(
                told(f"{source}：应答太慢，无法判断", f"{source}: answers take too long to tell anything by silence")
            )
    again = [place for place, (_, allowed) in enumerate(wanted) if allowed and letters[place] != "o"]
    if again:
        second, _ = sweep([connects[place] for place in again], PATIENT_SECONDS)
        merged = list(letters)
        for place, letter in zip(again, second, strict=True):
            merged[place] = letter
        letters = "".join(merged)
    return letters


def _dead(
    context: Context,
    matrix: Matrix,
    users: dict[str, places.Place],
    addresses: list[list[Any]],
    listeners: dict[str, places.Listener],
) -> set[int]:
    """Targets whose listener is not proven alive.

    Whoever gets through proves a listener, so few processes prove most of the hosts' targets. Only what was not open to
    them is asked from its own side: that a firewall shuts a prover out says nothing of the listener behind it.
    """

    def unproven(place: Place, numbers: list[int]) -> list[int]:
        connects = [addresses[number] for number in numbers]
        listener = listeners.get(place.name) if place.kind == "lan" else None
        try:
            if listener is not None:
                letters = listener.prove(connects, PATIENT_SECONDS)
            else:
                letters, _ = _sweep_of(context, users, place)(connects, PATIENT_SECONDS)
        except EgovError:
            return numbers
        return [number for number, letter in zip(numbers, letters, strict=True) if letter != "o"]

    with ThreadPoolExecutor(SOURCES_AT_ONCE) as pool:
        asked = provers(context.city, matrix)
        proven = {number for numbers in asked.values() for number in numbers}
        proven -= {number for numbers in pool.map(unproven, asked, asked.values()) for number in numbers}
        own_side: dict[Place, list[int]] = {}
        for number, target in enumerate(matrix.targets):
            if number not in proven:
                own_side.setdefault(target.place, []).append(number)
        return {number for numbers in pool.map(unproven, own_side, own_side.values()) for number in numbers}


def judge_all(matrix: Matrix, outcome: Outcome) -> Verdicts:
    """Sort every flow. A flow that is open proves its own listener; one that is not needs a listener proven alive."""
    leaks, closed, unproven = [], [], []
    allowed = denied = 0
    for source in matrix.sources:
        letters = outcome.letters.get(source)
        for place, (number, permitted) in enumerate(matrix.wanted[source]):
            flow = (source, matrix.targets[number])
            if letters is None or (number in outcome.dead and letters[place] not in REACHED):
                unproven.append(flow)
                continue
            allowed, denied = allowed + permitted, denied + (not permitted)
            if not permitted and letters[place] in REACHED:
                leaks.append(flow)
            elif permitted and letters[place] != "o":
                closed.append(flow)
    return Verdicts(tuple(leaks), tuple(closed), tuple(unproven), allowed, denied)


def as_data(context: Context, matrix: Matrix, outcome: Outcome, verdicts: Verdicts, at: str) -> dict[str, Any]:
    """Every flow, compactly: targets once, then for each source the numbers tried, what was planned, what was seen."""
    return {
        "inventory": context.city.inventory,
        "plan_revision": context.city.plan_revision,
        "observed_at": at,
        "letters": {"o": "open", "r": "refused", "t": "no answer", "u": "unreachable", "n": "no route", "e": "error"},
        "targets": [str(target) for target in matrix.targets],
        "sources": [
            {
                "source": str(source),
                "targets": [number for number, _ in matrix.wanted[source]],
                "planned": "".join("a" if permitted else "d" for _, permitted in matrix.wanted[source]),
                "seen": outcome.letters.get(source, ""),
            }
            for source in matrix.sources
        ],
        "listeners_not_proven": sorted(str(matrix.targets[number]) for number in outcome.dead),
        "leaks": [f"{source} -> {target}" for source, target in verdicts.leaks],
        "closed": [f"{source} -> {target}" for source, target in verdicts.closed],
        "unproven": [f"{source} -> {target}" for source, target in verdicts.unproven],
    }
