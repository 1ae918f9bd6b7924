"""Charts as SVG, drawn here: lines over time, and strips of states. Each line has a colour and dashes of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from egovctl.boards.look import LINES

LEFT, RIGHT, TOP, BOTTOM = 84, 12, 10, 26
DASHES = ("", "8 4", "2 4", "12 4 2 4", "4 2", "1 2")
TINY, HUGE = 1e-12, 1e18  # what lies beyond is no measurement
STRIP = 1240  # a strip is as wide as this, however wide it is shown


@dataclass(frozen=True)
class Drawn:
    """One line of a chart. `limit` is a line that is not to be crossed."""

    title: str
    points: Sequence[tuple[float, float]]
    limit: bool = False


@dataclass(frozen=True)
class Span:
    """What a chart shows: from `start` to `end`, a sample each `step` seconds."""

    start: float
    end: float
    step: float


def marks(number: int, limit: bool) -> tuple[str, str]:
    """(colour class, dashes) of a chart's line by its number."""
    return ("limit", "6 6") if limit else (f"line{number % len(LINES)}", DASHES[number // len(LINES) % len(DASHES)])


def lines(drawn: Sequence[Drawn], span: Span, width: int, height: int, text: Callable[[float], str]) -> str:
    """The chart without its legend. Where samples are missing the line is broken, never bridged."""
    shown = [value for line in drawn for _, value in line.points if TINY < value < HUGE]
    top = _nice(max(shown, default=1.0))
    x = _scale(span.start, span.end, LEFT, width - RIGHT)
    y = _scale(0.0, top, height - BOTTOM, TOP)
    parts = [f'<svg class="chart" viewBox="0 0 {width} {height}" aria-hidden="true">']
    for step in range(5):
        value = top * step / 4
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{text(value)}</text>')
    parts += _times(span, x, height, max(2, width // 160))
    for number, line in enumerate(drawn):
        colour, dashes = marks(number, line.limit)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        for piece in _pieces(line.points, span.step):
            path = " ".join(f"{x(at):.1f},{y(min(max(value, 0.0), top)):.1f}" for at, value in piece)
            parts.append(f'<polyline class="{colour}" points="{path}"{dashed}/>')
    return "".join([*parts, "</svg>"])


def strip(points: Sequence[tuple[float, float]], span: Span, look: Callable[[float], str]) -> str:
    """A row's states over time, in pieces of one state each; `look` gives a state's tone, what is missing is empty."""
    x = _scale(span.start, span.end, 0, STRIP)
    parts = [f'<svg class="strip" viewBox="0 0 {STRIP} 10" preserveAspectRatio="none" aria-hidden="true">']
    for begin, end, value in _runs(points, span.step):
        wide = max(2.0, x(min(end, span.end)) - x(begin))
        parts.append(f'<rect class="tone-{look(value)}" x="{x(begin):.1f}" width="{wide:.1f}" height="10"/>')
    return "".join([*parts, "</svg>"])


def axis(span: Span) -> str:
    """The times below strips."""
    marks_of_time = _times(span, _scale(span.start, span.end, 0, STRIP), 24, 8)
    return f'<svg class="chart" viewBox="0 0 {STRIP} 24" aria-hidden="true">{"".join(marks_of_time)}</svg>'


def _scale(low: float, high: float, begin: float, end: float) -> Callable[[float], float]:
    wide = (high - low) or 1.0
    return lambda value: begin + (value - low) / wide * (end - begin)


def _nice(value: float) -> float:
    """The next number at or above that divides into four steps that people read easily."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= value * 0.9999)


def _times(span: Span, x: Callable[[float], float], height: int, most: int) -> list[str]:
    wide = span.end - span.start
    sizes = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 86400, 2 * 86400, 5 * 86400, 10 * 86400)
    step = next((size for size in sizes if wide / size <= most), sizes[-1])
    shown = "%m-%d" if step >= 86400 else "%H:%M"
    offset = time.localtime(span.end).tm_gmtoff
    first = math.ceil((span.start + offset) / step) * step - offset
    found = []
    at = float(first)
    while at <= span.end:
        stamp = time.strftime(shown, time.localtime(at))
        found.append(f'<text class="tick" x="{x(at):.1f}" y="{height - 6}" text-anchor="middle">{stamp}</text>')
        at += step
    return found


def _pieces(points: Sequence[tuple[float, float]], step: float) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = []
    for at, value in points:
        if not -HUGE < value < HUGE:
            continue
        if pieces and at - pieces[-1][-1][0] <= step * 1.5:
            pieces[-1].append((at, value))
        else:
            pieces.append([(at, value)])
    return [piece if len(piece) > 1 else [*piece, (piece[0][0] + step / 4, piece[0][1])] for piece in pieces]


def _runs(points: Sequence[tuple[float, float]], step: float) -> list[tuple[float, float, float]]:
    """(from, to, value) of each stretch of one value."""
    runs: list[tuple[float, float, float]] = []
    for at, value in points:
        if runs and runs[-1][2] == value and at - runs[-1][1] <= step * 0.5:
            runs[-1] = (runs[-1][0], at + step, value)
        else:
            runs.append((at, at + step, value))
    return runs
