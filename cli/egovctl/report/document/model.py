"""A document as data: what is said, in one language, and nothing of how a format shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

# Never by colour alone: each tone has a sign of its own.
Tone = Literal["good", "bad", "unknown", "quiet"]
SIGNS: dict[Tone, str] = {"good": "●", "bad": "▲", "unknown": "?", "quiet": "–"}
UPRIGHT = 10  # columns on an upright page
Kind = Literal["text", "number", "percent", "moment", "mark"]


@dataclass(frozen=True)
class Mark:
    """A judgement: a word with a tone."""

    text: str
    tone: Tone

    def __str__(self) -> str:
        return f"{SIGNS[self.tone]} {self.text}"


@dataclass(frozen=True)
class Links:
    """Words, each with the anchor in this document that it leads to ("" for none)."""

    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "; ".join(text for text, _ in self.parts) or "—"


Cell = str | float | datetime | Mark | Links | None


@dataclass(frozen=True)
class Column:
    """A heading, and what stands below it. `decimals` are those of numbers and of per cent (given as 0 to 100)."""

    title: str
    kind: Kind = "text"
    decimals: int = 0

    @property
    def numeric(self) -> bool:
        return self.kind in ("number", "percent")


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as there are columns. Paged formats show the first `shown` rows and say how many are left
    out; XLSX has them all. `name` is the XLSX sheet's. `anchors` are what links lead to, one a row."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    shown: int | None = None
    anchors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table {self.name}: a row has another number of cells than there are columns")
        if self.anchors and len(self.anchors) != len(self.rows):
            raise ValueError(f"table {self.name}: there is not one anchor a row")


@dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    text: str


@dataclass(frozen=True)
class Bar:
    """One bar from 0 to `value`, hatched on to `until`, with a tick at `tick`; `text` is what it says at its end."""

    label: str
    value: float
    text: str
    until: float | None = None
    tick: float | None = None
    tone: Tone = "good"


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars on one scale from 0 to `high`; `limit` is a line across them. Longer bars are cut there."""

    caption: str
    description: str
    bars: tuple[Bar, ...]
    unit: str
    high: float
    limit: float | None = None


@dataclass(frozen=True)
class Strip:
    """A row of a time chart: pieces from begin to end (seconds since 1970), each with a tone."""

    label: str
    pieces: tuple[tuple[int, int, Tone], ...]


@dataclass(frozen=True)
class StripChart:
    """Rows over the same time. `legend` says what each tone means here; days begin `offset` seconds before UTC's."""

    caption: str
    description: str
    begin: int
    end: int
    offset: int
    strips: tuple[Strip, ...]
    legend: tuple[tuple[Tone, str], ...]


@dataclass(frozen=True)
class Line:
    """Points (second, value), and a band (second, low, high) where one is to be shown."""

    label: str
    points: tuple[tuple[int, float], ...]
    trend: tuple[tuple[int, float], ...] = ()
    band: tuple[tuple[int, float, float], ...] = ()


@dataclass(frozen=True)
class LineChart:
    """Small charts beside each other, one a line, all with the same time axis and each with its own scale from 0."""

    caption: str
    description: str
    lines: tuple[Line, ...]
    unit: str
    offset: int
    limits: tuple[float, ...] = field(default=())


Chart = BarChart | StripChart | LineChart
Block = Paragraph | Table | BarChart | StripChart | LineChart


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole report. `facts` stand at its head: of what, of when, from which plan and measurement. The `banner` stands
    above the title and on every page. `official`: as DOCX it has the form of an official document."""

    language: Literal["zh", "en"]
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    banner: str = ""
    official: bool = False

    @property
    def wide(self) -> bool:
        """Whether a table has too many columns for a page upright."""
        return any(len(table.columns) > UPRIGHT for table in self.tables)

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(block for section in self.sections for block in section.blocks if isinstance(block, Table))


def shown(column: Column, value: Cell) -> str:
    """A cell as people read it."""
    if value is None:
        return "—"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float | int):
        text = f"{value:,.{column.decimals}f}"
        return f"{text} %" if column.kind == "percent" else text
    return str(value)
