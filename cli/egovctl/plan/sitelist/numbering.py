"""Numbers for the sites that have none, by the convention of inventories/wuwei.

1-9 the centre; 12-19 (then 11) county hubs; 101-199 city departments; hub 1k's departments are k21-k99, the same
department at the same place in each county; its towns k201-k299, its villages k301-k999; 901-920 what is mobile.
What finds no number there, or whose number the pools have no room for, takes the lowest free one from 1000 on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from egovctl.plan.models import MAX_SITE_NUMBER

CENTRE = {"core": 1, "noc": 2, "backup": 3, "video": 4, "services": 5, "offsite": 6}
HUBS = (*range(12, 20), 11)
CITY_DEPARTMENTS = range(101, 200)
PLACES = range(21, 100)
MOBILE = range(901, 921)
ELSEWHERE = range(1000, MAX_SITE_NUMBER + 1)


@dataclass(frozen=True)
class Unnumbered:
    """What a number follows from: the kind, the county's label, and what the department is called in any county."""

    kind: str
    county: str
    place: str
    number: int | None = None


class _Numbers:
    """Numbers that are taken, and the next free one of each range."""

    def __init__(self, taken: Iterable[int], fits: Callable[[int], bool]) -> None:
        self.taken, self.fits = set(taken), fits
        self.ranges: dict[object, Iterator[int]] = {}
        self.places: dict[str, int] = {}
        self.elsewhere = 0

    def free(self, number: int) -> bool:
        return number not in self.taken and self.fits(number)

    def next(self, numbers: Sequence[int]) -> int | None:
        """The first free number of the range; each range is walked once."""
        walk = self.ranges.setdefault(numbers, iter(numbers))
        return next((number for number in walk if self.free(number)), None)

    def department(self, digit: int, place: str) -> int | None:
        """At the department's place in every county, if that is free in this one; else at a place that nobody has."""
        base = digit * 100
        if (known := self.places.get(place)) is not None and self.free(base + known):
            return base + known
        used = set(self.places.values())
        free = [at for at in PLACES if self.free(base + at)]
        if not free:
            return None
        at = next((at for at in free if at not in used), free[0])
        self.places.setdefault(place, at)
        return base + at


@dataclass(frozen=True)
class Assigned:
    """The number of each site, None where none was left; how many were made, and how many off the convention."""

    numbers: tuple[int | None, ...]
    made: int
    elsewhere: int


def assign(sites: Sequence[Unnumbered], fits: Callable[[int], bool] = lambda _: True) -> Assigned:
    """Each site's own number, else one by the convention. `fits` asks the pools."""
    numbers = _Numbers((site.number for site in sites if site.number is not None), fits)
    result: list[int | None] = [site.number for site in sites]
    digits: dict[str, int] = {}
    hubs_first = sorted(range(len(sites)), key=lambda i: sites[i].kind != "hub")
    # Departments that have a number fix the place of their counterparts in other counties.
    known = [site for site in sites if site.kind == "department" and site.county and site.number is not None]
    for site in known:
        if site.number is not None and site.number % 100 in PLACES:
            numbers.places.setdefault(site.place, site.number % 100)
    for i in hubs_first:
        site = sites[i]
        if result[i] is None:
            result[i] = _number(numbers, site, digits.get(site.county))
        number = result[i]
        if number is not None:
            numbers.taken.add(number)
            if site.kind == "hub" and 11 <= number <= 19:
                digits.setdefault(site.county, number - 10)
    made = sum(site.number is None and number is not None for site, number in zip(sites, result, strict=True))
    return Assigned(tuple(result), made, numbers.elsewhere)


def _number(numbers: _Numbers, site: Unnumbered, digit: int | None) -> int | None:
    found: int | None = None
    match site.kind:
        case "hub":
            found = numbers.next(HUBS)
        case "department" if not site.county:
            found = numbers.next(CITY_DEPARTMENTS)
        case "department" if digit is not None:
            found = numbers.department(digit, site.place)
        case "town" if digit is not None:
            found = numbers.next(range(digit * 1000 + 201, digit * 1000 + 300))
        case "village" if digit is not None:
            found = numbers.next(range(digit * 1000 + 301, digit * 1000 + 1000))
        case "mobile":
            found = numbers.next(MOBILE)
        case kind if kind in CENTRE:
            order = chain([CENTRE[kind]], (n for n in range(1, 10) if n not in CENTRE.values()))
            found = next((number for number in order if numbers.free(number)), None)
    if found is None and (found := numbers.next(ELSEWHERE)) is not None:
        numbers.elsewhere += 1
    return found
