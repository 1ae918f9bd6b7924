"""Which links to widen, and by when: where the weekly 95th percentile is heading, and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from egovctl.checks.context import Context
from egovctl.report.monthly.bandwidth import DIRECTIONS, FULL, MEANS, SHARE, Direction, link_name, measured_links
from egovctl.report.monthly.month import ZONE, Month
from egovctl.report.monthly.prometheus import Source
from egovctl.report.monthly.trend import Trend, fit

WEEK = 7 * 86_400
WEEKS = 26  # how far back is looked; half a year, so that last year's habits do not count
AHEAD = 52  # weeks; nobody can say more of a line that was watched for half a year
SOON = 26  # weeks in which a contract can be changed, with a budget's round
EACH = 2016  # means of 5 minutes in a week
COVERED = 0.5  # of them must be there
# full: above 80 % already. widen: passes it within AHEAD. watch: the interval does within SOON. enough: neither.
Advice = Literal["full", "widen", "watch", "enough", "too-short"]
ORDER: tuple[Advice, ...] = ("full", "widen", "watch", "enough", "too-short")


@dataclass(frozen=True)
class Outlook:
    """One link: the weeks of its busier direction, (end of the week, 95th percentile), and what they lead to.

    `passes` is when the line passes FULL of the contract; `earliest` and `latest` when the ends of its interval do.
    None: not within AHEAD.
    """

    name: str
    site: str
    peer_site: str
    county: str | None
    contract: int
    direction: Direction
    weeks: tuple[tuple[int, float], ...]
    trend: Trend | None
    advice: Advice
    passes: date | None = None
    earliest: date | None = None
    latest: date | None = None

    @property
    def now(self) -> float | None:
        """What the line says of the last week; without a line, what was measured in it."""
        if not self.weeks:
            return None
        return self.trend.at(0.0) if self.trend else self.weeks[-1][1]

    @property
    def a_year(self) -> float | None:
        """By how much it grows in a year, bits per second."""
        return self.trend.slope * 52 if self.trend else None


def capacity(context: Context, month: Month, source: Source) -> tuple[Outlook, ...]:
    """The links in plan order; CannotMeasure when Prometheus does not answer."""
    end = int(month.until.timestamp()) // 300 * 300
    weeks = {direction: _weeks(source, direction, end) for direction in DIRECTIONS}
    hosts = context.city.hosts
    found = []
    for link in measured_links(context)[0]:
        name = link_name(link)
        direction = max(DIRECTIONS, key=lambda item: weeks[item].get(name, [(0, -1.0)])[-1][1])
        points = tuple(weeks[direction].get(name, ()))
        found.append(
            outlook(
                Outlook(
                    name,
                    hosts[link.child].site,
                    hosts[link.parent].site,
                    hosts[link.child].county,
                    link.mbps * 1_000_000,
                    direction,
                    points,
                    None,
                    "too-short",
                ),
                end,
            )
        )
    return tuple(found)


def _weeks(source: Source, direction: Direction, end: int) -> dict[str, list[tuple[int, float]]]:
    """Link → (end of the week, 95th percentile of its means of 5 minutes), of weeks that were measured by half."""
    begin = end - (WEEKS - 1) * WEEK
    metric = MEANS[direction]
    enough: dict[str, set[int]] = defaultdict(set)
    for labels, values in source.range(f"count_over_time({metric}[7d:5m])", begin, end, WEEK):
        enough[labels.get("link", "")] |= {at for at, value in values if value >= COVERED * EACH}
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for labels, values in source.range(f"quantile_over_time({SHARE}, {metric}[7d:5m])", begin, end, WEEK):
        name = labels.get("link", "")
        # Of a contract that was changed within the week there are two series; the fuller says more.
        for at, value in values:
            if at in enough[name]:
                found[name][at] = max(value, found[name].get(at, 0.0))
    return {name: sorted(points.items()) for name, points in found.items()}


def outlook(link: Outlook, end: int) -> Outlook:
    """The link with its trend and what follows from it. Weeks are counted from `end`, which is week 0."""
    trend = fit([((at - end) / WEEK, value) for at, value in link.weeks])
    limit = FULL * link.contract
    if trend is None:
        full = bool(link.weeks) and link.weeks[-1][1] > limit
        return _with(link, None, "full" if full else "too-short", end)
    middle, low, high = (_first(trend, limit, which, ahead=AHEAD) for which in ("middle", "low", "high"))
    if trend.at(0.0) > limit:
        return _with(link, trend, "full", end)
    if trend.grows and middle is not None:
        return _with(link, trend, "widen", end, middle, high, low)
    advice: Advice = "watch" if high is not None and high <= SOON else "enough"
    return _with(link, trend, advice, end, None, high if advice == "watch" else None)


def _first(trend: Trend, limit: float, which: str, *, ahead: int) -> float | None:
    """The first day, in weeks from now, on which the line or an end of its interval is above the limit."""
    for day in range(ahead * 7 + 1):
        week = day / 7
        value = trend.at(week) if which == "middle" else trend.interval(week)[which == "high"]
        if value > limit:
            return week
    return None


def _with(
    link: Outlook,
    trend: Trend | None,
    advice: Advice,
    end: int,
    passes: float | None = None,
    earliest: float | None = None,
    latest: float | None = None,
) -> Outlook:
    days = [None if week is None else _day(end + week * WEEK) for week in (passes, earliest, latest)]
    return Outlook(
        link.name,
        link.site,
        link.peer_site,
        link.county,
        link.contract,
        link.direction,
        link.weeks,
        trend,
        advice,
        *days,
    )


def _day(second: float) -> date:
    return datetime.fromtimestamp(second, ZONE).date()
