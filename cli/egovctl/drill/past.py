"""What the evidence says of earlier runs: how long each restore takes when all is well, when each was last proven."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from egovctl.drill.model import Target
from egovctl.evidence import Record

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
