"""A list as it comes: CSV (UTF-8, with or without BOM, or GB18030) or XLSX → sheets of rows of tidy cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from egovctl.i18n import tr
from egovctl.plan.sitelist.cells import Cell, Unreadable, tidy
from egovctl.plan.source import PlanError

MAX_BYTES = 10_000_000
MAX_ROWS = 20_000
MAX_COLUMNS = 100
OLD_OR_LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # OLE: an .xls, or an .xlsx under a password


@dataclass(frozen=True)
class Sheet:
    """One sheet: its rows that are not empty, by the number that a spreadsheet shows. `name` is None in a CSV file."""

    file: str
    name: str | None
    rows: Iterable[tuple[int, tuple[Cell, ...]]]

    def at(self, row: int | None = None) -> str:
        """Where that is, as a fault begins."""
        sheet = "" if self.name is None else tr(f"，工作表 {self.name}", f", sheet {self.name}")
        return self.file + sheet + ("" if row is None else tr(f"，第 {row} 行", f", row {row}"))


def shown_name(path: Path) -> str:
    """The file's name on one line, whatever is in it."""
    name = tidy(path.name)
    return repr(path.name) if isinstance(name, Unreadable) or not name else name.replace("\n", " ")


def read_sheets(path: Path) -> Iterator[Sheet]:
    """The file's sheets, in order; PlanError with one sentence for a file that cannot be taken."""
    shown = shown_name(path)
    content = _content(path, shown)
    if content.startswith(b"PK\x03\x04"):
        from egovctl.plan.sitelist.xlsx import workbook

        yield from workbook(shown, content)
    elif content.startswith(OLD_OR_LOCKED):
        raise fault(
            shown,
            tr(
                "这是旧格式 .xls 或有密码的文件；请另存为无密码的 .xlsx 或 CSV",
                "this is an old .xls or has a password; save it as .xlsx without one, or as CSV",
            ),
        )
    else:
        yield Sheet(shown, None, list(_csv_rows(shown, _text(shown, content))))


def fault(place: str, sentence: str) -> PlanError:
    """A PlanError with this one sentence about that place."""
    return PlanError([f"{place}: {' '.join(sentence.split())}"])


def too_many_rows(place: str) -> PlanError:
    return fault(
        place, tr(f"超过 {MAX_ROWS} 行；请只留站点表", f"more than {MAX_ROWS} rows; leave only the list of sites")
    )


def _content(path: Path, shown: str) -> bytes:
    try:
        if not path.is_file():
            raise fault(shown, tr("没有这个文件", "there is no such file"))
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise fault(shown, tr(f"无法读取（{error.strerror}）", f"cannot be read ({error.strerror})")) from None
    if len(content) > MAX_BYTES:
        limit = MAX_BYTES // 1_000_000
        raise fault(
            shown,
            tr(
                f"文件超过 {limit} MB；请只留站点表",
                f"the file is larger than {limit} MB; leave only the list of sites",
            ),
        )
    return content


def _text(shown: str, content: bytes) -> str:
    """UTF-8 if it is that, else GB18030, which is what spreadsheets write in Chinese offices."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise fault(
        shown,
        tr(
            "既不是 XLSX，也不是 UTF-8 或 GB18030 的 CSV；请另存为 .xlsx 或 CSV UTF-8",
            "neither XLSX nor CSV in UTF-8 or GB18030; save it as .xlsx or as CSV UTF-8",
        ),
    )


def _csv_rows(shown: str, text: str) -> Iterator[tuple[int, tuple[Cell, ...]]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    number = 0
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1):
            cells = tuple(tidy(cell) for cell in row[:MAX_COLUMNS])
            if any(cells):
                if number > MAX_ROWS:
                    raise too_many_rows(shown)
                yield number, cells
    except csv.Error:
        raise fault(
            Sheet(shown, None, ()).at(number + 1),
            tr(
                "引号不成对，或单元格过长；请用表格软件重新保存",
                "quotes are not closed, or a cell is far too long; save it anew from a spreadsheet",
            ),
        ) from None
