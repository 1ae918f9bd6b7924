"""XLSX, by openpyxl. The file may come from anybody: what it unpacks to is looked at before it is unpacked."""

from __future__ import annotations

import datetime
import io
import math
import re
import warnings
import zipfile
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from egovctl.i18n import tr
from egovctl.plan.sitelist.cells import Cell, Unreadable, tidy
from egovctl.plan.sitelist.read import MAX_COLUMNS, MAX_ROWS, Sheet, fault, too_many_rows
from egovctl.plan.source import PlanError

MAX_PARTS = 1000
MAX_UNPACKED = 60_000_000
MAX_OTHER_PART = 8_000_000  # styles and the like become many small objects; only sheets and their texts may be large
LARGE_PARTS = ("xl/worksheets/", "xl/sharedStrings.xml")
LAST_ROW = 1_048_576  # of any spreadsheet
CHUNK = 1_000_000
ENCRYPTED = 0x1
MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?\bref=[\"']([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})[\"']")


@dataclass
class _Merged:
    """Cells that were merged down a column: (first, last) rows, and the value that stands in the first."""

    starts: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[tuple[int, int], int] = field(default_factory=dict)
    values: dict[int, Cell] = field(default_factory=dict)

    def read(self, number: int, cells: list[Cell]) -> None:
        """Give each cell of row `number` that is below the top of a merged one that one's value."""
        for column, starts in self.starts.items():
            place = bisect_right(starts, number) - 1
            if column >= len(cells) or place < 0 or number > self.ends[column, starts[place]]:
                continue
            if starts[place] == number:
                self.values[column] = cells[column]
            else:
                cells[column] = self.values.get(column, "")


def workbook(shown: str, content: bytes) -> Iterator[Sheet]:
    """The visible sheets of the workbook; PlanError with one sentence for a broken, locked or hostile one."""
    _look(shown, content)
    try:
        books = [_open(content, data_only) for data_only in (True, False)]
        for sheet, twin in zip(*(book.worksheets for book in books), strict=True):
            if sheet.sheet_state == "visible":
                title = tidy(sheet.title)
                name = repr(sheet.title) if isinstance(title, Unreadable) else title.replace("\n", " ")
                yield Sheet(shown, name, list(_rows(f"{shown}, {name}", sheet, twin, _merged(content, sheet))))
    except (PlanError, GeneratorExit):
        raise
    except Exception as error:  # openpyxl meets a broken file with whatever its parts raise
        raise _broken(shown, type(error).__name__) from None


def _open(content: bytes, data_only: bool) -> Any:
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about extensions that it leaves out; values are all that is read
        return openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=data_only, keep_links=False)


def _look(shown: str, content: bytes) -> None:
    """Refuse what would unpack to too much, is locked, or declares entities. A part never unpacks to more than the
    directory says (zipfile stops there), so the directory can be believed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            large = [p for p in parts if p.file_size > MAX_OTHER_PART and not p.filename.startswith(LARGE_PARTS)]
            if len(parts) > MAX_PARTS or large or sum(part.file_size for part in parts) > MAX_UNPACKED:
                limit = MAX_UNPACKED // 1_000_000
                raise fault(
                    shown,
                    tr(
                        f"解压后过大（上限 {limit} MB）；请把站点表单独另存为一个文件",
                        f"it unpacks to too much (the limit is {limit} MB); save the list as a file of its own",
                    ),
                )
            if any(part.flag_bits & ENCRYPTED for part in parts):
                raise fault(shown, tr("文件有密码；请另存为无密码的文件", "it has a password; save it without one"))
            for part in parts:
                if part.filename.endswith((".xml", ".rels", ".vml")):
                    _refuse_entities(shown, archive, part)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise _broken(shown, type(error).__name__) from None
    except Exception as error:
        if isinstance(error, PlanError):
            raise
        raise _broken(shown, type(error).__name__) from None


def _refuse_entities(shown: str, archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """No spreadsheet writes a DOCTYPE; one that is there is for entities that grow without end."""
    rest = b""
    with archive.open(part) as stream:
        while chunk := stream.read(CHUNK):
            window = rest + chunk.replace(b"\0", b"")  # UTF-16 too
            if b"<!DOCTYPE" in window:
                raise fault(shown, tr("文件内含 DOCTYPE，不予读取", "it declares a DOCTYPE, which is not read"))
            rest = window[-16:]


def _broken(shown: str, why: str) -> PlanError:
    return fault(
        shown,
        tr(
            f"文件已损坏（{why}）；请用表格软件重新保存", f"the file is broken ({why}); save it anew from a spreadsheet"
        ),
    )


def _merged(content: bytes, sheet: Any) -> _Merged:
    """Which cells of the sheet are merged down one column. openpyxl does not say it of a sheet that it only reads."""
    from openpyxl.utils import column_index_from_string

    found: dict[int, dict[int, int]] = defaultdict(dict)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for match in MERGED.finditer(archive.read(sheet._worksheet_path)):
            left, right = match[1].decode(), match[3].decode()
            if left == right:
                found[column_index_from_string(left) - 1][int(match[2])] = int(match[4])
    merged = _Merged()
    for column, spans in found.items():
        merged.starts[column] = sorted(spans)
        merged.ends |= {(column, first): last for first, last in spans.items()}
    return merged


def _rows(place: str, sheet: Any, twin: Any, merged: _Merged) -> Iterator[tuple[int, tuple[Cell, ...]]]:
    for item in (sheet, twin):
        item.reset_dimensions()  # a file may say anything about its size
    both = (item.iter_rows(max_col=MAX_COLUMNS, values_only=True) for item in (sheet, twin))
    for number, (values, formulas) in enumerate(zip(*both, strict=True), 1):
        if number > LAST_ROW:
            raise too_many_rows(place)
        if formulas.count(None) == len(formulas):
            continue
        both_of = zip(values, formulas, strict=True)
        cells = ["" if formula is None else _cell(value, formula) for value, formula in both_of]
        if not any(cells):
            continue
        merged.read(number, cells)
        if number > MAX_ROWS:
            raise too_many_rows(place)
        yield number, tuple(cells)


def _cell(value: Any, formula: Any) -> Cell:
    match value:
        case None if formula is not None:
            return Unreadable(
                tr(
                    "公式没有保存结果；请用表格软件打开并重新保存",
                    "the formula has no stored result; open the file in a spreadsheet and save it",
                )
            )
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return tidy(str(value))
        case float() if math.isfinite(value):
            return tidy(str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value))
        case str() if value.startswith("#") and value in _error_values():
            return Unreadable(tr(f"公式结果是错误 {value}", f"the formula's result is the error {value}"))
        case str():
            return tidy(value)
        case datetime.date() | datetime.time() | datetime.timedelta():
            return Unreadable(
                tr(
                    "单元格被当成日期或时间；请把格式改为文本后重写",
                    "it is taken for a date or time; format the cell as text and write it again",
                )
            )
        case _:
            return Unreadable(tr("不是文字或数字", "it is neither text nor a number"))


def _error_values() -> tuple[str, ...]:
    from openpyxl.cell.cell import ERROR_CODES

    return tuple(ERROR_CODES)
