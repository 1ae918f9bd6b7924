"""The document engine: every format says what the document says, whatever is in it; files are whole or not there."""

from __future__ import annotations

import io
import os
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import docx as docx_library
import openpyxl
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egovctl.errors import CannotMeasure, UsageError
from egovctl.i18n import set_language
from egovctl.report.document import (
    Bar,
    BarChart,
    Column,
    Document,
    Line,
    LineChart,
    Mark,
    Paragraph,
    Section,
    Strip,
    StripChart,
    Table,
    content,
    write,
)
from egovctl.report.document import pdf as pdf_module
from egovctl.report.document.charts import cut, svg, ticks
from egovctl.report.document.model import SIGNS, shown

HOSTILE = "<script>alert('政务')</script> & \"=1+1\""
DAY = 86_400
LABELS = st.text("a<&\"'民 ", max_size=20)
BARS = BarChart(
    "条形", HOSTILE, (Bar("甲", 40.0, "40", 60.0, 80.0), Bar(HOSTILE, 500.0, "500", tone="bad")), "%", 100, 80
)
STRIPS = StripChart(
    "时段", "d", 0, 31 * DAY, 0, (Strip("乙", ((0, DAY, "bad"), (DAY, DAY, "unknown"))),), (("bad", "中断"),)
)
LINES = LineChart(
    "趋势", "d", (Line("丙", ((0, 1.0), (DAY, 2.0)), ((0, 1.0), (DAY, 2.0)), ((DAY, 1.0, 3.0),)),), "%", 0, (80.0,)
)
CHARTS = (BARS, STRIPS, LINES)
TABLE = Table(
    "站点/表",
    "站点",
    (
        Column("名称"),
        Column("数", "number", 2),
        Column("率", "percent", 1),
        Column("时", "moment"),
        Column("判", "mark"),
    ),
    (
        (HOSTILE, 1234.5, 99.9, datetime(2026, 10, 1, 8, 30, tzinfo=UTC), Mark("未兑现", "bad")),
        ("=cmd()", None, None, None, Mark("兑现", "good")),
    ),
    "没有",
    1,
)


def document(*blocks: Any, language: Any = "zh") -> Document:
    facts = (("网络", "武威市"), ("=事实", "@值"))
    return Document(language, "可用性月报", "一句话。", facts, (Section("第一节", tuple(blocks)),))


