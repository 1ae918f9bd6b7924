"""What links carried: 95th percentile and peak of each direction against the contract, and how long they were full.

The 95th percentile is the field's: of the month's means of 5 minutes, the largest once the highest 5 % are left out.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from egovctl.checks.context import Context
from egovctl.plan import Link
from egovctl.render.topology import is_measured
from egovctl.report.monthly.month import Month
from egovctl.report.monthly.prometheus import Source, within

Direction = Literal["receive", "transmit"]  # towards the lower end, away from it
DIRECTIONS: tuple[Direction, ...] = ("receive", "transmit")
# The signals that are read; dashboards/sites/signals.yml says what they are.
MEANS: dict[Direction, str] = {item: f"link:{item}_bits:rate5m" for item in DIRECTIONS}
PEAKS: dict[Direction, str] = {item: f"link:{item}_bits:rate2m" for item in DIRECTIONS}
INTERVAL = 300
HOUR = 3600
SHARE = 0.95
FULL = 0.8  # of the contract; the threshold `warning` of the signal link:usage:ratio


@dataclass(frozen=True)
class Load:
    """One direction of a link, bits per second; None where nothing was measured. `full` and `measured` in seconds."""

    direction: Direction
    p95: float | None
    mean: float | None
    peak: float | None
    peak_at: int | None
    full: int
    measured: int


@dataclass(frozen=True)
class LinkLoad:
    """A link by its lower end, its contract (bits per second, each way), and both directions."""

    name: str
    site: str
    peer_site: str
    county: str | None
    medium: str
    contract: int
    loads: tuple[Load, Load]
    expected: int

    @property
    def p95(self) -> float | None:
        """The 95th percentile of the busier direction."""
        return max((load.p95 for load in self.loads if load.p95 is not None), default=None)

    @property
    def used(self) -> float | None:
        """That, as a share of the contract."""
        return None if self.p95 is None else self.p95 / self.contract

    @property
    def full(self) -> int:
        """Seconds in which the busier direction was above FULL."""
        return max(load.full for load in self.loads)

    @property
    def coverage(self) -> float:
        """The share of the time in which it was measured, of the direction that was less."""
        return min(load.measured for load in self.loads) / self.expected if self.expected else 0.0


@dataclass(frozen=True)
class Bandwidth:
    """The links of a month, in plan order; `unmeasured` are those of which the plan has neither end measured."""

    links: tuple[LinkLoad, ...]
    unmeasured: tuple[str, ...]


def link_name(link: Link) -> str:
    """What signals call a link: its lower end."""
    return f"{link.child}:{link.child_interface}"


def measured_links(context: Context) -> tuple[list[Link], list[str]]:
    """The links of which an end is measured, and the names of the others."""
    hosts = context.city.hosts
    seen = [link for link in context.city.links if is_measured(hosts[link.child]) or is_measured(hosts[link.parent])]
    return seen, [link_name(link) for link in context.city.links if link not in seen]


def bandwidth(context: Context, month: Month, source: Source) -> Bandwidth:
    """The month's figures; CannotMeasure when Prometheus does not answer."""
    begin, until = int(month.begin.timestamp()), int(month.begin.timestamp()) + month.seconds // INTERVAL * INTERVAL
    links, unmeasured = measured_links(context)
    means: dict[Direction, dict[str, array[float]]] = {}
    peaks: dict[Direction, dict[str, tuple[float, int]]] = {}
    for direction in DIRECTIONS:
        means[direction] = _means(source, direction, begin, until)
        peaks[direction] = _peaks(source, direction, begin, until)
    hosts = context.city.hosts
    return Bandwidth(
        tuple(
            LinkLoad(
                link_name(link),
                hosts[link.child].site,
                hosts[link.parent].site,
                hosts[link.child].county,
                link.medium,
                link.mbps * 1_000_000,
                (
                    _load(link, "receive", means["receive"], peaks["receive"]),
                    _load(link, "transmit", means["transmit"], peaks["transmit"]),
                ),
                until - begin,
            )
            for link in links
        ),
        tuple(unmeasured),
    )


def percentile95(values: Sequence[float]) -> float | None:
    """The value at place ceil(0.95 n) in order: what is left at the top once 5 % are dropped; None of no values."""
    return sorted(values)[math.ceil(SHARE * len(values)) - 1] if values else None


def _means(source: Source, direction: Direction, begin: int, until: int) -> dict[str, array[float]]:
    """Link → its means of 5 minutes. One that is missing is missing; it is not the one before it."""
    found: dict[str, array[float]] = defaultdict(lambda: array("d"))
    chosen = within(MEANS[direction], source.step)
    for labels, values in source.range(f"last_over_time({chosen})", begin + INTERVAL, until, INTERVAL):
        if "link" in labels:
            found[labels["link"]].extend(value for _, value in values)
    return found


def _peaks(source: Source, direction: Direction, begin: int, until: int) -> dict[str, tuple[float, int]]:
    """Link → (highest mean of 2 minutes, in the hour before which moment)."""
    found: dict[str, tuple[float, int]] = {}
    last = begin - (begin - until) // HOUR * HOUR
    chosen = within(PEAKS[direction], HOUR)
    for labels, values in source.range(f"max_over_time({chosen})", begin + HOUR, last, HOUR):
        for at, value in values if "link" in labels else ():
            if value > found.get(labels["link"], (-1.0, 0))[0]:
                found[labels["link"]] = (value, at)
    return found


def _load(
    link: Link, direction: Direction, means: dict[str, array[float]], peaks: dict[str, tuple[float, int]]
) -> Load:
    values = means.get(link_name(link), array("d"))
    peak, at = peaks.get(link_name(link), (None, None))
    limit = FULL * link.mbps * 1_000_000
    return Load(
        direction,
        percentile95(values),
        sum(values) / len(values) if values else None,
        peak,
        at,
        sum(value > limit for value in values) * INTERVAL,
        len(values) * INTERVAL,
    )
