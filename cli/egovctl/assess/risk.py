"""A register of risks in the manner of GB/T 20984: what may happen to what, by which weakness, how likely, how bad.

Assets come from the plan, weaknesses from the checks that failed in the last self-assessment, frequencies of threats
from the register of incidents and from outages that were measured. Pure but for the tables' file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from egovctl.checks.content import CONTENT, Shelf, read_shelf
from egovctl.checks.context import Context
from egovctl.checks.engine import NO_SUBJECT
from egovctl.checks.model import JUDGED, Check, Model, Name, Status, Text
from egovctl.checks.registers.entries import Incident
from egovctl.i18n import pick, told

Level = Annotated[int, Field(ge=1, le=5)]
Row = Annotated[tuple[Level, ...], Field(min_length=5, max_length=5)]
Matrix = Annotated[tuple[Row, ...], Field(min_length=5, max_length=5)]
MOST = 5
YEAR_DAYS = 365
LEVEL_3 = "L3-"
HAZARD = "HR-"
# Of these a check was tried and said nothing; what is not applicable or left to people was not to be measured.
NOT_MEASURED = frozenset({Status.UNKNOWN, Status.ERROR})
# What a host of a role is worth to the city where no service says more.
ROLE_VALUES = {"core": 5, "hub": 4, "noc": 4, "services": 4, "backup": 4, "offsite": 4, "control": 5}
LEAST_VALUE = 2


class Threat(Model):
    """A threat and the control points whose failed checks open a way for it."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]
    points: Annotated[tuple[str, ...], Field(min_length=1)]

    def __str__(self) -> str:
        return pick({"zh": self.zh, "en": self.en})


class Tables(Model):
    """The tables of a method: each from two levels to one; more of either never gives less."""

    id: Name
    title: Text
    document: str
    source: Literal["verified", "from-memory"]
    likelihood: Matrix
    loss: Matrix
    risk: Matrix
    frequency: Annotated[tuple[int, ...], Field(min_length=5, max_length=5)]
    assumed: Level
    threats: Annotated[dict[Name, Threat], Field(min_length=1)]

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        for name in ("likelihood", "loss", "risk"):
            rows = getattr(self, name)
            columns = tuple(zip(*rows, strict=True))
            if any(list(line) != sorted(line) for line in (*rows, *columns)):
                raise ValueError(told(f"{name} 中输入变大而结果变小", f"{name} gives less for more"))
        if list(self.frequency) != sorted(set(self.frequency)):
            raise ValueError(told("frequency 应逐级增大", "frequency must rise"))
        return self


@dataclass(frozen=True)
class Frequency:
    """How often a threat comes: its level, and what says so. None where nobody counts: no register of incidents is
    kept, or Prometheus does not say how often the host was down."""

    level: int
    incidents: int | None
    outages: int | None
    assumed: bool


@dataclass(frozen=True)
class Risk:
    """One line of the register. `easy` is how easily the weakness is used, `damage` what it does; levels 1 to 5."""

    asset: str
    value: int
    threat: str
    frequency: Frequency
    check: str
    easy: int
    damage: int
    likelihood: int
    loss: int
    level: int
    services: tuple[str, ...]


@dataclass(frozen=True)
class Business:
    """What a service is exposed to: the worst of its hosts, and how many lines of the register are so bad.

    Where `not_measured` of its `checks` said nothing, `level` is the least that it can be. None: nothing of its own was
    measured, and no line concerns it.
    """

    service: str
    grade: int
    level: int | None
    worst: int
    not_measured: int
    checks: int

    @property
    def least(self) -> bool:
        """Whether more than `level` is possible."""
        return self.level is not None and self.level < MOST and self.not_measured > 0


@dataclass(frozen=True)
class Coverage:
    """By subject: how many checks that can give a line there are, and how many of them were not measured."""

    checks: Counter[str] = field(default_factory=Counter)
    not_measured: Counter[str] = field(default_factory=Counter)


def tables() -> Tables:
    """The suite's own tables."""
    shelf: Shelf[Tables] = read_shelf("risk", Tables, (CONTENT / "risk",))
    return shelf.get("gbt-20984")


def frequencies(
    known: Tables, incidents: Sequence[Incident] | None, outages: Mapping[str, int], today: Any, host: str = ""
) -> dict[str, Frequency]:
    """By threat. `incidents` is None when no such register is kept; outages of a host count as its failures, and are
    not known of a host that `outages` does not have."""
    counts: Counter[str] = Counter()
    for entry in incidents or ():
        if 0 <= (today - entry.day).days <= YEAR_DAYS:
            counts[entry.threat] += 1
    found = {}
    for threat in known.threats:
        registered = None if incidents is None else counts[threat]
        seen = outages.get(host) if threat == "failure" and host else 0
        total = (registered or 0) + (seen or 0)
        level = max(number for number, least in enumerate(known.frequency, 1) if total >= least)
        guessed = None in (registered, seen) and level < known.assumed
        found[threat] = Frequency(known.assumed if guessed else level, registered, seen, guessed)
    return found


