"""Lists of sites as offices keep them: made from a plan, or a small one by hand; as CSV and as XLSX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from egovctl.paths import Inventory
from egovctl.plan import Plan, load
from egovctl.plan.models import Site
from egovctl.plan.sitelist import Imported, Wanted, build
from egovctl.plan.sitelist.columns import FIELDS

Row = dict[str, str]
SMALL: tuple[Row, ...] = (
    {"name": "core", "title_zh": "核心", "title_en": "Core", "kind": "核心", "mbps": "1000"},
    {"name": "noc", "title_zh": "运行中心", "title_en": "NOC", "kind": "noc", "uplinks": "core1:500; core2:500"},
    {"name": "backup", "title_zh": "备份", "title_en": "Backup", "kind": "备份", "uplinks": "core1:500; core2:500"},
    {"name": "hub-minqin", "title_zh": "民勤县汇聚节点", "title_en": "Minqin hub", "kind": "县级汇聚", "number": "12",
     "county": "minqin", "county_zh": "民勤县", "county_en": "Minqin County", "uplinks": "core1:200; core2:200"},
    {"name": "minqin-health", "title_zh": "民勤县卫生健康局", "title_en": "Minqin Health Bureau", "kind": "部门",
     "county": "民勤县", "uplinks": "民勤县汇聚节点:100"},
)  # fmt: skip


def wanted(name: str = "town", **city: Any) -> Wanted:
    facts = {"name": {"zh": "城", "en": "Town"}, "domain": "town.example", "asn": 64600, **city}
    return Wanted(name, facts)


def imported(path: Path, name: str = "town", **city: Any) -> Imported:
    """What the list at `path` means; nothing is written."""
    return build(path, wanted(name, **city), Inventory(path.parent / name))


def table(rows: Sequence[Row], fields: Sequence[str] = tuple(FIELDS), language: int = 0) -> list[list[str]]:
    """Header and cells; the header in Chinese (0) or English (1)."""
    return [[FIELDS[name][language] for name in fields], *([row.get(name, "") for name in fields] for row in rows)]


def write_csv(path: Path, cells: Sequence[Sequence[str]], encoding: str = "utf-8") -> Path:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(cells)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def write_xlsx(path: Path, cells: Sequence[Sequence[Any]], sheet: str = "站点") -> Path:
    """Cells that look like whole numbers are numbers, as a spreadsheet makes them."""
    book = Workbook()
    book.active.title = sheet
    for row in cells:
        book.active.append([int(cell) if isinstance(cell, str) and cell.isdigit() else cell for cell in row])
    book.save(path)
    return path


def rows_of(plan: Plan) -> list[Row]:
    """The plan's sites as a list would have them."""
    return [_row(plan, site) for site in plan.sites]


def _row(plan: Plan, site: Site) -> Row:
    row = {
        "name": site.name,
        "number": str(site.number),
        "title_zh": site.title.zh,
        "title_en": site.title.en,
        "short_zh": site.short.zh if site.short else "",
        "short_en": site.short.en if site.short else "",
        "kind": site.kind,
        "county": site.county or "",
        "vertical": site.vertical or "",
        "uplinks": "; ".join(
            ":".join([link.to, str(link.mbps), *(["internet"] if link.via == "internet" else [])])
            for link in site.uplinks
        ),
        "routers": "; ".join(site.routers),
        "internet": "; ".join(f"{name}: {item.v4 or 'dhcp'}" for name, item in site.internet.items()),
        "hosts": "; ".join(f"{host.name}:{host.role}:{host.index}:{host.platform}" for host in site.hosts),
    }
    if site.kind == "core":
        row["mbps"] = str(site.interconnect_mbps)
    for key, items in (("county", plan.counties), ("vertical", plan.verticals)):
        for item in items:
            if item.name == row[key]:
                row |= {f"{key}_zh": item.title.zh, f"{key}_en": item.title.en}
    return row


def shipped(name: str) -> tuple[Plan, Any]:
    return load(Inventory.find(name))
