"""Standards as thin lists (content/standards/*.yml): areas, control points, items. Read strictly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from egovctl.checks import content
from egovctl.checks.content import Shelf, read_shelf
from egovctl.checks.model import Model, Name, Text
from egovctl.errors import UsageError
from egovctl.i18n import pick, told, tr
from egovctl.paths import Inventory

ItemId = Annotated[str, Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+(\.[0-9]+)?[a-z]?$")]
Source = Literal["verified", "from-memory"]
# What can tell of an item: hosts, measurements (Prometheus), network configuration, registers and journals, people.
By = Literal["H", "P", "N", "R", "M"]


class Titled(Model):
    """Something with a short title of our own in both languages."""

    zh: Annotated[str, Field(min_length=1, max_length=60)]
    en: Annotated[str, Field(min_length=1, max_length=120)]

    def __str__(self) -> str:
        return pick({"zh": self.zh, "en": self.en})


class Item(Titled):
    """One requirement.

    `settles` is how far a machine's evidence can settle it; `like` names requirements of level 3 that ask the same or
    more; `unmet` says why what the suite itself uses cannot meet it.
    """

    id: ItemId
    clause: str = ""
    by: By
    settles: Literal["none", "partial", "full"]
    like: tuple[ItemId, ...] = ()
    source: Source
    unmet: Text | None = None


class Point(Titled):
    """A control point. `class_`: S (information), A (service) or G (both); None where the standard has no classes."""

    id: Annotated[str, Field(min_length=1)]
    class_: Annotated[Literal["S", "A", "G"] | None, Field(alias="class")] = None
    items: Annotated[tuple[Item, ...], Field(min_length=1)]


class Area(Titled):
    """A part of a standard; `items` is how many it must have, so that a lost line shows."""

    id: Name
    items: Annotated[int, Field(gt=0)]
    points: Annotated[tuple[Point, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _counted(self) -> Self:
        found = sum(len(point.items) for point in self.points)
        if found != self.items:
            raise ValueError(
                told(
                    f"{self.id} 写明 {self.items} 项要求，实有 {found} 项",
                    f"{self.id} says {self.items} items and has {found}",
                )
            )
        return self


class Standard(Model):
    """A whole standard. `scored`: the score templates of classified protection apply; `hazards`: which other list is
    its list of major hazards."""

    id: Name
    title: Text
    document: Annotated[str, Field(min_length=1)]
    scored: bool = False
    hazards: Name | None = None
    points: Annotated[int, Field(gt=0)]
    items: Annotated[int, Field(gt=0)]
    areas: Annotated[tuple[Area, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        entries = [item.id for _, _, item in self.walk()]
        if twice := [name for name, count in Counter(entries).items() if count > 1]:
            raise ValueError(told(f"{twice[0]} 写了两次", f"{twice[0]} is there twice"))
        points = sum(len(area.points) for area in self.areas)
        for said, found, zh, en in (
            (self.items, len(entries), "要求", "items"),
            (self.points, points, "控制点", "points"),
        ):
            if said != found:
                raise ValueError(told(f"写明{zh} {said} 个，实有 {found} 个", f"it says {said} {en} and has {found}"))
        return self

    def walk(self) -> Iterator[tuple[Area, Point, Item]]:
        """All items in the standard's order, each with its area and control point."""
        for area in self.areas:
            for point in area.points:
                for item in point.items:
                    yield area, point, item

    @cached_property
    def by_id(self) -> dict[str, Item]:
        return {item.id: item for _, _, item in self.walk()}


def standards(inventory: Inventory | None = None) -> Shelf[Standard]:
    """All standards; a city's own (inventories/<city>/content/standards) stand beside the suite's."""
    return read_shelf("standard", Standard, content.folders_of_standards(inventory))


def standard_of(item: str, inventory: Inventory | None = None) -> Standard:
    """The standard that has this item; UsageError when none has."""
    for standard in standards(inventory).entries.values():
        if item in standard.by_id:
            return standard
    where = f" -i {inventory.name}" if inventory else ""
    raise UsageError(
        tr(
            f"没有编号为 {item} 的要求；请运行 egovctl assess standard 标准{where} 查看编号",
            f"there is no requirement {item}; egovctl assess standard NAME{where} lists them",
        )
    )
