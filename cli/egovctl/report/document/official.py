"""DOCX in the form of an official document (GB/T 9704-2012): its paper, margins, fonts, sizes, headings, page numbers.

The fonts are named, not carried: where one is not installed the office program takes another. Tables are made as XML
in one piece, since python-docx takes a second for what this does in a hundredth, and a city needs dozens of packs.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from itertools import count
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from egovctl.report.document.charts import width
from egovctl.report.document.html import WORDS, visible
from egovctl.report.document.model import Cell, Document, Links, Paragraph, Table, shown
from egovctl.report.document.pdf import picture

TOP_MM, BOTTOM_MM, LEFT_MM, RIGHT_MM = 37, 35, 28, 26
TEXT_MM = 210 - LEFT_MM - RIGHT_MM
LINE_PT = 28.95  # 22 lines on 225 mm
TITLE_PT, BODY_PT, NUMBER_PT, TABLE_PT = 22, 16, 14, 9  # sizes 2, 3, 4 and small 5
LATIN = "Times New Roman"
FONTS = {"title": "方正小标宋简体", "body": "仿宋", "first": "黑体", "second": "楷体", "number": "宋体"}
TWIPS_MM, TWIPS_PT = 56.7, 20
TABLE_STYLE = "EgovTable"  # the identifier of the style "Egov Table"
DIGITS = "〇一二三四五六七八九"
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
BORDERS = "".join(
    f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="000000"/>'
    for side in ("top", "left", "bottom", "right", "insideH", "insideV")
)


def official(document: Document) -> bytes:
    """The document for Word, WPS or LibreOffice."""
    import docx as library
    from docx.shared import Mm

    out: Any = library.Document()
    _page(out, document)
    _styles(out, document.language)
    out.core_properties.title = document.title
    out.core_properties.author = ""
    out.core_properties.language = "zh-CN" if document.language == "zh" else "en"
    out.core_properties.created = datetime.now(UTC).replace(tzinfo=None)
    if document.banner:
        _text(out, document.banner, "Egov Banner")
    _text(out, document.title, "Title")
    _text(out, document.summary, "Egov Body")
    colon = "：" if document.language == "zh" else ": "
    for name, value in document.facts:
        _text(out, f"{name}{colon}{value}", "Egov Body")
    names: dict[str, str] = {}
    for table in document.tables:
        for anchor in table.anchors[: len(visible(table))]:
            names.setdefault(anchor, f"a{len(names)}")
    for number, section in enumerate(document.sections, 1):
        _text(out, _first(number, document.language) + section.title, "Heading 1")
        captions = count(1)
        for block in section.blocks:
            if isinstance(block, Paragraph):
                _text(out, block.text, "Egov Body")
                continue
            _text(out, _second(number, next(captions), document.language) + block.caption, "Heading 2")
            if isinstance(block, Table):
                _table(out, document, block, names)
            else:
                shape = out.add_picture(io.BytesIO(picture(block)), width=Mm(TEXT_MM))
                shape._inline.docPr.set("descr", f"{block.caption}. {block.description}")
                # Exact line spacing would cut the picture to one line.
                out.paragraphs[-1].paragraph_format.line_spacing = 1.0
    stream = io.BytesIO()
    out.save(stream)
    return stream.getvalue()


def chinese(number: int) -> str:
    """1 to 99 as headings count: 一, 十, 二十一."""
    tens, ones = divmod(number, 10)
    text = "" if not tens else ("" if tens == 1 else DIGITS[tens]) + "十"
    return text + (DIGITS[ones] if ones or not tens else "")


def _first(number: int, language: str) -> str:
    return f"{chinese(number)}、" if language == "zh" else f"{number}. "


def _second(section: int, number: int, language: str) -> str:
    return f"（{chinese(number)}）" if language == "zh" else f"{section}.{number} "


def _page(out: Any, document: Document) -> None:
    """Paper, margins, the banner above and the number below: right on odd pages, left on even ones."""
    from docx.enum.section import WD_ORIENT
    from docx.shared import Mm

    page = out.sections[0]
    page.orientation = WD_ORIENT.PORTRAIT
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.top_margin, page.bottom_margin = Mm(TOP_MM), Mm(BOTTOM_MM)
    page.left_margin, page.right_margin = Mm(LEFT_MM), Mm(RIGHT_MM)
    page.header_distance = page.footer_distance = Mm(25)  # the number's line is 7 mm below the text
    out.settings.odd_and_even_pages_header_footer = True
    for header, footer, side in (
        (page.header, page.footer, "right"),
        (page.even_page_header, page.even_page_footer, "left"),
    ):
        header.is_linked_to_previous = footer.is_linked_to_previous = False
        line = header.paragraphs[0]
        line.style = out.styles["Normal"]
        line._p.addnext(_parsed(_banner(document)))
        line._p.getparent().remove(line._p)
        last = footer.paragraphs[0]
        last._p.addnext(_parsed(_number(side)))
        last._p.getparent().remove(last._p)


def _banner(document: Document) -> str:
    return (
        f'<w:p xmlns:w="{W}"><w:pPr><w:jc w:val="center"/></w:pPr>'
        f"{_run(document.banner or document.title, TABLE_PT, FONTS['body'])}</w:p>"
    )


def _number(side: str) -> str:
    """A dash, the number, a dash; one letter in from the margin."""
    format_ = f'<w:rPr><w:rFonts {_fonts(FONTS["number"], FONTS["number"])}/><w:sz w:val="{2 * NUMBER_PT}"/></w:rPr>'
    field = "".join(
        f"<w:r>{format_}{part}</w:r>"
        for part in (
            '<w:t xml:space="preserve">— </w:t>',
            '<w:fldChar w:fldCharType="begin"/>',
            '<w:instrText xml:space="preserve"> PAGE </w:instrText>',
            '<w:fldChar w:fldCharType="separate"/>',
            "<w:t>1</w:t>",
            '<w:fldChar w:fldCharType="end"/>',
            '<w:t xml:space="preserve"> —</w:t>',
        )
    )
    indent = f'<w:ind w:{side}="{NUMBER_PT * TWIPS_PT}"/>'
    return f'<w:p xmlns:w="{W}"><w:pPr>{indent}<w:jc w:val="{side}"/></w:pPr>{field}</w:p>'


def _styles(out: Any, language: str) -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.enum.text import WD_ALIGN_PARAGRAPH as Align
    from docx.shared import Pt

    for name in ("Egov Body", "Egov Banner", "Egov Table"):
        out.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH).base_style = out.styles["Normal"]
    looks = (
        ("Normal", BODY_PT, FONTS["body"], Align.LEFT),
        ("Title", TITLE_PT, FONTS["title"], Align.CENTER),
        ("Heading 1", BODY_PT, FONTS["first"], Align.LEFT),
        ("Heading 2", BODY_PT, FONTS["second"], Align.LEFT),
        ("Egov Body", BODY_PT, FONTS["body"], Align.JUSTIFY),
        ("Egov Banner", BODY_PT, FONTS["first"], Align.CENTER),
        ("Egov Table", TABLE_PT, FONTS["body"], Align.LEFT),
    )
    for name, size, font, align in looks:
        style = out.styles[name]
        _font(style, font, size)
        spaced = style.paragraph_format
        spaced.space_before = spaced.space_after = Pt(0)
        spaced.line_spacing = Pt({"Egov Table": 13, "Title": 36}.get(name, LINE_PT))
        spaced.alignment = align
        spaced.widow_control = True
        spaced.keep_with_next = name.startswith("Heading")
        # Text and headings begin two letters in; table cells do not.
        if name in ("Egov Body", "Heading 1", "Heading 2"):
            spaced.first_line_indent = Pt(2 * BODY_PT if language == "zh" else 0)
    out.styles["Title"].paragraph_format.space_after = Pt(LINE_PT)
    for border in out.styles["Title"].element.xpath("w:pPr/w:pBdr"):
        border.getparent().remove(border)


def _font(style: Any, font: str, size: float) -> None:
    """Black, upright, plain; a second font for letters of the East."""
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    style.font.name, style.font.size, style.font.bold, style.font.italic = LATIN, Pt(size), False, False
    style.font.color.rgb = RGBColor(0, 0, 0)
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    fonts.set(qn("w:eastAsia"), font)
    for name in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{name}"), None)


def _text(out: Any, text: str, style: str) -> None:
    out.add_paragraph(UNWRITABLE.sub("", text), style=style)


def _table(out: Any, document: Document, block: Table, names: dict[str, str]) -> None:
    if not block.rows:
        _text(out, block.empty, "Egov Body")
        return
    rows = visible(block)
    widths = _widths(block, rows)
    grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    right = [column.numeric for column in block.columns]
    head = "".join(
        _cell(_run(column.title, TABLE_PT, FONTS["first"]), width, aside)
        for column, width, aside in zip(block.columns, widths, right, strict=True)
    )
    lines = []
    for number, row in enumerate(rows):
        mark = names.get(block.anchors[number], "") if block.anchors else ""
        cells = [
            _cell(_said(column, value, names), width, aside, mark if place == 0 else "")
            for place, (column, value, width, aside) in enumerate(zip(block.columns, row, widths, right, strict=True))
        ]
        lines.append(f"<w:tr><w:trPr><w:cantSplit/></w:trPr>{''.join(cells)}</w:tr>")
    text = (
        f'<w:tbl xmlns:w="{W}"><w:tblPr><w:tblW w:w="{sum(widths)}" w:type="dxa"/>'
        f"<w:tblBorders>{BORDERS}</w:tblBorders>"
        f'<w:tblLayout w:type="fixed"/><w:tblLook w:val="0020" w:firstRow="1"/></w:tblPr><w:tblGrid>{grid}</w:tblGrid>'
        f"<w:tr><w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>{head}</w:tr>{''.join(lines)}</w:tbl>"
    )
    out.element.body.insert_element_before(_parsed(text), "w:sectPr")
    if len(rows) < len(block.rows):
        _text(out, WORDS[document.language]["left_out"].format(len(block.rows) - len(rows)), "Egov Table")


def _said(column: Any, value: Cell, names: dict[str, str]) -> str:
    if not isinstance(value, Links) or not value.parts:
        return _run(shown(column, value))
    runs = []
    for place, (text, anchor) in enumerate(value.parts):
        run = _run(text + ("; " if place + 1 < len(value.parts) else ""))
        runs.append(f"<w:hyperlink w:anchor={quoteattr(names[anchor])}>{run}</w:hyperlink>" if anchor in names else run)
    return "".join(runs)


def _run(text: str, size: float = 0, font: str = "") -> str:
    look = f'<w:rPr><w:rFonts {_fonts(LATIN, font)}/><w:sz w:val="{2 * size:.0f}"/></w:rPr>' if font else ""
    return f'<w:r>{look}<w:t xml:space="preserve">{escape(UNWRITABLE.sub("", text))}</w:t></w:r>'


def _fonts(latin: str, eastern: str) -> str:
    return f'w:ascii="{latin}" w:hAnsi="{latin}" w:eastAsia="{eastern}"'


def _cell(runs: str, width: int, aside: bool, mark: str = "") -> str:
    to_the_right = '<w:jc w:val="right"/>' if aside else ""
    name = f'<w:bookmarkStart w:id="{mark[1:]}" w:name="{mark}"/><w:bookmarkEnd w:id="{mark[1:]}"/>' if mark else ""
    return (
        f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/></w:tcPr>'
        f'<w:p><w:pPr><w:pStyle w:val="{TABLE_STYLE}"/>{to_the_right}</w:pPr>{name}{runs}</w:p></w:tc>'
    )


def _widths(block: Table, rows: tuple[tuple[Cell, ...], ...]) -> list[int]:
    """Columns that need little get it; the others share what is left by the root of what they need."""
    total = int(TEXT_MM * TWIPS_MM)
    wanted = []
    for place, column in enumerate(block.columns):
        texts = [column.title, *(shown(column, row[place]) for row in rows)]
        wanted.append(max(map(width, texts)) * TABLE_PT * TWIPS_PT // 2 + 240)
    fair = total // len(wanted)
    small = {place for place, width in enumerate(wanted) if width <= fair}
    left = total - sum(wanted[place] for place in small)
    roots = {place: width**0.5 for place, width in enumerate(wanted) if place not in small}
    if not roots:
        return wanted
    return [
        width if place in small else int(left * roots[place] / sum(roots.values()))
        for place, width in enumerate(wanted)
    ]


def _parsed(text: str) -> Any:
    from docx.oxml import parse_xml

    return parse_xml(text)
