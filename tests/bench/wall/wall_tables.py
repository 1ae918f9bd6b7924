"""From what was measured to goals, a table for the terminal, and the page in docs/."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = REPOSITORY / "docs" / "boards-measured.md"
BEGIN, END = "<!-- wall: begin -->", "<!-- wall: end -->"
Results = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """`value` must be below `limit`; None when it was not measured."""

    text: str
    limit: float
    value: float | None
    unit: str

    def __str__(self) -> str:
        if self.value is None:
            return f"not measured: {self.text}"
        return f"{'MET' if self.value < self.limit else 'MISSED'}: {self.text}: {self.value:.3g} {self.unit}"


def goals(results: Results) -> list[Goal]:
    """What was promised, and what came out."""
    queries, paint, work = results.get("queries", {}), results.get("paint"), results.get("work")
    growth = results.get("growth", [])
    wall = queries.get("wall")
    ranged = [one["worst_ms"] for name, one in results.get("pages", {}).items() if "30d" in name]
    each = [one["per_site"] for one in growth]
    return [
        Goal("a query of the wall, median, under 200 ms", 200, wall and wall["median_ms"], "ms"),
        Goal("a query of the wall, worst, under 200 ms", 200, wall and wall["worst_ms"], "ms"),
        Goal(
            "first paint of the wall with data, median, under 2 s",
            2000,
            statistics.median(paint["painted_ms"]) if paint else None,
            "ms",
        ),
        Goal(
            "first paint of the wall with data, worst, under 2 s",
            2000,
            max(paint["painted_ms"]) if paint else None,
            "ms",
        ),
        Goal(
            "rules under 5 % of a core (upper bound: the processor time of scrapes and rules together)",
            5,
            work and work["share_of_a_core"] * 100,
            "%",
        ),
        Goal(
            "a page with charts over 30 days from our server, worst, under 2 s", 2000, max(ranged, default=None), "ms"
        ),
        Goal(
            "series a site at the largest size, by those at the smallest, under 1.1",
            1.1,
            each[-1] / each[0] if len(each) > 1 else None,
            "times",
        ),
    ]


def rows(results: Results) -> list[str]:
    """The tables, in Markdown."""
    parts: dict[str, Callable[[Any], list[str]]] = {
        "history": _history, "work": _work, "queries": _queries, "pages": _pages, "paint": _paint, "growth": _growth,
    }  # fmt: skip
    return [line for name, tell in parts.items() if results.get(name) for line in [*tell(results[name]), ""]]


def _history(one: Results) -> list[str]:
    each = one["bytes"] / one["series"] / one["days"]
    return [
        f"History: {one['sites']} sites, {one['hosts']} hosts, {one['links']} links; {one['days']:g} days of "
        f"{one['series']:,} series, {one['recorded']:,} of them recorded signals; the {one['charted']:,} that "
        f"boards draw over time have a sample each {one['steps'][0]} s, all others each {one['steps'][1]} s: "
        f"{one['samples']:,} samples in {one['blocks']} blocks, {one['bytes'] / 1e9:.2f} GB, of which "
        f"{one['chunk_bytes'] / 1e9:.2f} GB samples: {one['chunk_bytes'] / one['held']:.2f} bytes a sample, "
        f"{each:,.0f} a series and day. Written in {one['seconds']} s."
    ]


def _work(one: Results) -> list[str]:
    return [
        f"Prometheus at work on it, {one['targets']:.0f} targets each 15 s: {one['share_of_a_core'] * 100:.1f} % of a "
        f"core for scrapes and rules together (processor time over {one['seconds']:.0f} s); rules by the clock "
        f"{one['rules_share_by_clock'] * 100:.1f} %; {one['series']:,.0f} series, {one['resident'] / 1e6:.0f} MB."
    ]


def _queries(found: Results) -> list[str]:
    return [
        "| each panel's queries, of Prometheus | queries | median ms | worst ms | slowest by its median |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {one['queries']} | {one['median_ms']:.1f} | {one['worst_ms']:.0f} | {one['slowest']}: "
            f"{one['slowest_ms']:.1f} ms |"
            for name, one in found.items()
        ),
    ]


def _pages(found: Results) -> list[str]:
    return [
        "| whole pages, of our server | different ones | median ms | worst ms |",
        "|---|---|---|---|",
        *(
            f"| {name} | {one['pages']} | {one['median_ms']:.0f} | {one['worst_ms']:.0f} |"
            for name, one in found.items()
        ),
    ]


def _paint(one: Results) -> list[str]:
    painted, sent = one["painted_ms"], one["served_ms"]
    return [
        f"First paint of the wall with data, new browser contexts ({len(painted)}): median "
        f"{statistics.median(painted):.0f} ms, worst {max(painted):.0f} ms; the page was there after "
        f"{statistics.median(sent):.0f} ms, worst {max(sent):.0f} ms."
    ]


GROWTH: Mapping[str, Callable[[Results], str]] = {
    "sites": lambda one: f"{one['sites']:,}",
    "series": lambda one: f"{one['series']:,.0f}",
    "a site": lambda one: f"{one['per_site']:.0f}",
    "CPU, % of a core": lambda one: f"{one['share_of_a_core'] * 100:.1f}",
    "rules by the clock, %": lambda one: f"{one['rules_share_by_clock'] * 100:.1f}",
    "slowest group, s": lambda one: f"{one['slowest_group_s']:.2f}",
    "rounds missed": lambda one: f"{one['missed']:.0f}",
    "memory, MB (peak)": lambda one: f"{one['resident'] / 1e6:,.0f} ({one['peak'] / 1e6:,.0f})",
    "wall's queries, median ms": lambda one: f"{one['wall']['median_ms']:.1f}",
    "worst ms": lambda one: f"{one['wall']['worst_ms']:.0f}",
}


def _growth(found: Sequence[Results]) -> list[str]:
    return [
        f"| {' | '.join(GROWTH)} |",
        "|" + "---|" * len(GROWTH),
        *(f"| {' | '.join(text(one) for text in GROWTH.values())} |" for one in found),
    ]


def markdown(results: Results) -> str:
    """The page's part."""
    about = results["about"]
    load = max(about["loads"], default=0.0)
    head = (
        f"{about['cpus']} CPUs, Prometheus {about['prometheus']}, Python {about['python']}; measured {about['date']}, "
        f"revision {about['revision']}, beside a load of {load:.1f} at most when a part began."
    )
    return "\n".join([head, "", *rows(results), *(f"- Goal {goal}" for goal in goals(results))])


def terminal(results: Results) -> str:
    return "\n".join([*rows(results), *(f"goal {goal}" for goal in goals(results))])


def save(results: Results, path: Path) -> None:
    """Written at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def to_docs(path: Path) -> None:
    """Rewrite the page's tables; ValueError when the page has lost its two markers."""
    page = PAGE.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"{PAGE} needs the lines {BEGIN} and {END}, once each")
    before, _, rest = page.partition(BEGIN)
    text = markdown(json.loads(path.read_text(encoding="utf-8")))
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