class Tags(HTMLParser):
    """Which elements a page has, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_says_all_and_runs_nothing() -> None:
    page = Tags(content(document(Paragraph(HOSTILE), TABLE, *CHARTS), "html").decode())
    names = [tag for tag, _ in page.tags]
    assert "script" not in names and page.text.count("alert(") >= 2
    assert names.count("h1") == 1 and names.count("svg") == 3
    assert dict(page.tags)["html"] == {"lang": "zh-CN"}
    for text in (
        "可用性月报",
        "一句话。",
        "第一节",
        "1,234.50",
        "99.9 %",
        "2026-10-01 08:30:00",
        "▲ 未兑现",
        "另有 1 行",
    ):
        assert text in page.text
    assert "=cmd()" not in page.text, "it is the second row, and only one is to be shown"
    # Nothing comes from elsewhere.
    assert not [attrs for _, attrs in page.tags if "src" in attrs or "href" in attrs]
    heads = [attrs["scope"] for tag, attrs in page.tags if tag == "th"]
    assert heads == ["col"] * 5 + ["row"]
    labels = [attrs["aria-labelledby"].split() for tag, attrs in page.tags if tag == "svg" and attrs["aria-labelledby"]]
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert len(labels) == 3 and all(set(pair) <= ids for pair in labels)


def test_an_empty_table_says_so() -> None:
    empty = Table("t", "站点", (Column("名称"),), (), "没有站点")
    assert "没有站点" in content(document(empty), "html").decode()
    file = docx_library.Document(io.BytesIO(content(document(empty), "docx")))
    assert "没有站点" in [line.text for line in file.paragraphs]


def test_a_row_that_does_not_fit_is_no_table() -> None:
    with pytest.raises(ValueError, match="another number of cells"):
        Table("t", "t", (Column("a"), Column("b")), (("one",),), "none")


def test_pdf_has_the_words_in_it() -> None:
    file = pypdfium2.PdfDocument(content(document(TABLE, *CHARTS), "pdf"))
    text = "".join(page.get_textpage().get_text_range() for page in file)
    for word in ("可用性月报", "未兑现", "1,234.50", "甲", "乙", "丙", "第 1 页"):
        assert word in text
    width, height = file[0].get_size()
    assert width < height


def test_many_columns_lie_across() -> None:
    wide = Table("w", "w", tuple(Column(str(number)) for number in range(12)), (tuple("abcdefghijkl"),), "none")
    width, height = pypdfium2.PdfDocument(content(document(wide), "pdf"))[0].get_size()
    assert width > height
    section = docx_library.Document(io.BytesIO(content(document(wide), "docx"))).sections[0]
    assert section.page_width and section.page_height and section.page_width > section.page_height


def test_docx_has_tables_and_pictures_with_words_for_who_does_not_see_them() -> None:
    file = docx_library.Document(io.BytesIO(content(document(Paragraph("段落"), TABLE, BARS), "docx")))
    assert [cell.text for cell in file.tables[0].rows[1].cells][1:] == [
        "1,234.50",
        "99.9 %",
        "2026-10-01 08:30:00",
        "▲ 未兑现",
    ]
    assert len(file.tables[0].rows) == 2
    (picture,) = file.inline_shapes
    assert picture._inline.docPr.get("descr") == f"条形. {HOSTILE}"
    assert {"段落", "一句话。"} <= {line.text for line in file.paragraphs}


def test_xlsx_has_all_rows_as_numbers_and_no_formula() -> None:
    book = openpyxl.load_workbook(io.BytesIO(content(document(TABLE, TABLE), "xlsx")))
    assert book.sheetnames == ["说明", "站点 表", "站点 表 2"]
    first, second = list(book["站点 表"].iter_rows(min_row=2))
    assert [cell.value for cell in first[1:4]] == [1234.5, pytest.approx(0.999), datetime(2026, 10, 1, 8, 30)]
    assert second[0].value == "'=cmd()"
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(LABELS, st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=5))
def test_any_bar_chart_is_well_formed(bars: list[tuple[str, float, float]]) -> None:
    chart = BarChart("图", "d", tuple(Bar(name, low, f"{low:g}", high) for name, low, high in bars), "%", 100.0)
    root = ET.fromstring(svg(chart))
    assert all(float(item.get("width", "0")) >= 0 for item in root.iter("{http://www.w3.org/2000/svg}rect"))


@settings(deadline=None)
@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_ticks_are_few_and_within(first: float, second: float) -> None:
    low, high = sorted((first, second))
    found = ticks(low, high)
    assert len(found) <= 12 and found == sorted(found)
    slack = 1e-6 * max(1.0, high - low)
    assert all(low - slack <= tick <= high + slack for tick in found)


def test_a_label_is_cut_by_columns_not_letters() -> None:
    assert cut("short", 31) == "short"
    assert cut("民勤县人力资源和社会保障局民勤县", 31) == "民勤县人力资源和社会保障局民…"


def test_every_tone_has_a_sign_of_its_own() -> None:
    assert len(set(SIGNS.values())) == len(SIGNS)
    assert shown(Column("c"), None) == "—"


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    set_language("en")
    path = tmp_path / "report.pdf"
    write(path, b"one", force=False)
    with pytest.raises(UsageError, match="--force"):
        write(path, b"two", force=False)
    assert path.read_bytes() == b"one"
    write(path, b"two", force=True)
    assert (path.read_bytes(), [item.name for item in tmp_path.iterdir()]) == (b"two", ["report.pdf"])
    with pytest.raises(UsageError, match="there is no folder"):
        write(tmp_path / "no/report.pdf", b"x", force=False)
    with pytest.raises(UsageError, match="is a folder"):
        write(tmp_path, b"x", force=True)
    set_language(None)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "report.pdf", b"x", force=False)
    assert not list(tmp_path.iterdir())


def test_without_a_chinese_font_a_chinese_pdf_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_module, "_has_chinese", lambda: False)
    with pytest.raises(CannotMeasure, match="fonts-noto-cjk"):
        content(document(TABLE), "pdf")
    assert content(document(TABLE, language="en"), "pdf").startswith(b"%PDF-")
