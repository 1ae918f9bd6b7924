"""What the evidence says of earlier runs: how long each restore takes when all is well, when each was last proven."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from egovctl.checks.context import Context
from egovctl.drill.model import Drill, Target
from egovctl.errors import UsageError
from egovctl.evidence import Record
from egovctl.i18n import tr

RUNS_KEPT = 20  # of the newest healthy runs: what is usual moves with the data
RUNS_NEEDED = 3  # fewer say nothing of what is usual
OVERDUE = timedelta(days=90)


@dataclass(frozen=True)
class Past:
    """The runs of one drill on one target. Seconds; `drilled_at` is when it last ran to a verdict, RFC 3339."""

    drill: str
    target: Target
    drilled_at: str | None = None
    verdict: str | None = None
    rto: tuple[float, ...] = ()  # of all runs that restored it, oldest first
    rpo: float | None = None

    @property
    def last(self) -> float | None:
        return self.rto[-1] if self.rto else None

    @property
    def middle(self) -> float | None:
        return round(median(self.rto), 3) if self.rto else None

    @property
    def worst(self) -> float | None:
        return max(self.rto, default=None)

    def overdue(self, now: datetime) -> bool:
        """Whether it was never proven, or longer ago than each set must be."""
        return self.drilled_at is None or now - datetime.fromisoformat(self.drilled_at) > OVERDUE


@dataclass(frozen=True)
class Covered:
    """A service on one of its hosts: which drill rehearses it, and what its runs say of its promises.

    `drill` is empty for a service with a backup that no drill rehearses; then `past` has no runs.
    """

    service: str
    host: str
    drill: str
    rto: int
    rpo: int
    past: Past
    overdue: bool

    @property
    def breaks(self) -> list[str]:
        """Which promises would break, were it needed today: "rto" by the worst restore, "rpo" by the last backup's age,
        "restore" when the last drill did not bring it back whole."""
        past, found = self.past, []
        if past.worst is not None and past.worst > self.rto:
            found.append("rto")
        if past.rpo is not None and past.rpo > self.rpo:
            found.append("rpo")
        if past.verdict == "not_met" and not found:
            found.append("restore")
        return found


def coverage(
    context: Context, drills: Iterable[tuple[Drill, list[Target]]], results: list[Record], now: datetime
) -> list[Covered]:
    """Every service with a backup on each of its hosts, in the plan's order, with each drill that rehearses it."""
    rows = []
    rehearsed = [(drill.id, target) for drill, targets in drills for target in targets]
    for service in context.plan.services:
        if service.backup is None:
            continue
        for host in context.city.backed_up(service.hosts):
            target = Target(service.name, host)
            for drill in [name for name, each in rehearsed if each == target] or [""]:
                past = past_of(results, drill, target)
                rows.append(Covered(service.name, host, drill, service.rto, service.rpo, past, past.overdue(now)))
    return rows


def one_run(records: Iterable[Record], wanted: str) -> tuple[Record | None, Record | None]:
    """What was planned and what came of the run whose id begins so; UsageError for none, or for several."""
    runs: dict[str, dict[str, Record]] = {}
    for record in records:
        if record.kind in ("drill.planned", "drill.result") and record.body["run"].startswith(wanted):
            runs.setdefault(record.body["run"], {})[record.kind] = record
    if len(runs) != 1 or not wanted:
        found = ", ".join(list(runs)[:5])
        raise UsageError(
            tr(
                f"没有唯一的演练 {wanted}（{found or '无'}）；见 egovctl drill history",
                f"no single run {wanted} ({found or 'none'}); egovctl drill history lists them",
            )
        )
    (steps,) = runs.values()
    return steps.get("drill.planned"), steps.get("drill.result")


def usual_seconds(results: Iterable[Record], drill: str) -> dict[str, float]:
    """By target: the median seconds of this drill's newest healthy runs, where there are enough of them."""
    taken: dict[str, list[float]] = defaultdict(list)
    for record in results:
        if record.body["drill"] == drill:
            for item in record.body["items"]:
                if _healthy(item):
                    taken[str(Target(item["service"], item["host"]))].append(float(item["rto_seconds"]))
    return {target: median(seconds[-RUNS_KEPT:]) for target, seconds in taken.items() if len(seconds) >= RUNS_NEEDED}


def past_of(results: Iterable[Record], drill: str, target: Target) -> Past:
    """The runs of one drill on one target."""
    drilled_at = verdict = rpo = None
    seconds: list[float] = []
    for record in results:
        if record.body["drill"] != drill:
            continue
        for item in record.body["items"]:
            if (item["service"], item["host"]) != (target.service, target.host):
                continue
            if item["rto_seconds"] is not None:
                seconds.append(float(item["rto_seconds"]))
            if item["verdict"] != "unknown":
                drilled_at, verdict, rpo = record.at, str(item["verdict"]), item["rpo_seconds"]
    return Past(drill, target, drilled_at, verdict, tuple(seconds), rpo)


def _healthy(item: dict[str, Any]) -> bool:
    return item["outcome"] == "completed" and item["verdict"] == "met" and item["rto_seconds"] is not None