def register(
    context: Context,
    known: Tables,
    checks: Mapping[str, Check],
    results: Iterable[Mapping[str, Any]],
    incidents: Sequence[Incident] | None,
    outages: Mapping[str, int],
    today: Any,
) -> list[Risk]:
    """The whole register, worst first; `results` are those of one assessment, as its file has them."""
    found = []
    for result, check, threats in _bearing(known, checks, results):
        if result["status"] not in ("fail", "partial"):
            continue
        host = result["subject"] if result["subject"] in context.city.hosts else ""
        often = frequencies(known, incidents, outages, today, host)
        services = services_on(context, result["subject"])
        value = asset_value(context, result["subject"])
        easy, damage = weakness(context, check, result)
        for threat in threats:
            likely = known.likelihood[often[threat].level - 1][easy - 1]
            loss = known.loss[value - 1][damage - 1]
            level = known.risk[likely - 1][loss - 1]
            name = str(result["subject"])
            found.append(
                Risk(name, value, threat, often[threat], check.id, easy, damage, likely, loss, level, services)
            )
    return sorted(found, key=lambda one: (-one.level, -one.loss, -one.likelihood, one.asset, one.threat, one.check))


def coverage(known: Tables, checks: Mapping[str, Check], results: Iterable[Mapping[str, Any]]) -> Coverage:
    """How much of what can give a line was measured."""
    found = Coverage()
    for result, _, _ in _bearing(known, checks, results):
        if result["subject"] != NO_SUBJECT and result["status"] in JUDGED | NOT_MEASURED:
            found.checks[result["subject"]] += 1
            found.not_measured[result["subject"]] += result["status"] in NOT_MEASURED
    return found


def _bearing(
    known: Tables, checks: Mapping[str, Check], results: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], Check, list[str]]]:
    """The results of checks that open a way for a threat when they fail, with the check and these threats."""
    by_point = {point: name for name, threat in known.threats.items() for point in threat.points}
    for result in results:
        if (check := checks.get(result["check"])) is None:
            continue
        if threats := sorted({by_point[point] for point in points_of(check) if point in by_point}):
            yield result, check, threats


def points_of(check: Check) -> set[str]:
    """The control points of level 3 that a check is evidence for: "4.1" of L3-4.1a."""
    named = (name.removeprefix(LEVEL_3) for name in (*check.items, *check.supports) if name.startswith(LEVEL_3))
    return {name.rstrip("abcdefghij") for name in named}


def weakness(context: Context, check: Check, result: Mapping[str, Any]) -> tuple[int, int]:
    """How easily it is used, and what it does. Easier where the untrusted network is near; worse for a major hazard."""
    host = context.city.hosts.get(result["subject"])
    easy = 3 + (host is not None and host.outside is not None) - (result["status"] == "partial")
    if any(name.startswith(HAZARD) for name in (*check.items, *check.supports)):
        return easy, 5
    return easy, 4 if any(name.startswith(LEVEL_3) for name in check.items) else 3


def services_on(context: Context, subject: str) -> tuple[str, ...]:
    """The services that a host carries; a service is its own, and what is the whole city's concerns all of them."""
    listed = context.plan.services
    if subject in context.city.hosts:
        return tuple(one.name for one in listed if subject in one.hosts)
    named = tuple(one.name for one in listed if one.name == subject)
    return named or (tuple(one.name for one in listed) if subject == context.city.inventory else ())


def asset_value(context: Context, subject: str) -> int:
    """1 to 5: one more than the highest grade of what it carries, or what its role is worth."""
    grades = {one.name: one.level for one in context.plan.services}
    carried = [grades[name] + 1 for name in services_on(context, subject)]
    host = context.city.hosts.get(subject)
    return max([*carried, LEAST_VALUE if host is None else ROLE_VALUES.get(host.role, LEAST_VALUE)])


def business(
    context: Context, risks: Iterable[Risk], measured: Coverage, services: Collection[str] | None = None
) -> list[Business]:
    """Each service's own risk (of all, or of those named): the highest of the lines that concern it; 1 when there is
    none. What is not known comes first, then the worst."""
    rows = list(risks)
    checks: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for subject, number in measured.checks.items():
        silent = measured.not_measured[subject]
        for name in services_on(context, subject):
            checks[name] += number
            missed[name] += silent
            # What holds for the whole city says nothing about the service itself.
            told[name] += number - silent if subject != context.city.inventory else 0
    found = []
    for service in context.plan.services:
        name = service.name
        if services is not None and name not in services:
            continue
        levels = [one.level for one in rows if name in one.services]
        level = max(levels) if levels else 1 if told[name] else None
        found.append(Business(name, service.level, level, levels.count(level or 0), missed[name], checks[name]))
    return sorted(found, key=lambda one: (-(one.level or MOST + 1), -one.worst, one.service))
