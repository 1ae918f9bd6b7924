"""What is known of a thing at each scrape of a month: up, down, or nothing. Bits of two numbers, so that a city fits.

A month is cut into slots of one evaluation interval each. Slot i is what was measured after begin + i * step, up to
and with begin + (i + 1) * step. Of a slot without a sample nothing is known; no value is carried over from before it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from egovctl.report.monthly.prometheus import Source, within

HOUR = 3600
DAY = 86_400
ONES = re.compile("1+")


@dataclass(frozen=True)
class Grid:
    """The slots of a month: `count` of `step` seconds from `begin` on (seconds since 1970)."""

    begin: int
    step: int
    count: int

    @property
    def all(self) -> int:
        """Every slot."""
        return (1 << self.count) - 1

    @property
    def end(self) -> int:
        return self.begin + self.count * self.step

    def between(self, begin: float, end: float) -> int:
        """The slots that end after `begin`, up to the one that `end` falls into."""
        first = max(0, min(self.count, int((begin - self.begin) // self.step)))
        last = max(first, min(self.count, int(-((self.begin - end) // self.step))))
        return ((1 << last) - 1) & ~((1 << first) - 1)

    def seconds(self, mask: int) -> int:
        """How long these slots are together."""
        return mask.bit_count() * self.step

    def runs(self, mask: int) -> Iterator[tuple[int, int]]:
        """(begin, end) in seconds since 1970 of each unbroken run of slots."""
        for match in ONES.finditer(format(mask, "b")[::-1]):
            yield self.begin + match.start() * self.step, self.begin + match.end() * self.step


@dataclass(frozen=True)
class Track:
    """In which slots a thing was up and in which down; in the others nothing is known."""

    up: int = 0
    down: int = 0

    @property
    def known(self) -> int:
        return self.up | self.down

    def joined(self, other: Track) -> Track:
        """With what another series says of the same thing; up where either says so."""
        up = self.up | other.up
        return Track(up, (self.down | other.down) & ~up)


def any_up(tracks: Iterable[Track], grid: Grid) -> Track:
    """Of a thing that is up while any of these is, and down while all of them are."""
    up, down = 0, grid.all
    for track in tracks:
        up |= track.up
        down &= track.down
    return Track(up, down)


def tracks(source: Source, grid: Grid, metric: str, label: str) -> dict[str, Track]:
    """The tracks of a recorded 0/1 signal by one of its labels. Hours all 1 or all 0 are asked for by count alone."""
    expected = HOUR // grid.step
    found: dict[str, Track] = defaultdict(Track)
    sums = _hours(source, grid, f"sum_over_time({within(metric, HOUR)})", label)
    mixed: dict[int, set[str]] = defaultdict(set)
    for (name, series), counts in _hours(source, grid, f"count_over_time({within(metric, HOUR)})", label).items():
        up = down = 0
        for hour, count in counts.items():
            block = ((1 << expected) - 1) << (hour * expected)
            total = sums.get((name, series), {}).get(hour, -1.0)
            if count == expected and total == expected:
                up |= block
            elif count == expected and total == 0:
                down |= block
            else:
                mixed[hour * HOUR // DAY].add(name)
        found[name] = found[name].joined(Track(up & grid.all, down & grid.all))
    for day, names in sorted(mixed.items()):
        for name, track in _slots(source, grid, metric, label, sorted(names), day):
            found[name] = found[name].joined(track)
    return dict(found)


def _hours(source: Source, grid: Grid, expression: str, label: str) -> dict[tuple[str, str], dict[int, float]]:
    """(label's value, whole series) → number of the hour → value. The last hour may be one that has not ended."""
    begin, end = grid.begin + HOUR, grid.begin - (grid.begin - grid.end) // HOUR * HOUR
    found: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for labels, values in source.range(expression, begin, end, HOUR):
        if label in labels:
            series = repr(sorted(labels.items()))
            found[labels[label], series] |= {(at - grid.begin) // HOUR - 1: value for at, value in values}
    return found


def _slots(
    source: Source, grid: Grid, metric: str, label: str, names: list[str], day: int
) -> Iterator[tuple[str, Track]]:
    """Each sample of a day, of these names alone."""
    wanted = "|".join(re.escape(name).replace("\\", "\\\\") for name in names)
    chosen = within(f'{metric}{{{label}=~"{wanted}"}}', grid.step)
    begin = grid.begin + day * DAY
    end = min(grid.end, begin + DAY)
    count, before = (end - begin) // grid.step, (begin - grid.begin) // grid.step
    for labels, values in source.range(f"last_over_time({chosen})", begin + grid.step, end, grid.step):
        marks = {True: bytearray(b"0" * count), False: bytearray(b"0" * count)}
        for at, value in values:
            marks[value > 0][count - (at - begin) // grid.step] = ord("1")
        yield labels[label], Track(*(int(marks[key], 2) << before for key in (True, False)))
