"""What Prometheus, the hosts' services and the apply's look say when all is well, and for each check what turns it red.

A case is (planned, seen) as the check's collector gives them; SUBJECT is what expressions know of the subject.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from egovctl.checks.model import Status

Seen = dict[str, Any]
Case = tuple[Seen, Seen]
Change = Callable[[Seen, Seen], None]


def series(**by: float) -> Seen:
    """One query's answer."""
    return named({name.replace("_", " "): value for name, value in by.items()})


def named(by: dict[str, float]) -> Seen:
    return {"by": by, "keys": sorted(by)}


GOOD: dict[str, Case] = {
    "capacity-suffices": ({}, {"peak": named({"core1": 0.8, "core2": 0.2})}),
    "bandwidth-suffices": ({}, {"peak": named({"a-b": 0.9, "b-c": 0.1})}),
    "offsite-fresh": ({}, {"age": named({"offsite": 900.0})}),
    "offsite-daily": ({}, {"age": named({"offsite": 93600.0})}),
    "temperature-in-range": ({}, {"hottest": named({"switch": 60.0, "core1": 30.0})}),
    "alerts-loaded": (
        {},
        {"alerts": ["EgovLogsSilent", "Watchdog"], "ill": [], "firing": ["Watchdog"], "managers": 1},
    ),
    "log-silence-alarmed": (
        {},
        {"alerts": ["EgovLogsSilent", "Watchdog"], "ill": ["Other"], "firing": [], "managers": 1},
    ),
}


def put(query: str, key: str, value: float) -> Change:
    """One series of a query has another value."""

    def change(planned: Seen, seen: Seen) -> None:
        seen[query]["by"][key] = value
        seen[query]["keys"] = sorted(seen[query]["by"])

    return change


def nothing(query: str) -> Change:
    """A query has no answer."""

    def change(planned: Seen, seen: Seen) -> None:
        seen[query] = named({})

    return change


def said(**update: Any) -> Change:
    """Other values of what was seen."""
    return lambda planned, seen: seen.update(update)


def wanted(**update: Any) -> Change:
    """Other values of what was planned."""
    return lambda planned, seen: planned.update(update)


RED: dict[str, list[Change]] = {
    "capacity-suffices": [put("peak", "core1", 0.8001)],
    "bandwidth-suffices": [put("peak", "b-c", 0.9001)],
    "offsite-fresh": [put("age", "offsite", 93601.0), put("age", "other", 93601.0), nothing("age")],
    "offsite-daily": [put("age", "offsite", 93601.0), put("age", "other", 93601.0), nothing("age")],
    "temperature-in-range": [put("hottest", "core1", 60.01)],
    "alerts-loaded": [said(alerts=[]), said(ill=["Watchdog"]), said(managers=0), said(firing=["Other"])],
    "log-silence-alarmed": [said(alerts=["Watchdog"]), said(ill=["EgovLogsSilent"]), said(managers=0)],
}
OTHER: list[tuple[str, Status, Change]] = [
    ("capacity-suffices", Status.UNKNOWN, nothing("peak")),
    ("bandwidth-suffices", Status.UNKNOWN, nothing("peak")),
    ("offsite-fresh", Status.PARTIAL, put("age", "offsite", 900.1)),
    ("offsite-fresh", Status.PARTIAL, put("age", "offsite", 93600.0)),
    ("temperature-in-range", Status.MANUAL, nothing("hottest")),
]


GREEN: dict[str, list[Change]] = {
    "capacity-suffices": [said(peak=named({"core1": 0.1}))],
    "bandwidth-suffices": [said(peak=named({"a-b": 0.1}))],
    "temperature-in-range": [said(hottest=named({"core1": 20.0}))],
    "alerts-loaded": [said(alerts=["Watchdog"])],
    "offsite-fresh": [put("age", "other", 5.0)],
    "offsite-daily": [put("age", "other", 5.0)],
}


def case(name: str, change: Change | None = None) -> Case:
    """The good case of a check, changed or not."""
    return spoilt(GOOD[name], change)


def spoilt(good: Case, change: Change | None) -> Case:
    """A copy of a case, changed or not."""
    planned, seen = copy.deepcopy(good)
    if change is not None:
        change(planned, seen)
    return planned, seen
