"""Which level of disaster recovery each service's times are consistent with, and what else that level needs.

Promises come from the plan, measured times from the drills on record. Times alone never prove a level: so it is said
"consistent with level N, elements missing: ...", and what only people know of a level is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from egovctl.checks.collect.registers import Given
from egovctl.checks.content import CONTENT, Shelf, read_shelf
from egovctl.checks.model import Model, Name, Text
from egovctl.i18n import told
from egovctl.plan.models import Service
from egovctl.plan.rules_offsite import pull_seconds
from egovctl.plan.rules_services import interval

DAY, WEEK, REAL_TIME = 86_400, 604_800, 900


class Level(Model):
    """One level: the longest times that are consistent with it, and its elements."""

    level: Annotated[int, Field(ge=1, le=6)]
    rto: Annotated[int, Field(ge=0)]
    rpo: Annotated[int, Field(ge=0)]
    elements: tuple[Name, ...]


class Levels(Model):
    """All levels, from the lowest on; a higher one never allows longer times nor needs less."""

    id: Name
    title: Text
    document: str
    source: Literal["verified", "from-memory"]
    elements: dict[Name, Text]
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if [one.level for one in self.levels] != list(range(1, len(self.levels) + 1)):
            raise ValueError(told("等级应依次为 1、2、3……", "levels must be 1, 2, 3, ..."))
        for low, high in zip(self.levels, self.levels[1:], strict=False):
            if high.rto > low.rto or high.rpo > low.rpo:
                raise ValueError(
                    told(
                        f"第 {high.level} 级允许的时间比第 {low.level} 级长",
                        f"level {high.level} allows longer times than level {low.level}",
                    )
                )
        unknown = {name for one in self.levels for name in one.elements} - set(self.elements)
        if unknown:
            raise ValueError(told(f"没有要素 {min(unknown)}", f"{min(unknown)} is no element"))
        return self


@dataclass(frozen=True)
class Consistency:
    """One service: promised and measured times in seconds (None: not measured), the level they are consistent with
    (0: none), what is missing of it, and whether the times were measured on all of its hosts."""

    service: str
    grade: int
    rto_promised: int
    rpo_promised: int
    rto: float | None
    rpo: float | None
    level: int
    missing: tuple[str, ...]
    measured: bool


def levels() -> Levels:
    """The suite's own list."""
    shelf: Shelf[Levels] = read_shelf("recovery", Levels, (CONTENT / "recovery",))
    return shelf.get("gbt-20988")


def consistent(given: Given, known: Levels) -> list[Consistency]:
    """Every service of the plan, in its order."""
    return [_service(given, known, service) for service in given.context.plan.services]


def _service(given: Given, known: Levels, service: Service) -> Consistency:
    rows = [row for row in given.covered if row.service == service.name]
    restored = [row for row in rows if row.past.drilled_at is not None]
    rto = max((row.past.worst for row in restored if row.past.worst is not None), default=None)
    rpo = max((row.past.rpo for row in restored if row.past.rpo is not None), default=None)
    hosts = {row.host for row in rows}
    measured = bool(hosts) and hosts == {row.host for row in restored if row.past.worst is not None}
    # What was promised is a claim; what was measured and is worse shows that it does not hold.
    longest = max(service.rto, rto or 0), max(service.rpo, rpo or 0)
    level = level_of(known, *longest)
    there = present(given, service, restored)
    needed = known.levels[level - 1].elements if level else ()
    missing = tuple(name for name in needed if name not in there)
    return Consistency(service.name, service.level, service.rto, service.rpo, rto, rpo, level, missing, measured)


def level_of(known: Levels, rto: float, rpo: float) -> int:
    """The highest level that allows these times; 0 when none does."""
    return max((one.level for one in known.levels if rto <= one.rto and rpo <= one.rpo), default=0)


def present(given: Given, service: Service, restored: Iterable[Any]) -> set[str]:
    """The elements that are seen: in the plan as applied, or in drills that brought the service back whole."""
    found: set[str] = set()
    context, drilled = given.context, list(restored)
    if service.backup is not None:
        every = interval(service.backup.schedule)
        found |= {"backup-weekly"} if every is not None and every <= WEEK else set()
        found |= {"backup-daily"} if every is not None and every <= DAY else set()
    offsite = [site for site in context.plan.sites if site.kind == "offsite"]
    if service.backup is not None and offsite:
        found |= {"offsite", "offsite-line"}
        found |= {"real-time"} if max(map(pull_seconds, offsite)) <= REAL_TIME else set()
    if len(service.hosts) > 1 or any(row.drill == "restore-system" and _whole(row) for row in drilled):
        found.add("spare-system")
    cut = set(given.section("lines")["cut_off"])
    if not cut & {context.city.hosts[name].site for name in service.hosts}:
        found.add("spare-line")
    register = given.kept.entries.get("documents")
    planned = any(
        entry.kind == "documents" and entry.about == "emergency-plan" and service.name in entry.services
        for entry in (register.entries if register else ())
    )
    if planned and any(_whole(row) and not row.overdue for row in drilled):
        found.add("plan")
    return found


def _whole(row: Any) -> bool:
    return bool(row.past.verdict == "met")
