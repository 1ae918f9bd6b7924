"""From a panel to what is shown of it: its questions asked, its rows made, each value with its tone and its words.

A panel that nothing is known of says so. It never shows what was true once.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from egovctl.boards import Panel, Shown
from egovctl.boards.look import NOWHERE, SHAPES, labelled, number, tick, tone, words
from egovctl.boards.queries import expression, highest, of_rows, selector
from egovctl.errors import CannotMeasure
from egovctl.i18n import both
from egovctl.signals import Signal
from egovctl.signals.model import Tone
from egovctl.web import charts
from egovctl.web.atlas import Atlas
from egovctl.web.prometheus import Line, Prometheus, Sample
from egovctl.web.schematic import Schematic
from egovctl.web.view import RANGES, View

FRESHNESS = "site:state:max"  # recorded last of all that tells of sites; always there while rules are evaluated
PAGES = ("county", "site", "link")
SEVERITIES: Mapping[str, Tone] = {"critical": "bad", "warning": "warning"}
# Rows of a table by their first value; those alike stay as the plan has them.
WORST: tuple[Tone, ...] = ("bad", "warning", "unknown", "quiet", "good")
SEVERE = {"bad": ("严重", "critical"), "warning": ("警告", "warning")}


@dataclass(frozen=True)
class Cell:
    """One value as it is shown."""

    tone: Tone
    text: str
    value: float | None = None

    @property
    def shape(self) -> str:
        return "" if self.tone == "quiet" else SHAPES[self.tone]


@dataclass
class Content:
    """What a panel shows. `state` is ok, empty (nothing to show, and that is known) or nodata, with the reason why."""

    state: str = "ok"
    why: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Studio:
    """All that panels are made from."""

    atlas: Atlas
    catalogue: Mapping[str, Signal]
    prometheus: Prometheus
    drawing: Schematic

    async def age(self) -> float | None:
        """How old the newest data are, in seconds; None when nobody knows."""
        try:
            await self.prometheus.learn_interval()
            found = await self.prometheus.instant(f"timestamp({FRESHNESS})")
        except CannotMeasure:
            return None
        return max(0.0, time.time() - max(sample.value for sample in found)) if found else None

    def stale(self, age: float | None) -> bool:
        """Whether data of this age are no longer shown: two intervals, and a second for the way."""
        return age is None or age > 2 * self.prometheus.interval + 1

    async def content(self, view: View, panel: Panel) -> Content:
        """What the panel shows now."""
        try:
            if self.stale(await self.age()):
                await self.prometheus.instant(f"timestamp({FRESHNESS})")  # says why, when Prometheus is silent
                return _nothing(view, "规则已停止计算", "rules are no longer evaluated")
            make = {
                "numbers": self._numbers, "tiles": self._tiles, "bars": self._bars, "table": self._table,
                "lines": self._lines, "timeline": self._timeline, "alerts": self._alerts, "map": self._map,
            }[panel.kind]  # fmt: skip
            content = await make(view, panel)
        except CannotMeasure as error:
            return Content("nodata", both(error)[view.lang])
        if content.state == "nodata" and panel.may_be_empty:
            content.state = "empty"
        return content

    async def _ask(self, view: View, panel: Panel, shown: Shown) -> list[Sample]:
        return await self.prometheus.instant(expression(panel, shown, self._label(view)))

    async def _ask_all(self, view: View, panel: Panel) -> list[list[Sample]]:
        return list(await asyncio.gather(*(self._ask(view, panel, shown) for shown in panel.show)))

    async def _over(self, view: View, panel: Panel, shown: Shown, span: charts.Span) -> list[Line]:
        """A signal over time. Of the highest few: first which they are, then their past, not that of all others too."""
        label = self._label(view)
        asked = expression(panel, shown, label)
        if panel.top and panel.by:
            now = await self.prometheus.instant(highest(panel, shown, label))
            rows = sorted({sample.labels.get(panel.by[0], "") for sample in now})
            if not rows:
                return []
            asked = of_rows(panel, shown, label, rows)
        return await self.prometheus.over(asked, span.start, span.end, span.step)

    def _label(self, view: View) -> str | None:
        return self.atlas.label(view.board.of, view.value) if view.board.of else None

    def _title(self, view: View, shown: Shown) -> str:
        return str(getattr(shown.title or self.catalogue[shown.signal].title, view.lang))

    def cell(self, view: View, signal: str, value: float | None) -> Cell:
        item = self.catalogue[signal]
        return Cell(tone(item, value), words(item, value, view.lang), value)

    def name(self, view: View, labels: Mapping[str, str], keys: Sequence[str]) -> list[tuple[str, str]]:
        """(text, address or "") of each label that names a row."""
        found = []
        for key in keys:
            value = labels.get(key, "")
            page = "site" if key.endswith("_site") else key
            known = page in PAGES and value in self.atlas.values(page)  # type: ignore[arg-type]
            text = self.atlas.title(page, value, view.lang) if page in PAGES else labelled(key, value, view.lang)  # type: ignore[arg-type]
            text = view.say(*NOWHERE[value]) if value in NOWHERE else text
            address = view.address(page, value) if known else ""
            if key == "host" and value in self.atlas.city.hosts:
                address = view.address("site", self.atlas.city.hosts[value].site)
            found.append((text or "—", address))
        return found

    async def _numbers(self, view: View, panel: Panel) -> Content:
        async def one(shown: Shown) -> dict[str, Any]:
            if shown.as_ == "age":
                age = await self.age()
                looks: Tone = "bad" if self.stale(age) else "good"
                cell = Cell(looks, number("seconds", round(age or 0), view.lang))
                return {"title": self._title(view, shown), "cell": cell, "age": True}
            values = [sample.value for sample in await self._ask(view, panel, shown)]
            cell = self.cell(view, shown.signal, values[0] if values else None)
            whole = ""
            if shown.of is not None:
                totals = await self._ask(view, panel, Shown(signal=shown.of))
                if values and totals:
                    whole = words(self.catalogue[shown.of], totals[0].value, view.lang)
                    cell = Cell("good" if values[0] >= totals[0].value else "warning", cell.text, values[0])
            return {"title": self._title(view, shown), "cell": cell, "of": whole}

        items = await asyncio.gather(*map(one, panel.show))
        known = any(item["cell"].tone != "unknown" for item in items)
        return Content("ok" if known else "nodata", data={"items": items})

    async def _tiles(self, view: View, panel: Panel) -> Content:
        shown = panel.show[0]
        values = {sample.labels.get("site", ""): sample.value for sample in await self._ask(view, panel, shown)}
        groups = []
        for county, title in self.atlas.counties.items():
            tiles = []
            for site in self.atlas.sites_of(county):
                if (panel.where == "site" and site != view.value) or (panel.where == "county" and county != view.value):
                    continue
                cell = self.cell(view, shown.signal, values.get(site))
                whole = self.atlas.title("site", site, view.lang)
                short = self.atlas.short(site, view.lang)
                tiles.append({"short": short, "title": whole, "cell": cell, "address": view.address("site", site)})
            if tiles:
                groups.append(
                    {"title": getattr(title, view.lang), "address": view.address("county", county), "tiles": tiles}
                )
        tally: dict[str, dict[str, Any]] = {}
        for state in self.catalogue[shown.signal].states.values():
            word = getattr(state, view.lang)
            count = sum(tile["cell"].text == word for group in groups for tile in group["tiles"])
            tally[word] = {"cell": Cell(state.tone, word), "shape": SHAPES[state.tone], "count": count}
        found = [item for item in tally.values() if item["count"]]
        return Content("ok" if values else "nodata", data={"groups": groups, "tally": found})

    async def _bars(self, view: View, panel: Panel) -> Content:
        shown = panel.show[0]
        samples = sorted(await self._ask(view, panel, shown), key=lambda sample: -sample.value)
        if self.catalogue[shown.signal].unit == "count" and samples:
            samples = [sample for sample in samples if sample.value > 0]
            if not samples:
                return Content("empty")
        top = max([1.0 if self.catalogue[shown.signal].unit == "ratio" else 0.0, *(s.value for s in samples)]) or 1.0

        def name(labels: Mapping[str, str]) -> tuple[str, str]:
            text, address = self.name(view, labels, panel.by)[0]
            known = panel.by == ("link",) and labels.get("link") in self.atlas.links
            return (self.atlas.line(labels["link"], view.lang) if known else text), address

        rows = [
            {
                "name": name(sample.labels),
                "cell": self.cell(view, shown.signal, sample.value),
                "width": max(0.0, min(100.0, sample.value / top * 100)),
            }
            for sample in samples[: panel.top]
        ]
        return Content("ok" if rows else "nodata", data={"rows": rows})

    async def _table(self, view: View, panel: Panel) -> Content:
        asked = await self._ask_all(view, panel)
        columns: list[dict[tuple[str, ...], float]] = [
            {tuple(sample.labels.get(key, "") for key in panel.by): sample.value for sample in samples}
            for samples in asked
        ]
        label = self._label(view) or ""
        keys = dict.fromkeys(self.atlas.planned(panel.by, panel.where, label))
        keys |= dict.fromkeys(sorted({key for column in columns for key in column}))
        rows: list[dict[str, Any]] = []
        for key in keys:
            cells = [
                self.cell(view, shown.signal, column.get(key))
                for shown, column in zip(panel.show, columns, strict=True)
            ]
            names = self.name(view, dict(zip(panel.by, key, strict=True)), panel.by)
            rows.append({"names": names, "cells": cells})
        if panel.top:
            rows.sort(key=lambda row: -(row["cells"][0].value or 0.0))
        else:
            rows.sort(key=lambda row: WORST.index(row["cells"][0].tone))
        heads = [HEADS.get(key, (key, key))[0 if view.lang == "zh" else 1] for key in panel.by]
        heads += [self._title(view, shown) for shown in panel.show]
        state = "ok" if any(columns) else "nodata"
        return Content(state, data={"heads": heads, "rows": rows, "keys": len(panel.by)})

    async def _lines(self, view: View, panel: Panel) -> Content:
        span = view.time(time.time())
        unit = self.catalogue[panel.show[0].signal].unit
        over, now = await asyncio.gather(
            asyncio.gather(*(self._over(view, panel, shown, span) for shown in panel.show)),
            self._ask_all(view, panel),
        )
        drawn: list[charts.Drawn] = []
        legend: list[dict[str, Any]] = []
        for shown, lines, samples in zip(panel.show, over, now, strict=True):
            current = {_key(sample.labels, panel.by): sample.value for sample in samples}
            for line in lines:
                key = _key(line.labels, panel.by)
                names = " ".join(text for text, _ in self.name(view, line.labels, panel.by))
                title = f"{self._title(view, shown)} {names}".strip() if len(panel.show) > 1 or not names else names
                colour, dashes = charts.marks(len(drawn), shown.as_ == "limit")
                drawn.append(charts.Drawn(title, line.points, shown.as_ == "limit"))
                cell = self.cell(view, shown.signal, current.get(key))
                legend.append({"title": title, "colour": colour, "dashes": dashes, "cell": cell})
        known = any(samples for shown, samples in zip(panel.show, now, strict=True) if shown.as_ != "limit")
        width = 620 if panel.width <= 12 else 1240
        svg = charts.lines(drawn, span, width, 240, lambda value: tick(unit, value, view.lang)) if drawn else ""
        return Content("ok" if known else "nodata", data={"svg": svg, "legend": legend})

    async def _timeline(self, view: View, panel: Panel) -> Content:
        now = time.time()
        shown, signal = panel.show[0], self.catalogue[panel.show[0].signal]
        wide, step = RANGES["24h"]
        span = charts.Span(now - wide, now, step)
        lines = await self.prometheus.over(expression(panel, shown, self._label(view)), span.start, span.end, span.step)
        label = self._label(view)
        asked = await self.prometheus.instant(selector(shown.signal, panel.where, label))
        current = {_key(sample.labels, panel.by): sample.value for sample in asked}
        rows = []
        for line in lines:
            last = current.get(_key(line.labels, panel.by))
            points = (*line.points, *([(now, last)] if last is not None else []))
            rows.append((self.name(view, line.labels, panel.by)[0], points, self.cell(view, shown.signal, last)))
        rows.sort(key=lambda row: WORST.index(row[2].tone))
        strips = [charts.strip(points, span, lambda value: tone(signal, value)) for _, points, _ in rows]
        states = [
            {"shape": SHAPES[state.tone], "tone": state.tone, "word": getattr(state, view.lang)}
            for state in signal.states.values()
        ]
        shapes = [{"name": name, "last": cell, "svg": svg} for (name, _, cell), svg in zip(rows, strips, strict=True)]
        data = {"rows": shapes, "axis": charts.axis(span), "states": states}
        return Content("ok" if rows else "nodata", data=data)

    async def _alerts(self, view: View, panel: Panel) -> Content:
        label = self._label(view)
        rows = []
        for alert in await self.prometheus.alerts():
            labels, notes = alert.get("labels", {}), alert.get("annotations", {})
            looks = SEVERITIES.get(labels.get("severity", ""))
            if alert.get("state") != "firing" or looks is None or not _about(labels, view, label):
                continue
            room = re.fullmatch(r"dashboards/([a-z]+)/runbook\.md#([a-z]+)", notes.get("runbook", ""))
            since = _seconds(alert.get("activeAt", ""))
            rows.append(
                {
                    "cell": Cell(looks, view.say(*SEVERE[looks])),
                    "text": notes.get("summary_zh" if view.lang == "zh" else "summary", labels.get("alertname", "")),
                    "since": number("seconds", max(0.0, time.time() - since), view.lang) if since else "",
                    "at": since,
                    "runbook": f"/runbook/{room[1]}?{view.asked()}#{room[2]}" if room else "",
                    "site": view.address("site", labels["site"]) if labels.get("site") in self.atlas.sites else "",
                }
            )
        rows.sort(key=lambda row: (row["cell"].tone != "bad", -row["at"]))
        return Content("ok" if rows else "empty", data={"rows": rows})

    async def _map(self, view: View, panel: Panel) -> Content:
        states, ups, usage = await self._ask_all(view, panel)
        up = {sample.labels.get("link", ""): sample.value for sample in ups}
        used = {sample.labels.get("link", ""): sample.value for sample in usage}
        state = {sample.labels.get("site", ""): sample.value for sample in states}
        worst: dict[str, float] = {}
        edges = []
        for edge in self.drawing.edges:
            link = self.atlas.links[edge.link]
            busy = self.cell(view, "link:usage:ratio", used.get(edge.link))
            alive = self.cell(view, "link:up:min", up.get(edge.link))
            cell = alive if alive.tone != "good" else busy
            if edge.link in used:
                worst[link.site] = max(worst.get(link.site, 0.0), used[edge.link])
            title = f"{self.atlas.title('link', edge.link, view.lang)}: {alive.text}, {busy.text}"
            thick = "thick" if link.bits_per_second >= 5e8 else "middle" if link.bits_per_second >= 1e8 else "thin"
            edges.append(
                {"edge": edge, "tone": cell.tone, "thick": thick, "title": title, "down": alive.tone == "bad",
                 "address": view.address("link", edge.link)}
            )  # fmt: skip
        nodes = []
        for node in self.drawing.nodes:
            cell = self.cell(view, "site:state:max", state.get(node.site))
            # Of which county a leaf is, the hub beside it says.
            text = (
                self.atlas.title("site", node.site, view.lang) if node.hub else self.atlas.short(node.site, view.lang)
            )
            carries = self.cell(view, "link:usage:ratio", worst[node.site]).text if node.site in worst else ""
            nodes.append(
                {"node": node, "cell": cell, "text": text, "busy": carries, "address": view.address("site", node.site)}
            )
        return Content("ok" if state else "nodata", data={"edges": edges, "nodes": nodes, "drawing": self.drawing})


HEADS = {
    "host": ("主机", "Host"), "link": ("链路", "Link"), "site": ("站点", "Site"), "service": ("服务", "Service"),
    "drill": ("演练", "Drill"), "source": ("来源", "Source"), "check": ("检查", "Check"),
    "period": ("时段", "Period"), "part": ("部件", "Part"), "website": ("网站", "Website"),
    "standard": ("标准", "Standard"), "verdict": ("判定", "Verdict"), "item": ("要求", "Requirement"),
    "subject": ("对象", "Subject"), "job": ("任务", "Job"), "module": ("模块", "Module"),
    "source_site": ("来自", "From"), "destination_site": ("去往", "To"),
}  # fmt: skip


def _nothing(view: View, zh: str, en: str) -> Content:
    return Content("nodata", view.say(zh, en))


def _key(labels: Mapping[str, str], by: Sequence[str]) -> tuple[str, ...]:
    return tuple(labels.get(key, "") for key in by)


def _about(labels: Mapping[str, str], view: View, label: str | None) -> bool:
    """Whether an alert is of what the page is of; a site's page has its links' alerts too."""
    match view.board.of:
        case None:
            return True
        case "site":
            return label in (labels.get("site"), labels.get("peer_site"))
        case name:
            return labels.get(name, "") == label


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]*", r"\1", text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
