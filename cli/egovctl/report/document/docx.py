"""DOCX by python-docx: headings, real tables and pictures that an office can go on writing in.

Not by docxtpl: that fills a template made by hand, and tables of any number of columns have to be built with
python-docx there as well, so that the template would be a binary file in the tree that decides nothing.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from egovctl.report.document.html import WORDS, visible
from egovctl.report.document.model import Document, Mark, Paragraph, Table, shown
from egovctl.report.document.pdf import picture

FONT = {"zh": "微软雅黑", "en": "Calibri"}
COLOURS = {"good": "00527F", "bad": "A34700", "unknown": "5A4500", "quiet": "555555"}
MARGIN_CM = 1.8
WIDTH_CM = 21.0 - 2 * MARGIN_CM
WIDE_CM = 29.7 - 2 * MARGIN_CM
NARROWEST, WIDEST = 10, 32  # of a column, in half-width letters; longer texts take several lines


def docx(document: Document) -> bytes:
    """The document for Word, WPS or LibreOffice."""
    import docx as library
    from docx.enum.section import WD_ORIENT
    from docx.shared import Cm, Pt

    out: Any = library.Document()
    page = out.sections[0]
    upright = (Cm(21.0), Cm(29.7))
    page.page_width, page.page_height = reversed(upright) if document.wide else upright
    page.orientation = WD_ORIENT.LANDSCAPE if document.wide else WD_ORIENT.PORTRAIT
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = Cm(MARGIN_CM)
    for name in ("Normal", "Title", "Heading 1"):
        _font(out.styles[name], document.language)
    out.styles["Normal"].font.size = Pt(10)
    out.core_properties.title = document.title
    out.core_properties.author = ""
    out.core_properties.language = "zh-CN" if document.language == "zh" else "en"
    out.core_properties.created = datetime.now(UTC).replace(tzinfo=None)
    if document.banner:
        out.add_paragraph().add_run(document.banner).bold = True
        page.header.paragraphs[0].text = document.banner
    out.add_heading(document.title, 0)
    out.add_paragraph().add_run(document.summary).bold = True
    for name, value in document.facts:
        line = out.add_paragraph(style="List Bullet")
        line.paragraph_format.space_after = Pt(0)
        line.add_run(f"{name}: {value}")
    for section in document.sections:
        out.add_heading(section.title, 1)
        for block in section.blocks:
            if isinstance(block, Paragraph):
                out.add_paragraph(block.text)
            elif isinstance(block, Table):
                _table(out, document, block)
            else:
                _caption(out, block.caption)
                shape = out.add_picture(io.BytesIO(picture(block)), width=Cm(WIDTH_CM))
                shape._inline.docPr.set("descr", f"{block.caption}. {block.description}")
    stream = io.BytesIO()
    out.save(stream)
    return stream.getvalue()


def _font(style: Any, language: str) -> None:
    """One font for letters of both kinds; Word keeps a second one for those of the East."""
    from docx.oxml.ns import qn

    style.font.name = FONT["en"]
    style.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), FONT["zh"])
    for name in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        style.element.rPr.rFonts.attrib.pop(qn(f"w:{name}"), None)


def _caption(out: Any, text: str) -> None:
    from docx.shared import Pt

    line = out.add_paragraph()
    line.paragraph_format.keep_with_next = True
    line.paragraph_format.space_before = Pt(8)
    line.add_run(text).bold = True


def _table(out: Any, document: Document, block: Table) -> None:
    _caption(out, block.caption)
    if not block.rows:
        out.add_paragraph(block.empty)
        return
    rows = visible(block)
    table = out.add_table(rows=1 + len(rows), cols=len(block.columns))
    table.style = "Light List Accent 1"
    table.autofit = False
    _repeat(table.rows[0])
    texts = [[shown(column, value) for column, value in zip(block.columns, row, strict=True)] for row in rows]
    widths = _widths([column.title for column in block.columns], texts, WIDE_CM if document.wide else WIDTH_CM)
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    # Cells of a row are looked up once: python-docx counts through the table at each table.cell().
    for cell, column, width in zip(table.rows[0].cells, block.columns, widths, strict=True):
        cell.width = width
        _write(cell, column.title, right=column.numeric)
    for row, said, line in zip(rows, texts, list(table.rows)[1:], strict=True):
        for cell, column, value, text, width in zip(line.cells, block.columns, row, said, widths, strict=True):
            tone = value.tone if isinstance(value, Mark) else None
            cell.width = width
            _write(cell, text, right=column.numeric, colour=COLOURS[tone] if tone else None)
    if len(rows) < len(block.rows):
        out.add_paragraph(WORDS[document.language]["left_out"].format(len(block.rows) - len(rows)))


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]], whole: float) -> list[Any]:
    """Each column as wide as its longest text asks for, within bounds; titles may be broken once."""
    from docx.shared import Cm

    asked = [
        min(WIDEST, max(NARROWEST, -(-_length(title) // 2) + 2, *(_length(row[number]) + 4 for row in rows)))
        for number, title in enumerate(titles)
    ]
    return [Cm(whole * one / sum(asked)) for one in asked]


def _length(text: str) -> int:
    """In half-width letters: a Chinese character is two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _write(cell: Any, text: str, *, right: bool, colour: str | None = None) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt, RGBColor

    line = cell.paragraphs[0]
    run = line.add_run(text)
    run.font.size = Pt(8)
    if right:
        line.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    if colour:
        run.font.color.rgb = RGBColor.from_string(colour)


def _repeat(row: Any) -> None:
    """The headings stand again on each page."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    mark = OxmlElement("w:tblHeader")
    mark.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(mark)
