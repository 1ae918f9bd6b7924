"""An empty list with its headings in both languages, what each column takes, and three rows that import cleanly."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.plan.sitelist.columns import FIELDS

# The three sites that no plan is without; a city's own come below them.
EXAMPLES: tuple[dict[str, str], ...] = (
    {"number": "1", "name": "core", "title_zh": "市信息中心核心", "title_en": "Information Centre core", "kind": "核心",
     "routers": "core1; core2", "mbps": "1000"},
    {"number": "2", "name": "noc", "title_zh": "网络运行中心", "title_en": "Network Operations Centre", "kind": "noc",
     "uplinks": "core1:500; core2:500"},
    {"number": "3", "name": "backup", "title_zh": "备份节点", "title_en": "Backup node", "kind": "backup",
     "uplinks": "core1; core2", "mbps": "500"},
)  # fmt: skip
# field → (what it takes in Chinese, in English, an example)
HELP: dict[str, tuple[str, str, str]] = {
    "number": (
        "可空：按惯例编号（docs/import.md）；一经使用永不改变",
        "may be empty: numbered by the convention (docs/import.md)",
        "221",
    ),
    "name": (
        "a-z、0-9、-；空时由英文名称得出",
        "a-z, 0-9, -; when empty made from the English title",
        "minqin-education",
    ),
    "title_zh": ("中文全称", "the title in Chinese", "民勤县教育局"),
    "title_en": ("英文全称", "the title in English", "Minqin Education Bureau"),
    "short_zh": (
        "大屏简称，至多 3 字；与英文简称同写或都不写",
        "short for the wall; in both languages or none",
        "教育局",
    ),
    "short_en": ("英文简称，至多 7 个字母", "the short name in English, 7 letters at most", "Edu"),
    "kind": (
        "核心、县级汇聚、部门、乡镇、村、应急、noc、备份、异地备份、视频、服务",
        "core, hub, department, town, village, mobile, noc, backup, offsite, video, services",
        "部门",
    ),
    "county": ("县区标识或名称；市直单位为空", "the county's label or title; empty for the city's own", "民勤县"),
    "county_zh": ("县区中文名，任一行写一次即可", "the county's title in Chinese, in any one row", "民勤县"),
    "county_en": ("县区英文名，任一行写一次即可", "the county's title in English, in any one row", "Minqin County"),
    "vertical": ("所属纵向网，可空", "the vertical network of its users, if any", "education"),
    "vertical_zh": ("纵向网中文名，任一行写一次即可", "its title in Chinese, in any one row", "教育纵向网"),
    "vertical_en": ("纵向网英文名，任一行写一次即可", "its title in English, in any one row", "Education"),
    "uplinks": (
        "上级路由器或站点[:带宽][:internet][:互联地址/30]，用分号隔开",
        "router or site above[:mbps][:internet][:link's /30], between semicolons",
        "core1:100; core2:100",
    ),
    "mbps": (
        "上联带宽（Mbit/s）；核心行为两台核心之间的带宽",
        "Mbit/s of the uplinks; at the core, of the line between its routers",
        "100",
    ),
    "platform": (
        "linux（默认）、vrp5、vrp8、comware7、unmanaged",
        "linux (default), vrp5, vrp8, comware7, unmanaged",
        "linux",
    ),
    "routers": ("仅核心：两台路由器的名称", "at the core only: the names of its two routers", "core1; core2"),
    "internet": (
        "互联网侧地址/长度 [网关]，或 dhcp；核心写 路由器: 地址",
        "ADDRESS/LENGTH [GATEWAY] or dhcp; at the core ROUTER: ADDRESS",
        "203.0.113.12/24",
    ),
    "lan_v4": ("沿用的局域网网段，可空", "the LAN that it keeps from before, if any", "172.20.5.0/24"),
    "lan_v6": ("沿用的局域网 IPv6 /64，可空", "the /64 that it keeps from before, if any", "2001:db8:ffff:7::/64"),
    "loopback_v4": ("沿用的环回地址，可空", "the loopback that it keeps from before, if any", "10.250.0.9"),
    "hosts": (
        "局域网上的其他主机 名称:角色:编号[:平台]；control 会自动补上",
        "other hosts on the LAN, NAME:ROLE:INDEX[:PLATFORM]; control is added by itself",
        "switch-minqin:switch:20:unmanaged",
    ),
    "manage": ("只下发哪些配置包；空为全部", "the bundles that are applied; empty for all", "snmpd; base"),
}


def headings() -> list[str]:
    """The headings of all columns, each in both languages."""
    return [f"{words[0]} / {words[1]}" for words in FIELDS.values()]


def write_template(path: Path) -> None:
    """A new file, CSV or XLSX by its ending; UsageError for another ending or a file that is there."""
    rows = [headings(), *([row.get(name, "") for name in FIELDS] for row in EXAMPLES)]
    match path.suffix.lower():
        case ".csv":
            content = _csv(rows)
        case ".xlsx":
            content = _xlsx(rows)
        case _:
            raise UsageError(tr(f"{path}：样表应以 .xlsx 或 .csv 结尾", f"{path}: a template ends in .xlsx or .csv"))
    try:
        with path.open("xb") as stream:
            stream.write(content)
    except FileExistsError:
        raise UsageError(tr(f"{path} 已存在，不会覆盖", f"{path} is there already and is not overwritten")) from None


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8-sig")  # with the BOM that spreadsheets need to see UTF-8


def _xlsx(rows: list[list[str]]) -> bytes:
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet, notes = book.active, book.create_sheet("说明 help")
    sheet.title = "站点 sites"
    for row in rows:
        sheet.append(row)
    notes.append(["列 / column", "说明", "what it takes", "例 / example"])
    for heading, texts in zip(rows[0], HELP.values(), strict=True):
        notes.append([heading, *texts])
    for item in (sheet, notes):
        item.freeze_panes = "A2"
        for cell in item[1]:
            cell.font = Font(bold=True)
    for column in range(1, len(rows[0]) + 1):
        letter = get_column_letter(column)
        sheet.column_dimensions[letter].width = 24
        for row_number in range(2, 300):
            sheet.cell(row_number, column).number_format = "@"  # text: 1/2 stays 1/2, 001 stays 001
    for letter, width in zip("ABCD", (28, 60, 60, 32), strict=True):
        notes.column_dimensions[letter].width = width
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()
