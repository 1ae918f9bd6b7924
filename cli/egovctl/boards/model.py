"""A board: a page of panels, each of which names signals. No panel has an expression of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from egovctl.plan.models import Integer, Label, Model, Text
from egovctl.signals.model import Duration

Kind = Literal["numbers", "tiles", "bars", "lines", "timeline", "table", "alerts", "map"]
# What a page can be of. Its value comes from the plan, and from nowhere else.
Variable = Literal["county", "site", "link"]
LabelName = Annotated[str, Field(pattern=r"^[a-z_]+$")]
WALL_PANELS = 12


class Shown(Model):
    """One signal of a panel. `title` stands in place of the signal's own.

    `of`: the signal that says how many there are in all. `as: age` shows how old the signal's newest sample is, `as:
    limit` draws it as a line that is not to be crossed.
    """

    signal: str
    title: Text | None = None
    of: str | None = None
    as_: Annotated[Literal["value", "age", "limit"], Field(alias="as")] = "value"


class Panel(Model):
    """One panel. `where` is the label that must have the page's value; `by` are the labels that name a row or a line.

    `top` shows that many of the highest; `changed` only what changed within that time. A panel that `may_be_empty`
    has nothing to show when all is well, or at a site that has no such thing.
    """

    name: Label
    kind: Kind
    title: Text
    width: Annotated[Integer, Field(ge=1, le=24)]
    height: Annotated[Integer, Field(ge=2, le=30)]
    show: Annotated[tuple[Shown, ...], Field(min_length=1)]
    where: LabelName | None = None
    by: tuple[LabelName, ...] = ()
    top: Annotated[Integer | None, Field(ge=1, le=50)] = None
    changed: Duration | None = None
    may_be_empty: bool = False


class BoardFile(Model):
    """dashboards/boards/<board>.yml. `of` says what the page is of; without it, it is of the whole city."""

    title: Text
    of: Variable | None = None
    panels: Annotated[tuple[Panel, ...], Field(min_length=1)]


class Board(BoardFile):
    """A board with its name, which is that of its file."""

    name: str

    def panel(self, name: str) -> Panel:
        """The panel called `name`; KeyError when the board has none."""
        for item in self.panels:
            if item.name == name:
                return item
        raise KeyError(name)
