"""The reachability matrix as a page: sites by sites, with colour, letter and words. It loads nothing from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from egovctl.checks.context import Context
from egovctl.checks.matrix import Matrix
from egovctl.i18n import language, tr
from egovctl.lab.names import LabNames
from egovctl.plan.policy import Place
from egovctl.report.tables import plain_table

if TYPE_CHECKING:
    from egovctl.checks.collect.reachability import Verdicts

CELL, LABEL, HEAD, SLANT = 13, 210, 150, 90  # pixels; the last heading leans out to the right
# Wong's palette, told apart by the colour-blind; a letter says it as well.
STYLE = {
    "denied": ("#f2f2f2", ""),
    "allowed": ("#0072B2", "+"),
    "mixed": ("#56B4E9", "±"),
    "leak": ("#D55E00", "!"),
    "closed": ("#E69F00", "x"),
    "unproven": ("#ffffff", "?"),
}
ORDER = ("leak", "closed", "unproven")


def write_report(
    context: Context, matrix: Matrix, letters: Mapping[Place, str], verdicts: Verdicts, data: str, at: str
) -> Path:
    """Write reachability.json, .svg and .html under build/<inventory>/reports/; returns the page's path."""
    folder = context.inventory.build / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    svg = heat_map(matrix, verdicts)
    page = folder / "reachability.html"
    for path, text in (
        (folder / "reachability.json", data + "\n"),
        (folder / "reachability.svg", svg),
        (page, _page(context, svg, verdicts, at)),
    ):
        fresh = path.with_name(f".{path.name}")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    return page


def words() -> dict[str, str]:
    """What each kind of cell means."""
    return {
        "denied": tr("规划禁止，确实不通", "denied, and fails"),
        "allowed": tr("规划允许，确实畅通", "allowed, and works"),
        "mixed": tr("部分允许、部分禁止，均与规划一致", "partly allowed, partly denied, all as planned"),
        "leak": tr("该禁而通", "open though denied"),
        "closed": tr("该通而不通", "closed though allowed"),
        "unproven": tr("未能证明", "not proven"),
    }


ZONES = {
    "users": ("用户局域网", "users' LANs"),
    "services": ("服务区", "services' LANs"),
    "management": ("管理局域网", "the NOC's LAN"),
    "routers": ("路由器", "routers"),
    "control": ("控制机", "control"),
}


def zone_table(rows: Sequence[Sequence[Any]]) -> Table:
    """Pairs of zones with how many flows were tried, and how many are not as planned."""
    headings = tr("来源", "from"), tr("目标", "to"), tr("允许", "allowed"), tr("禁止", "denied")
    table = plain_table(*headings, tr("不符", "wrong"), tr("未证明", "unproven"), title=tr("按区域", "by zone"))
    for source, target, *numbers in rows:
        table.add_row(tr(*ZONES[source]), tr(*ZONES[target]), *map(str, numbers))
    return table


def cells(matrix: Matrix, verdicts: Verdicts) -> dict[tuple[Place, Place], str]:
    """The kind of each pair of places: the worst of its flows."""
    found: dict[tuple[Place, Place], str] = {}
    planned: dict[tuple[Place, Place], Counter[bool]] = {}
    for source in matrix.sources:
        for number, permitted in matrix.wanted[source]:
            planned.setdefault((source, matrix.targets[number].place), Counter())[permitted] += 1
    for pair, counted in planned.items():
        found[pair] = "mixed" if len(counted) > 1 else "allowed" if counted[True] else "denied"
    for kind, flows in zip(reversed(ORDER), (verdicts.unproven, verdicts.closed, verdicts.leaks), strict=True):
        for source, target in flows:
            found[(source, target.place)] = kind
    return found


