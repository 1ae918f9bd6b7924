"""Availability of sites, counties and services: minutes, and an interval that says what missing data could change.

Reckoned at each scrape. A site is up while any of its measured hosts answers, down while all of them are known not to;
else nothing is known. Of a service, each of its hosts counts alone: its availability is the mean of theirs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from egovctl.checks.context import Context
from egovctl.plan import City
from egovctl.render.topology import is_measured, topology_for_rules
from egovctl.report.monthly.month import Month
from egovctl.report.monthly.prometheus import Source
from egovctl.report.monthly.tracks import Grid, Track, any_up, tracks

Verdict = Literal["met", "not_met", "unknown"]
HOST_UP = "host:up:max"


@dataclass(frozen=True)
class Share:
    """Of how many seconds, how many were up, down, and without data; time of maintenance is in none of them."""

    up: int
    down: int
    unknown: int
    maintenance: int = 0

    @property
    def low(self) -> float | None:
        """Per cent, were it down whenever nothing is known; None where there is no time to speak of."""
        return self._percent(self.up)

    @property
    def high(self) -> float | None:
        """Per cent, were it up whenever nothing is known."""
        return self._percent(self.up + self.unknown)

    def against(self, promise: float) -> Verdict:
        """Whether the promise was kept; unknown where that hangs on what was not measured."""
        if self.low is None or self.high is None:
            return "unknown"
        return "met" if self.low >= promise else "not_met" if self.high < promise else "unknown"

    def __add__(self, other: Share) -> Share:
        return Share(
            self.up + other.up,
            self.down + other.down,
            self.unknown + other.unknown,
            self.maintenance + other.maintenance,
        )

    def _percent(self, seconds: int) -> float | None:
        # Of whole numbers, so that a promise kept to the second is kept.
        total = self.up + self.down + self.unknown
        return 100 * seconds / total if total else None


NOTHING = Share(0, 0, 0)


@dataclass(frozen=True)
class Span:
    """Something that went on from begin to end (seconds since 1970) at `name`."""

    name: str
    begin: int
    end: int

    @property
    def minutes(self) -> float:
        return (self.end - self.begin) / 60


@dataclass(frozen=True)
class Row:
    """A site or a service. `all_down` is, of a service, how long all its hosts were down at once (seconds)."""

    name: str
    promise: float
    share: Share
    outages: int
    all_down: int = 0

    @property
    def verdict(self) -> Verdict:
        return self.share.against(self.promise)


@dataclass(frozen=True)
class County:
    """A county's sites together, each counting alike; name None: those in no county."""

    name: str | None
    sites: tuple[str, ...]
    share: Share
    verdicts: Mapping[Verdict, int]


