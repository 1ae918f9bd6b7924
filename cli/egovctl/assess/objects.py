"""Grading objects (定级对象): each service of the plan is judged by the lists of its own grades of S and A.

A control point is marked S (information), A (service) or G. An object S3A2G3 has from the list of level 3 the points
marked S and G, and from that of level 2 those marked A. Such a standard is called mlps:SERVICE.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field

from egovctl.assess.standards import Area, Point, Standard, standards
from egovctl.checks.context import Context
from egovctl.checks.model import Text
from egovctl.errors import UsageError
from egovctl.evidence import Record
from egovctl.i18n import tr
from egovctl.plan import Service
from egovctl.plan.grades import Levels, levels

OBJECTS = "mlps"  # all objects; with :SERVICE behind it, one
LISTS = {2: "mlps-level-2", 3: "mlps-level-3"}
MARKS = ("S", "A", "G")
DOCUMENT = "GB/T 22239-2019"


class Graded(Standard):
    """What one grading object has to meet. `service` is the object, `graded` its grades as in S3A2G3."""

    id: str = Field(pattern=rf"^{OBJECTS}:[a-z0-9-]+$")
    service: str
    graded: str


def is_object(name: str) -> bool:
    """Whether this is no list but one grading object, or all of them."""
    return name == OBJECTS or name.startswith(f"{OBJECTS}:")


def service_of(name: str) -> str:
    """The service that mlps:SERVICE names; "" for all objects."""
    return name.partition(":")[2]


def named(context: Context, name: str) -> Standard:
    """A list, or one grading object as the plan grades it today. UsageError when there is neither."""
    listed = standards(context.inventory)
    if not is_object(name):
        return listed.get(name)
    if not (wanted := service_of(name)):
        first = context.plan.services[0].name if context.plan.services else "SERVICE"
        raise UsageError(
            tr(
                f"请指明定级对象，例如 {OBJECTS}:{first}；各对象见 egovctl assess standard {OBJECTS}",
                f"say which grading object, as in {OBJECTS}:{first}; egovctl assess standard {OBJECTS} lists them",
            )
        )
    for service in context.plan.services:
        if service.name == wanted:
            return graded(listed.entries, service, service.levels)
    known = ", ".join(service.name for service in context.plan.services)
    raise UsageError(
        tr(f"规划中没有定级对象 {wanted}；有：{known}", f"the plan has no grading object {wanted}; there are {known}")
    )


def objects(context: Context) -> tuple[list[Graded], dict[str, Levels]]:
    """All grading objects in plan order, and those that no list of ours is for. UsageError when nothing is left."""
    listed = standards(context.inventory).entries
    found, left = [], {}
    for service in context.plan.services:
        if lists_for(service.levels):
            found.append(graded(listed, service, service.levels))
        else:
            left[service.name] = service.levels
    if not found:
        raise UsageError(
            tr(
                "规划中没有第二、三级的业务，没有可测评的定级对象",
                "the plan has no service of grade 2 or 3: there is no grading object to assess",
            )
        )
    return found, left


def lists_for(wanted: Levels) -> bool:
    """Whether there are lists of all levels that these grades need."""
    return all(wanted.of(mark) in LISTS for mark in MARKS)


def graded(listed: Mapping[str, Standard], service: Service, wanted: Levels) -> Graded:
    """The standard of one object, put together from the lists of its levels. UsageError when there is none of one."""
    if not lists_for(wanted):
        raise UsageError(
            tr(
                f"{service.name} 定为 {wanted}，本套件只有第二级和第三级的清单",
                f"{service.name} is graded {wanted}, and there are lists of levels 2 and 3 only",
            )
        )
    used = {level: listed[name] for level, name in LISTS.items() if level in {wanted.of(mark) for mark in MARKS}}
    areas = tuple(_area(area, used, wanted) for area in used[wanted.general].areas)
    title = service.title
    return Graded(
        id=f"{OBJECTS}:{service.name}",
        service=service.name,
        graded=str(wanted),
        title=Text(
            zh=f"网络安全等级保护基本要求（{title.zh}，{wanted}，通用要求）",
            en=f"Classified protection of {title.en}, {wanted}, general requirements",
        ),
        document=DOCUMENT,
        scored=True,
        hazards=used[wanted.general].hazards,
        points=sum(len(area.points) for area in areas),
        items=sum(area.items for area in areas),
        areas=areas,
    )


def _area(area: Area, used: Mapping[int, Standard], wanted: Levels) -> Area:
    """The points of this area that apply, each from the list of the level at which it does."""
    points = [
        point
        for level, standard in used.items()
        for other in standard.areas
        if other.id == area.id
        for point in other.points
        if wanted.of(point.class_ or "G") == level
    ]
    points.sort(key=_number)
    return area.model_copy(
        update={"points": tuple(points), "items": sum(len(point.items) for point in points)},
    )


def _number(point: Point) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", point.id))


def of_record(context: Context, record: Record) -> Standard:
    """The standard that an assessment on record was against: of an object, with the grades that it had then."""
    body = record.body
    now = named(context, body["standard"])
    if not isinstance(now, Graded) or now.graded == body["graded"]:
        return now
    service = context.service(now.service)
    return graded(standards(context.inventory).entries, service, levels(body["graded"]))
