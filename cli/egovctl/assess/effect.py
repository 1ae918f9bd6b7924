"""What a statement changes: a verdict with it beside the verdict without it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from egovctl.assess.standards import Item
from egovctl.assess.statements import Statement
from egovctl.assess.verdict import Evidence, Judged, judge_item
from egovctl.checks.model import Check, Result, Status


def read_results(whole: Mapping[str, Any], checks: Iterable[str]) -> list[Result]:
    """The results of some checks in the file of an assessment."""
    wanted = set(checks)
    found = (Result(**entry) for entry in whole["results"] if entry["check"] in wanted)
    return [replace(result, status=Status(result.status)) for result in found]


def naming(item: Item, checks: Mapping[str, Check]) -> list[str]:
    """The checks that are evidence for a requirement, or support it."""
    return [name for name, check in checks.items() if item.id in check.items or item.id in check.supports]


def alone(
    item: Item, checks: Mapping[str, Check], results: Sequence[Result], statement: Statement | None = None
) -> Judged:
    """The verdict by these results, without a statement unless one is given."""
    settling = tuple(one for one in results if one.check in checks and item.id in checks[one.check].items)
    supporting = tuple(one for one in results if one.check in checks and item.id in checks[one.check].supports)
    return judge_item(item, Evidence(settling, supporting, statement))


def idle(item: Item, checks: Mapping[str, Check], results: Sequence[Result], statement: Statement) -> Judged | None:
    """What these results alone come to, where the statement makes nothing else of it; None where it counts."""
    without, with_it = alone(item, checks, results), alone(item, checks, results, statement)
    return without if (without.verdict, without.reason) == (with_it.verdict, with_it.reason) else None


def settled(item: Item, checks: Mapping[str, Check], statement: Statement) -> bool:
    """Whether checks can settle a requirement by themselves, so that what this states may not be needed of people."""
    by_checks = item.settles == "full" and any(item.id in check.items for check in checks.values())
    return by_checks and statement.status in ("met", "not_applicable")
