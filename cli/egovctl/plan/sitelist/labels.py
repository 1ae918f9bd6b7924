"""Counties and vertical networks of a list: rows name them by label or by title, and one row says both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from egovctl.i18n import tr
from egovctl.plan.models import LABEL
from egovctl.plan.sitelist.cells import slug
from egovctl.plan.sitelist.columns import CJK

# Left out of a label: minqin is Minqin County in every name that the plan makes of it.
LAST_WORDS = ("county", "district", "network")


@dataclass
class Labelled:
    """One thing with a label and titles, as far as rows have said; `row` is the first row that names it."""

    row: int
    label: str = ""
    zh: str = ""
    en: str = ""

    @property
    def name(self) -> str:
        """Its label: as written, else from the English title; "" when no row gives either."""
        if self.label or not self.en:
            return self.label
        words = self.en.split()
        return slug(" ".join(words[:-1] if len(words) > 1 and words[-1].casefold() in LAST_WORDS else words))

    def entry(self) -> dict[str, Any]:
        """As the plan has it; a title that no row gives is made from what there is."""
        en = self.en or self.name.replace("-", " ").capitalize()
        return {"name": self.name, "title": {"zh": self.zh or self.en or self.name, "en": en}}

    def _known_as(self) -> Iterator[str]:
        return (text.casefold() for text in (self.label, self.zh, self.en) if text)


@dataclass
class Labels:
    """All things of one kind, in the order of their first row."""

    items: list[Labelled] = field(default_factory=list)
    by_text: dict[str, Labelled] = field(default_factory=dict)

    def say(self, row: int, key: str, zh: str, en: str) -> None:
        """What one row says of one thing; ValueError when it contradicts an earlier row."""
        said = Labelled(row, zh=zh, en=en)
        if key:
            attribute = "label" if LABEL.match(key) else "zh" if CJK.search(key) else "en"
            if getattr(said, attribute) not in ("", key):
                raise ValueError(_contradiction(key, getattr(said, attribute), row))
            setattr(said, attribute, key)
        known: list[Labelled] = []
        for text in said._known_as():
            if (item := self.by_text.get(text)) is not None and not any(item is other for other in known):
                known.append(item)
        known.sort(key=lambda item: item.row)
        target = known[0] if known else said
        for other in (*known[1:], said):
            _check(target, other)
        for other in (*known[1:], said):
            target.label, target.zh, target.en = (
                target.label or other.label,
                target.zh or other.zh,
                target.en or other.en,
            )
            if other is not target:
                self.items = [item for item in self.items if item is not other]
        if not known:
            self.items.append(target)
        for text in (*said._known_as(), *target._known_as()):
            self.by_text[text] = target

    def find(self, key: str) -> Labelled | None:
        """The thing that a row means by `key`."""
        return self.by_text.get(key.casefold())


def _check(target: Labelled, other: Labelled) -> None:
    for attribute in ("label", "zh", "en"):
        mine, its = getattr(target, attribute), getattr(other, attribute)
        if mine and its and mine.casefold() != its.casefold():
            raise ValueError(_contradiction(its, mine, target.row))


def _contradiction(text: str, other: str, row: int) -> str:
    return tr(
        f"{text} 与第 {row} 行的 {other} 矛盾；同一县区或纵向网只能有一种叫法",
        f"{text} contradicts {other} of row {row}; one county or vertical network has one name",
    )
