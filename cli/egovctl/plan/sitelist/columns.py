"""Which column is what: headings in Chinese and English, in any order."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from egovctl.i18n import tr
from egovctl.plan.sitelist.cells import Cell, Unreadable, word
from egovctl.plan.sitelist.read import Sheet, fault

HEADER_WITHIN = 30  # rows; above a list there may be its title and who filled it in
PARTS = re.compile(r"[/／|\n()（）\[\]【】]")
# field → its words; the first Chinese and the first English one are the template's heading.
FIELDS: dict[str, tuple[str, ...]] = {
    "number": ("编号", "number", "站点编号", "no"),
    "name": ("名称标识", "name", "标识", "站点标识", "名称(标识)", "site name", "label"),
    "title_zh": ("单位名称", "title zh", "中文名称", "站点名称", "title", "单位", "title chinese", "chinese title"),
    "title_en": ("英文名称", "title en", "英文名", "名称英文", "单位英文名称", "english title", "title english"),
    "short_zh": ("简称", "short zh", "大屏简称", "short", "中文简称"),
    "short_en": ("英文简称", "short en", "short english"),
    "kind": ("类别", "kind", "站点类别", "类型", "站点类型", "type"),
    "county": ("县区", "county", "所属县区", "区县", "县市区", "县"),
    "county_zh": ("县区名称", "county zh", "县区中文名"),
    "county_en": ("县区英文名", "county en", "县区英文", "县区英文名称"),
    "vertical": ("纵向网", "vertical", "纵向网标识", "vertical network"),
    "vertical_zh": ("纵向网名称", "vertical zh", "纵向网中文名"),
    "vertical_en": ("纵向网英文名", "vertical en", "纵向网英文", "纵向网英文名称"),
    "uplinks": ("上联", "uplinks", "uplink", "上联节点", "上联设备", "上联路由器"),
    "mbps": ("带宽", "mbps", "bandwidth", "带宽m", "带宽mbps", "合同带宽", "带宽mbit/s"),
    "platform": ("平台", "platform", "设备平台"),
    "routers": ("路由器", "routers", "router", "路由器名称"),
    "internet": ("互联网地址", "internet", "公网地址", "internet address"),
    "lan_v4": ("局域网", "lan_v4", "局域网ipv4", "局域网地址", "lan", "lan ipv4"),
    "lan_v6": ("局域网IPv6", "lan_v6", "lan ipv6"),
    "loopback_v4": ("环回", "loopback_v4", "环回地址", "loopback", "环回ipv4"),
    "hosts": ("其他主机", "hosts", "局域网主机", "主机"),
    "manage": ("管理范围", "manage", "管理"),
}
FIELD_OF_WORD = {word(text): name for name, texts in FIELDS.items() for text in texts}
# A heading that lists of names and lists of offices both use; the cells below it say which is meant.
EITHER_NAME = word("名称")
CJK = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True)
class Line:
    """One row of the list: its number in the file, and its cells by field ("" where there is none)."""

    number: int
    cells: Mapping[str, str]

    def get(self, name: str) -> str:
        """The cell as text of one line."""
        return self.lines(name).replace("\n", " ")

    def lines(self, name: str) -> str:
        """The cell with its line ends, for cells that hold several entries."""
        return self.cells.get(name, "")


@dataclass(frozen=True)
class Listed:
    """A list that was read: its sheet, headings by field, rows, headings that say nothing to us, and bad cells."""

    sheet: Sheet
    headings: Mapping[str, str]
    lines: tuple[Line, ...]
    ignored: tuple[str, ...]
    faults: tuple[str, ...] = field(default=())


def listed(file: str, sheets: Iterable[Sheet], wanted: str | None = None) -> Listed:
    """The first sheet of `file` with a list in it, or the one called `wanted`; PlanError when there is none."""
    names: list[str] = []
    for sheet in sheets:
        names.append(sheet.name or "")
        if wanted is not None and sheet.name != wanted:
            continue
        rows = iter(sheet.rows)
        for number, cells in rows:
            if number > HEADER_WITHIN:
                break
            if "kind" in (columns := _columns(cells)).values() and len(set(columns.values())) > 1:
                return _listed(sheet, number, cells, columns, list(rows))
        if wanted is not None:
            raise fault(sheet.at(), _no_header())
    if wanted is not None:
        known = ", ".join(name for name in names if name)
        raise fault(
            file,
            tr(
                f"没有工作表 {wanted}；有 {known}" if known else "CSV 文件没有工作表",
                f"there is no sheet {wanted}; there are {known}" if known else "a CSV file has no sheets",
            ),
        )
    raise fault(file, _no_header())


def _no_header() -> str:
    return tr(
        f"前 {HEADER_WITHIN} 行中没有表头；表头至少要有“类别”和“单位名称”（egovctl plan import --template 可生成样表）",
        f"no header within the first {HEADER_WITHIN} rows; it needs at least kind and title "
        "(egovctl plan import --template makes an example)",
    )


def _columns(cells: Iterable[Cell]) -> dict[int, str]:
    """The field of each column whose heading is known; EITHER_NAME for the one heading that may be two things."""
    found = {}
    for place, cell in enumerate(cells):
        if not isinstance(cell, Unreadable) and cell and (name := _field(cell)):
            found[place] = name
    return found


def _field(heading: str) -> str:
    """The field that a heading names, whole or in a part of it ("类别 / kind", "带宽（Mbit/s）"); "" when none."""
    whole = word(re.sub(PARTS, "", heading))
    if whole == EITHER_NAME:
        return EITHER_NAME
    if whole in FIELD_OF_WORD:
        return FIELD_OF_WORD[whole]
    parts = [word(part) for part in PARTS.split(heading)]
    known = {FIELD_OF_WORD[part] for part in parts if part in FIELD_OF_WORD}
    return known.pop() if len(known) == 1 else ""


def _listed(
    sheet: Sheet,
    header: int,
    cells: tuple[Cell, ...],
    columns: dict[int, str],
    rows: list[tuple[int, tuple[Cell, ...]]],
) -> Listed:
    for place, name in columns.items():
        if name == EITHER_NAME:
            below = "".join(row[place] for _, row in rows if place < len(row) and isinstance(row[place], str))  # type: ignore[misc]
            title = "title_zh" not in columns.values() and (CJK.search(below) or "name" in columns.values())
            columns[place] = "title_zh" if title else "name"
    headings: dict[str, str] = {}
    for place, name in columns.items():
        heading = _heading(cells[place])
        if name in headings:
            raise fault(
                sheet.at(header),
                tr(
                    f"列 {headings[name]} 与 {heading} 是同一含义；请删去一列",
                    f"columns {headings[name]} and {heading} mean the same; take one out",
                ),
            )
        headings[name] = heading
    if not {"name", "title_en"} & set(headings):
        raise fault(
            sheet.at(header),
            tr(
                "表头既无“名称标识”也无“英文名称”；站点要有字母名称，不会由汉字猜拼音",
                "the header has neither name nor title en; a site needs a name in letters, which is never guessed",
            ),
        )
    ignored = tuple(
        _heading(cell) for place, cell in enumerate(cells) if place not in columns and cell and _heading(cell)
    )
    faults: list[str] = []
    lines = tuple(_lines(sheet, rows, columns, headings, faults))
    if not lines and not faults:
        raise fault(sheet.at(header), tr("表头下没有站点", "there are no sites below the header"))
    return Listed(sheet, headings, lines, ignored, tuple(faults))


def _heading(cell: Cell) -> str:
    return "" if isinstance(cell, Unreadable) else reprlib.repr(cell.replace("\n", " ")).strip("'\"")


def _lines(
    sheet: Sheet,
    rows: list[tuple[int, tuple[Cell, ...]]],
    columns: Mapping[int, str],
    headings: Mapping[str, str],
    faults: list[str],
) -> Iterator[Line]:
    """The rows with something in a known column; a bad cell is a fault, and its row is left out."""
    for number, cells in rows:
        known = {columns[place]: cell for place, cell in enumerate(cells) if place in columns and cell}
        bad = {name: cell for name, cell in known.items() if isinstance(cell, Unreadable)}
        for name, cell in bad.items():
            faults.append(f"{sheet.at(number)}: {headings[name]}: {cell.why}")
        if known and not bad:
            yield Line(number, {name: cell for name, cell in known.items() if isinstance(cell, str)})
