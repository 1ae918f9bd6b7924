"""Charts as SVG: drawn here, so that a report needs no network, no browser and no drawing library.

Colours are Wong's; what they say is also said by a sign, a pattern or a word. Each chart has a title and a description
for those who do not see it, and stands beside a table with the same figures.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from xml.sax.saxutils import escape

from egovctl.report.document.model import Bar, BarChart, Chart, Line, LineChart, StripChart, Tone

FILL: dict[Tone, str] = {"good": "#0072B2", "bad": "#D55E00", "unknown": "url(#PATTERN)", "quiet": "#BDBDBD"}
# Chinese first: its fonts have Latin letters as well, and a line keeps one look.
FAMILY = (
    "Noto Sans CJK SC, Noto Sans SC, Source Han Sans SC, Microsoft YaHei, PingFang SC, WenQuanYi Micro Hei, sans-serif"
)
WIDTH = 680
LABELS = 200
ROW = 18
FONT = 11
WIDE = 2  # columns that a letter of the East takes
DAY = 86_400
SMALL_WIDTH, SMALL_HEIGHT, SMALL_COLUMNS = 330, 150, 2
_number = count(1)


def svg(chart: Chart) -> str:
    """The chart as an SVG element, complete in itself."""
    if isinstance(chart, BarChart):
        height, parts = _bars(chart)
    elif isinstance(chart, StripChart):
        height, parts = _strips(chart)
    else:
        height, parts = _lines(chart)
    name = f"chart{next(_number)}"
    body = "".join(parts).replace("PATTERN", f"{name}-hatch")
    pattern = (
        f'<defs><pattern id="{name}-hatch" width="5" height="5" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="5" height="5" fill="#FFFFFF"/>'
        '<rect width="2" height="5" fill="#555555"/></pattern></defs>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="{name}-t {name}-d" font-size="{FONT}" font-family="{FAMILY}">'
        f'<title id="{name}-t">{escape(chart.caption)}</title><desc id="{name}-d">{escape(chart.description)}</desc>'
        f"{pattern}{body}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222"{more}>{escape(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    # What lasted a minute of a month would be too thin to be seen.
    shown = max(width, 1.2) if width > 0 else 0
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{shown:.1f}" height="{height:.1f}" fill="{fill}"{more}/>'


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str = "#999999", more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{more}/>'


def cut(text: str, width: int) -> str:
    """The text in so many columns at most, with a mark where something is left out."""
    used = 0
    for place, letter in enumerate(text):
        used += WIDE if ord(letter) > 0x2E80 else 1
        if used > width:
            return text[: place - 1] + "…"
    return text


def width(text: str) -> int:
    """How many columns the text takes."""
    return sum(WIDE if ord(letter) > 0x2E80 else 1 for letter in text)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from low to high, about so many."""
    rough = (high - low) / wanted
    if rough <= sys.float_info.min:  # nothing between them that could be told apart
        return [low]
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _bars(chart: BarChart) -> tuple[int, Iterator[str]]:
    top = 8
    height = top + ROW * len(chart.bars) + 24
    scale = (WIDTH - LABELS - 70) / (chart.high or 1)

    def at(value: float) -> float:
        return LABELS + min(max(value, 0.0), chart.high) * scale

    def parts() -> Iterator[str]:
        bottom = top + ROW * len(chart.bars)
        for value in ticks(0, chart.high):
            yield _line(at(value), top, at(value), bottom, "#DDDDDD")
            yield _text(at(value), bottom + 15, f"{value:g}", "middle")
        yield _text(WIDTH - 4, bottom + 15, chart.unit, "end")
        for place, bar in enumerate(chart.bars):
            yield from _bar(bar, top + ROW * place, at, chart.high)
        if chart.limit is not None:
            yield _line(at(chart.limit), top - 4, at(chart.limit), bottom, "#000000", ' stroke-dasharray="4 3"')

    return height, parts()


def _bar(bar: Bar, y: float, at: Callable[[float], float], high: float) -> Iterator[str]:
    yield _text(LABELS - 8, y + 12, cut(bar.label, 31), "end")
    end = max(bar.value, bar.until or bar.value)
    yield _rect(LABELS, y + 3, at(bar.value) - LABELS, ROW - 6, FILL[bar.tone])
    if end > bar.value:
        yield _rect(at(bar.value), y + 3, at(end) - at(bar.value), ROW - 6, FILL["unknown"], ' stroke="#555555"')
    if bar.tick is not None:
        yield _line(at(bar.tick), y + 1, at(bar.tick), y + ROW - 1, "#000000", ' stroke-width="2"')
    yield _text(max(at(end), at(bar.tick or end)) + 5, y + 12, f"» {bar.text}" if end > high else bar.text)


