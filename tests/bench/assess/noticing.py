"""What an assessment says of one host, and what of it is new since another."""

from __future__ import annotations

import resource
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from egovctl.assess.standards import standards
from egovctl.checks import content
from egovctl.checks.context import Context
from egovctl.checks.engine import run_checks
from egovctl.checks.model import Check, Result, Status

STANDARD = "mlps-level-3"
LOOKS = ("facts", "host", "drift")  # collectors that ask the host itself
BAD = (Status.FAIL, Status.PARTIAL)


@dataclass(frozen=True)
class Said:
    """One look at one host, judged: by check. `cpu_host` is what the look used there, `cpu_here` all the rest."""

    host: str
    results: dict[str, Result]
    wall: float
    cpu_host: float
    cpu_here: float


def checks_of_hosts(context: Context, by: Collection[str] = LOOKS) -> list[Check]:
    """The checks behind the standard and its high-risk cases that ask hosts themselves."""
    listed = standards(context.inventory)
    standard = listed.get(STANDARD)
    wanted = set(standard.by_id) | (set(listed.get(standard.hazards).by_id) if standard.hazards else set())
    shelf = content.checks(context.inventory).entries.values()
    return [
        check
        for check in shelf
        if check.subject == "host" and check.collect.by in by and wanted & {*check.items, *check.supports}
    ]


def look(context: Context, host: str, checks: Iterable[Check]) -> Said:
    """Look at one host and judge. Nothing is recorded and nothing kept."""
    context = replace(context, looks={}, reused={})
    begun, used = time.monotonic(), _cpu()
    found = [result for result in run_checks(context, checks, among={host}) if result.subject == host]
    wall, here = time.monotonic() - begun, _cpu() - used
    on_host = context.looks[host].cpu_seconds if host in context.looks else 0.0
    return Said(host, {result.check: result for result in found}, wall, on_host, here)


def look_at_all(context: Context, hosts: Collection[str], checks: Iterable[Check]) -> dict[str, dict[str, Result]]:
    """What the checks say of each host, all looked at together."""
    found: dict[str, dict[str, Result]] = {host: {} for host in hosts}
    for result in run_checks(replace(context, looks={}, reused={}), checks, among=set(hosts)):
        if result.subject in found:
            found[result.subject][result.check] = result
    return found


def _cpu() -> float:
    return sum(
        one.ru_utime + one.ru_stime for one in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def noticed(before: dict[str, Result], after: dict[str, Result]) -> dict[str, list[str]]:
    """The checks that tell of something new, and what: those that fail and did not, and those that failed already
    and name one thing more. A check that can no longer measure has noticed nothing."""
    found: dict[str, list[str]] = {}
    for check, result in after.items():
        if result.status not in BAD or check not in before:
            continue
        was = before[check]
        if was.status not in BAD:
            found[check] = [result.detail["en"]]
        elif more := sorted(named(result.shown) - named(was.shown)):
            found[check] = more
    return found


def named(shown: dict[str, Any]) -> set[str]:
    """The things that a result lists by name."""
    return {str(item) for value in shown.values() if isinstance(value, list | tuple) for item in value}


def differing(one: dict[str, Result], other: dict[str, Result]) -> list[str]:
    """The checks whose status is not the same in two looks, or that name other things as wrong."""
    names = one.keys() | other.keys()
    return sorted(name for name in names if _essence(one.get(name)) != _essence(other.get(name)))


def _essence(result: Result | None) -> tuple[str, frozenset[str]]:
    if result is None:
        return "absent", frozenset()
    return result.status.value, frozenset(named(result.shown) if result.status in BAD else ())