@dataclass(frozen=True)
class Availability:
    """All of a month.

    `blind` is when the NOC had no data of anything, `gaps` when it had none of a site; `untold`, maintenance in the
    calendar that the NOC was not told of when it was: that counts like any other time.
    """

    grid: Grid
    sites: tuple[Row, ...]
    counties: tuple[County, ...]
    services: tuple[Row, ...]
    outages: tuple[Span, ...]
    worked_at: tuple[Span, ...]
    gaps: tuple[Span, ...]
    blind: tuple[Span, ...]
    untold: tuple[Span, ...]
    unmeasured: tuple[str, ...]

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many sites and services kept their promise, and how many did not."""
        found: dict[Verdict, int] = {"met": 0, "not_met": 0, "unknown": 0}
        for row in (*self.sites, *self.services):
            found[row.verdict] += 1
        return found


@dataclass(frozen=True)
class _Excluded:
    """In which slots somebody worked at each site and on each service; where nothing is excluded there is no entry."""

    sites: Mapping[str, int]
    services: Mapping[str, int]
    untold: tuple[Span, ...]


def availability(context: Context, month: Month, source: Source) -> Availability:
    """The month's availability; CannotMeasure when Prometheus does not answer."""
    grid = Grid(int(month.begin.timestamp()), source.step, month.seconds // source.step)
    hosts = tracks(source, grid, HOST_UP, "host")
    alive = 0
    for track in hosts.values():
        alive |= track.known
    measured = _measured_hosts(context.city)
    states = {site: any_up((hosts.get(name, Track()) for name in names), grid) for site, names in measured.items()}
    excluded = _excluded(context, states, source, grid, alive)
    sites = tuple(
        _site_row(site.name, site.promised, states[site.name], excluded.sites.get(site.name, 0), grid)
        for site in context.plan.sites
        if site.name in states
    )
    outages: list[Span] = []
    worked_at: list[Span] = []
    gaps: list[Span] = []
    for row in sites:
        state, quiet = states[row.name], excluded.sites.get(row.name, 0)
        outages += _spans(row.name, state.down & ~quiet, grid)
        worked_at += _spans(row.name, quiet, grid)
        gaps += _spans(row.name, alive & ~state.known & ~quiet, grid)
    return Availability(
        grid,
        sites,
        tuple(_counties(context, sites)),
        tuple(_services(context, hosts, excluded, grid)),
        _by_time(outages),
        _by_time(worked_at),
        _by_time(gaps),
        tuple(_spans("", grid.all & ~alive, grid)),
        excluded.untold,
        tuple(site.name for site in context.plan.sites if site.name not in states),
    )


def _by_time(spans: list[Span]) -> tuple[Span, ...]:
    return tuple(sorted(spans, key=lambda span: (span.begin, span.name)))


def _measured_hosts(city: City) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for host in city.hosts.values():
        if is_measured(host):
            found[host.site].append(host.name)
    return dict(found)


def _excluded(context: Context, states: Mapping[str, Track], source: Source, grid: Grid, alive: int) -> _Excluded:
    """What the NOC recorded while it was; the calendar alone counts only where the NOC recorded nothing at all.

    A window that is written into the calendar after an outage does not undo it. What hangs on a site alone is left out
    while that is worked at and not up: as long as it answers, something else is the matter below it.
    """
    sites = {name: track.up for name, track in tracks(source, grid, "egov_maintenance", "site").items()}
    services = {name: track.up for name, track in tracks(source, grid, "egov_service_maintenance", "service").items()}
    untold: list[Span] = []
    for window in context.plan.maintenance:
        known, name = (sites, window.site) if window.site else (services, window.service or "")
        planned = grid.between(window.begin.timestamp(), window.end.timestamp())
        untold += _untold(str(name), planned & alive & ~known.get(str(name), 0), grid)
        known[str(name)] = known.get(str(name), 0) | (planned & ~alive)
    topology = topology_for_rules(context.plan, context.city)
    whole = dict(sites)
    for behind, upper in topology.behind:
        if upper in sites:
            whole[behind] = whole.get(behind, 0) | (sites[upper] & ~states.get(upper, Track()).up)
    return _Excluded(whole, services, tuple(untold))


def _untold(name: str, missing: int, grid: Grid) -> list[Span]:
    """A slot at each end is no more than how finely the NOC looks."""
    return [span for span in _spans(name, missing, grid) if span.end - span.begin > 2 * grid.step]


def _site_row(name: str, promise: float, state: Track, quiet: int, grid: Grid) -> Row:
    return Row(name, promise, _share(state, quiet, grid), len(_spans(name, state.down & ~quiet, grid)))


def _share(state: Track, quiet: int, grid: Grid) -> Share:
    spoken = grid.all & ~quiet
    return Share(
        grid.seconds(state.up & spoken),
        grid.seconds(state.down & spoken),
        grid.seconds(spoken & ~state.known),
        grid.seconds(quiet & grid.all),
    )


def _spans(name: str, mask: int, grid: Grid) -> list[Span]:
    return [Span(name, begin, end) for begin, end in grid.runs(mask & grid.all)]


def _counties(context: Context, sites: tuple[Row, ...]) -> Iterable[County]:
    rows = {row.name: row for row in sites}
    for county in (None, *(item.name for item in context.plan.counties)):
        own = [rows[site.name] for site in context.plan.sites if site.county == county and site.name in rows]
        if not own:
            continue
        verdicts: dict[Verdict, int] = {"met": 0, "not_met": 0, "unknown": 0}
        for row in own:
            verdicts[row.verdict] += 1
        yield County(county, tuple(row.name for row in own), sum((row.share for row in own), NOTHING), verdicts)


def _services(context: Context, hosts: Mapping[str, Track], excluded: _Excluded, grid: Grid) -> Iterable[Row]:
    for service in context.plan.services:
        names = [name for name in service.hosts if is_measured(context.city.hosts[name])]
        if not names:
            continue
        share, outages, all_down = NOTHING, 0, grid.all
        for name in names:
            quiet = excluded.sites.get(context.city.hosts[name].site, 0) | excluded.services.get(service.name, 0)
            track = hosts.get(name, Track())
            share += _share(track, quiet, grid)
            outages += len(_spans(name, track.down & ~quiet, grid))
            all_down &= track.down & ~quiet
        yield Row(service.name, service.availability, share, outages, grid.seconds(all_down))