def heat_map(matrix: Matrix, verdicts: Verdicts) -> str:
    """An SVG: sources down, targets across; LANs first, then hosts' own addresses."""
    across = list(dict.fromkeys(target.place for target in matrix.targets))
    kinds = cells(matrix, verdicts)
    width, height = LABEL + CELL * len(across) + SLANT, HEAD + CELL * len(matrix.sources) + 10
    title = tr("可达性矩阵：行为来源，列为目标", "Reachability: sources down, targets across")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="9"><title>{escape(title)}</title>'
    ]
    for column, place in enumerate(across):
        x, y = LABEL + CELL * column + CELL - 3, HEAD - 4
        parts.append(f'<text x="{x}" y="{y}" transform="rotate(-60 {x} {y})">{escape(str(place))}</text>')
    for row, source in enumerate(matrix.sources):
        y = HEAD + CELL * row
        parts.append(f'<text x="{LABEL - 4}" y="{y + CELL - 3}" text-anchor="end">{escape(str(source))}</text>')
        for column, place in enumerate(across):
            if kind := kinds.get((source, place)):
                parts.append(_cell(LABEL + CELL * column, y, kind, f"{source} → {place}"))
    parts.append("</svg>\n")
    return "".join(parts)


def _cell(x: int, y: int, kind: str, pair: str) -> str:
    colour, letter = STYLE[kind]
    ink = "#fff" if kind in ("allowed", "leak") else "#000"
    mark = f'<text x="{x + 3}" y="{y + CELL - 4}" fill="{ink}">{letter}</text>' if letter else ""
    title = escape(f"{pair}: {words()[kind]}")
    return (
        f'<g><title>{title}</title><rect x="{x}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" fill="{colour}" '
        f'stroke="#bbb" stroke-width="0.3"/>{mark}</g>'
    )


def _page(context: Context, svg: str, verdicts: Verdicts, at: str) -> str:
    name = tr(context.plan.city.name.zh, context.plan.city.name.en)
    title = tr(f"{name}：可达性", f"{name}: reachability")
    counts = tr(
        f"试探 {verdicts.allowed + verdicts.denied} 条流量：允许 {verdicts.allowed}，禁止 {verdicts.denied}；"
        f"该禁而通 {len(verdicts.leaks)}，该通而不通 {len(verdicts.closed)}，未能证明 {len(verdicts.unproven)}",
        f"{verdicts.allowed + verdicts.denied} flows tried: {verdicts.allowed} allowed, {verdicts.denied} denied; open "
        f"though denied {len(verdicts.leaks)}, closed though allowed {len(verdicts.closed)}, not proven "
        f"{len(verdicts.unproven)}",
    )
    legend = "".join(
        f'<li><span style="background:{STYLE[kind][0]}">{STYLE[kind][1] or "&nbsp;"}</span> {escape(text)}</li>'
        for kind, text in words().items()
    )
    wrong = [*verdicts.leaks, *verdicts.closed]
    listed = "".join(f"<li>{escape(f'{source} -> {target}')}</li>" for source, target in wrong)
    return (
        f'<!DOCTYPE html><html lang="{language()}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{font-family:sans-serif;margin:1.5em}li span{display:inline-block;width:1.4em;text-align:center;"
        "border:1px solid #bbb;margin-right:.5em}ul{list-style:none;padding:0}.map{overflow:auto}</style></head>"
        f"<body><h1>{escape(title)}</h1><p>{escape(counts)}</p>"
        f"<p>{escape(_origin(context, at))}</p><ul>{legend}</ul><ul>{listed}</ul>"
        f'<div class="map">{svg}</div></body></html>\n'
    )


def _origin(context: Context, at: str) -> str:
    """When, of which plan, and whether this is a lab: there, zones stand in for what production does with VRF."""
    when = tr(
        f"观测于 {at}，规划修订 {context.city.plan_revision}。", f"Observed {at}, plan {context.city.plan_revision}."
    )
    if not LabNames(context.inventory.name).run.is_dir():
        return when
    lab = tr(
        "结果来自实验环境：其中以防火墙区域代替生产环境的 VRF（vpn-instance）。仅 TCP；UDP 不在其内。",
        " From a lab: zones of firewalls stand in for production's VRF (vpn-instance). TCP only; UDP is not in it.",
    )
    return when + lab
