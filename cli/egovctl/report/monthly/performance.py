"""The performance evaluation of the network (应用绩效评估), a row a county: how much was there, how full, how clean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from egovctl.report.monthly.availability import Availability, Share, Verdict
from egovctl.report.monthly.bandwidth import Bandwidth, LinkLoad
from egovctl.report.monthly.month import Month
from egovctl.report.monthly.prometheus import Source, within
from egovctl.report.monthly.tracks import DAY

ERRORS = "link:errors:ratio5m"


@dataclass(frozen=True)
class CountyPerformance:
    """A county, or what is in none (name None). Ratios are 0 to 1; None where nothing was measured."""

    name: str | None
    sites: int
    share: Share
    verdicts: dict[Verdict, int]
    links: int
    measured: int
    used: float | None
    busiest: LinkLoad | None
    full: int
    errors: float | None


def performance(
    available: Availability, carried: Bandwidth, month: Month, source: Source
) -> tuple[CountyPerformance, ...]:
    """The counties in plan order, after what is in none of them."""
    errors = packet_errors(month, source)
    return tuple(
        _county(
            [link for link in carried.links if link.county == county.name],
            errors,
            name=county.name,
            sites=len(county.sites),
            share=county.share,
            verdicts=dict(county.verdicts),
        )
        for county in available.counties
    )


def packet_errors(month: Month, source: Source) -> dict[str, float]:
    """Link → mean share of packets with errors over the month."""
    begin, until = int(month.begin.timestamp()), int(month.until.timestamp())
    last = begin - (begin - until) // DAY * DAY
    sums: dict[str, list[float]] = {}
    for labels, values in source.range(f"avg_over_time({within(ERRORS, DAY)})", begin + DAY, last, DAY):
        if "link" in labels:
            sums.setdefault(labels["link"], []).extend(value for _, value in values)
    return {name: sum(values) / len(values) for name, values in sums.items() if values}


def _county(
    links: list[LinkLoad],
    errors: dict[str, float],
    *,
    name: str | None,
    sites: int,
    share: Share,
    verdicts: dict[Verdict, int],
) -> CountyPerformance:
    measured = [link for link in links if link.used is not None]
    return CountyPerformance(
        name,
        sites,
        share,
        verdicts,
        len(links),
        len(measured),
        mean(link.used for link in measured if link.used is not None),
        max(measured, key=lambda link: link.used or 0.0, default=None),
        sum(link.full for link in measured),
        mean(errors[link.name] for link in links if link.name in errors),
    )


def mean(values: Iterable[float]) -> float | None:
    """Of no values, None."""
    there = list(values)
    return sum(there) / len(there) if there else None