def _strips(chart: StripChart) -> tuple[int, Iterator[str]]:
    top = 26
    height = top + ROW * len(chart.strips) + 22
    scale = (WIDTH - LABELS - 12) / ((chart.end - chart.begin) or 1)

    def at(second: float) -> float:
        return LABELS + (second - chart.begin) * scale

    def parts() -> Iterator[str]:
        x = float(LABELS)
        for tone, word in chart.legend:
            yield _rect(x, 4, 14, 11, FILL[tone], ' stroke="#555555"')
            yield _text(x + 19, 14, word)
            x += 40 + sum(FONT if ord(letter) > 0x2E80 else 6 for letter in word)
        bottom = top + ROW * len(chart.strips)
        for place, strip in enumerate(chart.strips):
            y = top + ROW * place
            yield _text(LABELS - 8, y + 12, cut(strip.label, 31), "end")
            yield _rect(LABELS, y + 2, at(chart.end) - LABELS, ROW - 4, "#F0F0F0")
            for begin, end, tone in strip.pieces:
                yield _rect(at(begin), y + 2, at(end) - at(begin), ROW - 4, FILL[tone])
        for day in range(chart.begin, chart.end + 1, DAY):
            number = datetime.fromtimestamp(day + chart.offset, UTC).day
            if day < chart.end and (number == 1 or number % 5 == 0):
                yield _line(at(day), top, at(day), bottom + 3, "#777777", ' stroke-width="0.6"')
                yield _text(at(day), bottom + 15, str(number), "middle")

    return height, parts()


def _lines(chart: LineChart) -> tuple[int, Iterator[str]]:
    rows = -(-len(chart.lines) // SMALL_COLUMNS)
    times = [
        *(at for line in chart.lines for at, _ in (*line.points, *line.trend)),
        *(at for line in chart.lines for at, _, _ in line.band),
    ]

    def parts() -> Iterator[str]:
        for place, line in enumerate(chart.lines):
            x = (WIDTH - SMALL_WIDTH) * (place % SMALL_COLUMNS)
            yield f'<g transform="translate({x},{SMALL_HEIGHT * (place // SMALL_COLUMNS)})">'
            yield from _small(chart, line, min(times), max(times))
            yield "</g>"

    return max(1, rows) * SMALL_HEIGHT, parts()


def _small(chart: LineChart, line: Line, begin: int, end: int) -> Iterator[str]:
    left, top, right, bottom = 34.0, 24.0, SMALL_WIDTH - 8.0, SMALL_HEIGHT - 24.0
    highest = max([value for _, value in (*line.points, *line.trend)] + [high for *_, high in line.band], default=1.0)
    highest = max(highest, *chart.limits) * 1.05 if chart.limits else highest * 1.05 or 1.0

    def x(second: float) -> float:
        return left + (second - begin) / ((end - begin) or 1) * (right - left)

    def y(value: float) -> float:
        return bottom - min(max(value, 0.0), highest) / highest * (bottom - top)

    def path(points: list[tuple[float, float]]) -> str:
        return " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)

    yield _text(left, 14, cut(line.label, 48), more=' font-weight="bold"')
    for value in ticks(0, highest, 5):
        yield _line(left, y(value), right, y(value), "#E4E4E4")
        yield _text(left - 4, y(value) + 4, f"{value:g}", "end", ' font-size="9"')
    for limit in chart.limits:
        yield _line(left, y(limit), right, y(limit), "#D55E00", ' stroke-dasharray="4 3"')
    if line.band:
        outline = [(at, high) for at, _, high in line.band] + [(at, low) for at, low, _ in reversed(line.band)]
        band = path([(float(at), value) for at, value in outline])
        yield f'<polygon points="{band}" fill="#56B4E9" fill-opacity="0.3"/>'
    if line.trend:
        trend = path([(float(at), value) for at, value in line.trend])
        yield f'<polyline points="{trend}" fill="none" stroke="#0072B2" stroke-dasharray="5 3"/>'
    for at, value in line.points:
        yield f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="2" fill="#000000"/>'
    for at in (begin, end):
        day = datetime.fromtimestamp(at + chart.offset, UTC).strftime("%Y-%m-%d")
        yield _text(x(at), bottom + 14, day, "start" if at == begin else "end", ' font-size="9"')
