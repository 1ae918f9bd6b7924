"""PostgreSQL's WAL as an archive lists it: segments, timelines, and whether a way leads to its end without a gap.

Only names and numbers; nothing is read from the archive here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SEGMENT_OCTETS = 16 << 20
SEGMENT = re.compile(r"(?:.*/)?([0-9A-F]{8})([0-9A-F]{8})(000000[0-9A-F]{2})-([0-9a-f]{40})(?:\.[a-z0-9]+)?")
HISTORY = re.compile(r"(?:.*/)?([0-9A-F]{8})\.history(?:\.[a-z0-9]+)?")
HISTORY_LINE = re.compile(r"\s*(\d+)\s+([0-9A-Fa-f]+/[0-9A-Fa-f]+)")
LOWEST = 0xFF


def lsn(text: str) -> int:
    """ "1/6C000000" → its octet number; ValueError for what is no LSN."""
    high, slash, low = text.partition("/")
    if not slash:
        raise ValueError(f"no LSN: {text}")
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(number: int) -> str:
    """The other way round."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


@dataclass(frozen=True, order=True)
class Place:
    """Where a segment is in a cluster's life: its timeline, and its number from the beginning of the WAL."""

    timeline: int
    number: int

    @property
    def name(self) -> str:
        """What PostgreSQL calls it."""
        return f"{self.timeline:08X}{self.number // (LOWEST + 1):08X}{self.number % (LOWEST + 1):08X}"

    @property
    def start(self) -> int:
        """The LSN of its first octet."""
        return self.number * SEGMENT_OCTETS

    @classmethod
    def of(cls, name: str) -> Place:
        """From PostgreSQL's 24 digits; ValueError for anything else."""
        if not re.fullmatch(r"[0-9A-F]{24}", name):
            raise ValueError(f"no WAL segment: {name}")
        return cls(int(name[:8], 16), int(name[8:16], 16) * (LOWEST + 1) + int(name[16:], 16))


@dataclass(frozen=True)
class Segment:
    """A segment in an archive: SHA-1 of its content (as its file is named), octets there, when it came (Unix time)."""

    place: Place
    sha1: str
    octets: int = 0
    at: float = 0.0


@dataclass(frozen=True)
class Archive:
    """All that an archive lists. `twice` are the places with more than one content."""

    segments: Mapping[Place, Segment] = field(default_factory=dict)
    histories: frozenset[int] = frozenset()
    twice: tuple[Place, ...] = ()

    @classmethod
    def listed(cls, files: Mapping[str, tuple[int, float]]) -> Archive:
        """From the names of an archive's files with size and time; what is neither segment nor history is left out."""
        segments: dict[Place, Segment] = {}
        histories, twice = set(), []
        for name, (octets, at) in sorted(files.items()):
            if found := SEGMENT.fullmatch(name):
                place = Place.of("".join(found.group(1, 2, 3)))
                if place in segments:
                    twice.append(place)
                segments[place] = Segment(place, found.group(4), octets, at)
            elif found := HISTORY.fullmatch(name):
                histories.add(int(found.group(1), 16))
        return cls(segments, frozenset(histories), tuple(twice))

    def newest_timeline(self, begun_on: int) -> int:
        """The timeline that a recovery from `begun_on` goes for: PostgreSQL asks for one history after the other."""
        newest = begun_on
        while newest + 1 in self.histories:
            newest += 1
        return newest

    def unreachable(self, begun_on: int) -> list[int]:
        """Timelines with WAL that no recovery from `begun_on` would reach: a history is missing."""
        newest = self.newest_timeline(begun_on)
        return sorted({place.timeline for place in self.segments if place.timeline > newest})


@dataclass(frozen=True)
class Way:
    """The segments that a recovery needs, in order, to the end of the archive; `missing` are not there."""

    needed: tuple[Place, ...]
    missing: tuple[Place, ...]

    @property
    def usable(self) -> tuple[Place, ...]:
        """What a recovery can read: up to the first gap."""
        if not self.missing:
            return self.needed
        return self.needed[: self.needed.index(self.missing[0])]

    @property
    def last(self) -> Place | None:
        """The last one that the archive has; a recovery that lost nothing ends in it, or right after it."""
        there = [place for place in self.needed if place not in self.missing]
        return there[-1] if there else None


def parse_history(text: str) -> list[tuple[int, int]]:
    """A timeline's ancestors: (timeline, LSN where it was left), oldest first."""
    lines = (HISTORY_LINE.match(line) for line in text.splitlines())
    return [(int(found.group(1)), lsn(found.group(2))) for found in lines if found]


def way(archive: Archive, start: Place, timeline: int, ancestors: Sequence[tuple[int, int]]) -> Way:
    """The way from a backup's first segment to the end of `timeline`, whose history is `ancestors`.

    The segment in which a timeline begins holds the old one's records too, so the old one's copy is not needed.
    """
    needed: list[Place] = []
    number = start.number
    for old, left_at in ancestors:
        if old >= start.timeline:
            border = left_at // SEGMENT_OCTETS
            needed += [Place(old, one) for one in range(number, border)]
            number = max(number, border)
    there = [place.number for place in archive.segments if place.timeline == timeline]
    last = max([*there, number - 1])
    needed += [Place(timeline, one) for one in range(number, last + 1)]
    return Way(tuple(needed), tuple(place for place in needed if place not in archive.segments))


def before(way_there: Way, archive: Archive, moment: float, slack: float) -> Way:
    """The part of a way that a recovery to `moment` (Unix time) needs: up to what came `slack` seconds later."""
    kept: list[Place] = []
    for place in way_there.needed:
        kept.append(place)
        segment = archive.segments.get(place)
        if segment is not None and segment.at > moment + slack:
            break
    return Way(tuple(kept), tuple(place for place in way_there.missing if place in kept))


def names(places: Iterable[Place], shown: int = 3) -> str:
    """The first few, for a sentence."""
    found = [place.name for place in places]
    return ", ".join(found[:shown]) + (f" … ({len(found)})" if len(found) > shown else "")
