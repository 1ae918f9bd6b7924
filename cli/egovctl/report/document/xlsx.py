"""XLSX by openpyxl: one sheet a table with all its rows, numbers as numbers, ready to be filtered."""

from __future__ import annotations

import io
import re
from datetime import datetime
from typing import Any

from egovctl.report.document.charts import width
from egovctl.report.document.model import Cell, Column, Document, Links, Mark, Table, shown

FORBIDDEN = re.compile(r"[\[\]:*?/\\]")
LONGEST_NAME = 31
WIDEST = 60
COLOURS = {"good": "DCEBF5", "bad": "F9DDCB", "unknown": "FFF2CC", "quiet": "EEEEEE"}
# A text with one of these first would be taken for a formula by who opens it as CSV later.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def xlsx(document: Document) -> bytes:
    """The document's tables as a workbook; its head is the first sheet."""
    from openpyxl import Workbook

    book: Any = Workbook()
    first = book.active
    first.title = "说明" if document.language == "zh" else "about"
    _head(first, document)
    names = {first.title.lower()}
    for table in document.tables:
        sheet = book.create_sheet(_name(table.name, names))
        _sheet(sheet, table)
    book.properties.title = document.title
    book.properties.creator = ""
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _name(wanted: str, taken: set[str]) -> str:
    """A sheet's name that Excel takes and that is there once."""
    plain = FORBIDDEN.sub(" ", wanted)[:LONGEST_NAME]
    number = 2
    while plain.lower() in taken:
        plain = f"{plain[: LONGEST_NAME - 3]} {number}"
        number += 1
    taken.add(plain.lower())
    return plain


def _head(sheet: Any, document: Document) -> None:
    from openpyxl.styles import Alignment, Font

    sheet.append([plain(document.title)])
    sheet["A1"].font = Font(bold=True, size=14)
    sheet.append([plain(document.summary)])
    sheet.append([plain(document.banner)] if document.banner else [])
    for name, value in document.facts:
        sheet.append([plain(name), plain(value)])
    for cell in (sheet["A2"],):
        cell.alignment = Alignment(wrap_text=False)
    sheet.column_dimensions["A"].width = 24
    sheet.column_dimensions["B"].width = 80


def _sheet(sheet: Any, table: Table) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    sheet.append([plain(column.title) for column in table.columns])
    for cell in sheet[1]:
        cell.font = Font(bold=True)
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    for row in table.rows:
        sheet.append([_value(column, value) for column, value in zip(table.columns, row, strict=True)])
        for cell, column, value in zip(sheet[sheet.max_row], table.columns, row, strict=True):
            if isinstance(value, float | int | datetime):
                cell.number_format = _number_format(column)
            elif isinstance(value, Mark):
                cell.fill = PatternFill("solid", start_color=COLOURS[value.tone])
    sheet.freeze_panes = "B2"
    if table.rows:
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(table.columns))}{len(table.rows) + 1}"
    for number, column in enumerate(table.columns, 1):
        texts = [column.title, *(shown(column, row[number - 1]) for row in table.rows)]
        wide = max(map(width, texts))
        sheet.column_dimensions[get_column_letter(number)].width = min(WIDEST, wide + 3)


def _value(column: Column, value: Cell) -> object:
    """A value as Excel keeps it: per cent as a fraction, moments without the zone, which the head names."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, Mark | Links):
        return str(value)
    if isinstance(value, str):
        return plain(value)
    return value / 100 if value is not None and column.kind == "percent" else value


def plain(text: str) -> str:
    """The text so that no office program takes it for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _number_format(column: Column) -> str:
    if column.kind == "moment":
        return "yyyy-mm-dd hh:mm:ss"
    digits = "0" if not column.decimals else "0." + "0" * column.decimals
    return f"{digits}%" if column.kind == "percent" else digits if column.decimals else "#,##0"
