"""The checks of the checklist as-planned: what their collectors give when all is well, and what turns each red.

Only what the expressions ask for is here; what the texts show is tested where the collectors are.
"""

from __future__ import annotations

from typing import Any

from measured_cases import Case, Change, named, nothing, put, said, spoilt, wanted

from egovctl.checks.model import Status


def flow(expect: str, result: str, listening: bool = True, gap: float = 1.0) -> dict[str, Any]:
    return {"expect": expect, "result": result, "listening": listening, "gap_seconds": gap}


DENIED, ALLOWED, HOLE = flow("deny", "timeout"), flow("allow", "open"), flow("deny", "open", False, 9.0)
UNPROVEN, LATE = flow("deny", "timeout", False), flow("deny", "timeout", True, 1.0005)
CLOSED = flow("allow", "timeout")
SEALS: dict[str, Any] = {
    "looked": named({"noc": 119.0}),
    "waiting": named({"noc": 7199.0}),
    "used": named({"noc": 1.0}),
    "ok": named({"noc": 1.0}),
    "days": named({"noc": 3.0}),
    "age": named({"noc": 93599.0}),
}
FRESH: Case = (
    {"hosts": ["a", "b"], "tellers": {"a": "a", "b": "t"}, "rpo_seconds": 3600.0},
    {"age": named({"a": 3600.0, "b": 10.0}), "up": named({"a": 1.0, "t": 1.0})},
)
TIME = {"synchronised": True, "offset_seconds": 0.09999, "reference": "core1"}
GOOD: dict[str, Case] = {
    "drift": ({"items": 1}, {"items": []}),
    "denied-flows-denied": ({}, {"flows": [DENIED, ALLOWED]}),
    "management-closed": ({}, {"flows": [DENIED]}),
    "reachability": ({"probes": 1}, {"probes": 1, "leak_count": 0, "closed_count": 0, "unproven_count": 0}),
    "units-active": (
        {"units_active": ["a"], "units_inactive": ["b", "c"]},
        {"units_active": ["a", "other"]},
    ),
    "neighbours-up": ({"neighbours": ["x"]}, {"neighbours": ["x"], "neighbours_not_up": []}),
    "prefixes-learned": ({"prefixes": ["p"]}, {"prefixes": ["p", "q"]}),
    "paths-as-planned": ({"next_hops": ["x"]}, {"next_hops": ["x"]}),
    "time-in-step": ({"time_references": ["core1"]}, {"time": TIME}),
    "targets-up": ({"targets": ["node a"]}, {"up": named({"node a": 1.0})}),
    "logs-arriving": ({"log_hosts": ["a"]}, {"age": named({"a": 180.0}), "looked": named({"noc": 119.0})}),
    "logs-sealed": ({"log_hosts": ["a"]}, SEALS),
    "backups-fresh": FRESH,
}
RED: dict[str, list[Change]] = {
    "drift": [said(items=["a file"])],
    "denied-flows-denied": [
        said(flows=[HOLE, UNPROVEN]),
        said(flows=[DENIED, CLOSED]),
        said(flows=[DENIED, ALLOWED, HOLE]),
    ],
    "management-closed": [said(flows=[HOLE, UNPROVEN]), said(flows=[DENIED, HOLE])],
    "reachability": [
        said(leak_count=1, unproven_count=3, probes=0),
        said(closed_count=1),
        said(leak_count=1, closed_count=1),
    ],
    "units-active": [said(units_active=["other"]), said(units_active=["a", "b"]), said(units_active=["a", "b", "c"])],
    "neighbours-up": [said(neighbours=[]), said(neighbours=["x", "y"]), said(neighbours_not_up=["bgp4 y (Active)"])],
    "prefixes-learned": [said(prefixes=["q"])],
    "paths-as-planned": [said(next_hops=["y"])],
    "time-in-step": [
        said(time={**TIME, "synchronised": False}),
        said(time={**TIME, "offset_seconds": 0.1}),
        said(time={**TIME, "reference": "elsewhere"}),
    ],
    "targets-up": [
        lambda planned, seen: (planned.update(targets=["a", "b"]), seen.update(up=named({"a": 1.0, "b": 0.0})))[0],
        nothing("up"),
        put("up", "node b", 1.0),
        put("up", "node a", 0.0),
        put("up", "node a", 2.0),
    ],
    "logs-arriving": [
        put("age", "a", 180.1),
        nothing("age"),
        lambda planned, seen: (planned.update(log_hosts=["a", "b"]), put("age", "b", 999.0)(planned, seen))[0],
    ],
    "logs-sealed": [
        put("waiting", "noc", 7200.0),
        put("used", "noc", 1.0005),
        put("ok", "noc", 0.0),
        put("ok", "noc", 2.0),
        nothing("age"),
        put("age", "noc", 93600.0),
    ],
    "backups-fresh": [
        put("age", "a", 3601.0),
        said(age=named({"a": 5.0})),
        said(age=named({"a": 3601.0}), up=named({})),
        said(age=named({"a": 3601.0}), up=named({"a": 1.0, "t": 0.0})),
    ],
}
OTHER: list[tuple[str, Status, Change]] = [
    ("drift", Status.UNKNOWN, wanted(items=0)),
    ("denied-flows-denied", Status.UNKNOWN, said(flows=[])),
    ("denied-flows-denied", Status.UNKNOWN, said(flows=[ALLOWED])),
    ("denied-flows-denied", Status.UNKNOWN, said(flows=[DENIED, UNPROVEN])),
    ("denied-flows-denied", Status.UNKNOWN, said(flows=[DENIED, LATE])),
    ("management-closed", Status.UNKNOWN, said(flows=[])),
    ("management-closed", Status.UNKNOWN, said(flows=[DENIED, UNPROVEN])),
    ("management-closed", Status.UNKNOWN, said(flows=[DENIED, LATE])),
    ("reachability", Status.UNKNOWN, said(unproven_count=1)),
    ("reachability", Status.UNKNOWN, wanted(probes=2)),
    ("reachability", Status.UNKNOWN, lambda planned, seen: (planned.update(probes=0), seen.update(probes=0))[0]),
    ("units-active", Status.UNKNOWN, wanted(units_active=[])),
    ("neighbours-up", Status.UNKNOWN, wanted(neighbours=[])),
    ("prefixes-learned", Status.UNKNOWN, wanted(prefixes=[])),
    ("paths-as-planned", Status.UNKNOWN, wanted(next_hops=[])),
    ("targets-up", Status.UNKNOWN, wanted(targets=[])),
    ("logs-arriving", Status.UNKNOWN, wanted(log_hosts=[])),
    ("logs-arriving", Status.UNKNOWN, nothing("looked")),
    ("logs-arriving", Status.UNKNOWN, put("looked", "noc", 120.0)),
    ("logs-arriving", Status.UNKNOWN, put("looked", "noc2", 120.0)),
    ("logs-sealed", Status.UNKNOWN, wanted(log_hosts=[])),
    ("logs-sealed", Status.UNKNOWN, nothing("looked")),
    ("logs-sealed", Status.UNKNOWN, put("looked", "noc", 120.0)),
    ("logs-sealed", Status.UNKNOWN, nothing("waiting")),
    ("logs-sealed", Status.UNKNOWN, nothing("used")),
    ("backups-fresh", Status.UNKNOWN, wanted(hosts=[])),
    ("backups-fresh", Status.UNKNOWN, said(age=named({"a": 5.0}), up=named({"a": 1.0}))),
    ("backups-fresh", Status.UNKNOWN, said(age=named({"a": 5.0}), up=named({"a": 1.0, "t": 0.0}))),
    ("backups-fresh", Status.UNKNOWN, said(age=named({"a": 3600.0}), up=named({}))),
    ("backups-fresh", Status.UNKNOWN, said(age=named({"a": 3600.0}), up=named({"t": 2.0}))),
]
GREEN: dict[str, list[Change]] = {
    "denied-flows-denied": [said(flows=[DENIED, flow("allow", "open", False, 9.0)])],
    "logs-sealed": [said(ok=named({}), age=named({}))],
    "backups-fresh": [said(up=named({})), wanted(hosts=["a"])],
    "time-in-step": [said(time={**TIME, "reference": "core2"})],
}
# Whom the green cases are about where it matters: a core may take the time from elsewhere.
SUBJECTS: dict[str, dict[str, Any]] = {"time-in-step": {"name": "core1", "role": "core"}}


def case(name: str, change: Change | None = None) -> Case:
    """The good case of a check, changed or not."""
    return spoilt(GOOD[name], change)
