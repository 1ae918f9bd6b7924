"""Lists that are broken, locked, or made to hurt: one sentence each, soon, and nothing written.

How failure would look: a traceback, a minute of silence while memory fills, or a cell that silently means nothing.
"""

from __future__ import annotations

import datetime
import io
import os
import random
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_cases import SMALL, imported, table, wanted, write_csv, write_xlsx
from openpyxl import Workbook, load_workbook

from egovctl.i18n import set_language
from egovctl.paths import Inventory
from egovctl.plan import PlanError
from egovctl.plan.sitelist import build
from egovctl.plan.sitelist.columns import FIELDS

SHEET = "xl/worksheets/sheet1.xml"
CELLS = table(SMALL)
COLUMN = {name: place for place, name in enumerate(FIELDS)}


@pytest.fixture(autouse=True)
def soon_and_in_little_memory() -> Iterator[None]:
    """No list may take long (bombs would), nor more memory than a small machine has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2_500_000_000, hard))
    started = time.process_time()
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert time.process_time() - started < 30


def faults(path: Path) -> list[str]:
    with pytest.raises(PlanError) as caught:
        imported(path)
    english = list(caught.value.faults)
    set_language("zh")
    try:
        with pytest.raises(PlanError) as again:
            imported(path)
    finally:
        set_language(None)
    assert len(again.value.faults) == len(english) and again.value.faults != caught.value.faults
    assert all(len(fault.splitlines()) == 1 for fault in english)
    assert sorted(path.parent.iterdir()) == [path]
    return english


def rewritten(path: Path, change: Callable[[str, bytes], bytes], more: dict[str, bytes] | None = None) -> Path:
    """The workbook with each part as `change(name, content)` makes it, and more parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, **(more or {})}.items():
            archive.writestr(name, content)
    return path


def in_sheet(old: bytes, new: bytes) -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        if name == SHEET:
            content = content.replace(b" />", b"/>").replace(b"<v></v>", b"<v/>")  # openpyxl has two ways to write
            assert old in content
            return content.replace(old, new, 1)
        return content

    return change


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_xlsx(tmp_path / "list.xlsx", CELLS)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no header within the first 30 rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\xff\xd8", "neither XLSX nor CSV in UTF-8 or GB18030"),
        ("类别,名称\n".encode("utf-16"), "neither XLSX nor CSV in UTF-8 or GB18030"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "this is an old .xls or has a password; save it as .xlsx"),
        (b"PK\x03\x04 and no more", "the file is broken (BadZipFile)"),
        (b"kind,name\ncore,\"core\n" + b"x,y\n" * 50, "quotes are not closed"),
        (b"kind,name\ncore," + b"c" * 200_000, "quotes are not closed, or a cell is far too long"),
        (b"kind,name\n" + b"core,core\n" * 20_001, "more than 20000 rows"),
        (b"k" * 10_000_001, "the file is larger than 10 MB"),
    ],
    ids=["empty", "picture", "utf-16", "old", "half a zip", "quote", "long cell", "rows", "large"],
)  # fmt: skip
def test_files_that_are_no_list(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    found = faults(path)
    assert len(found) == 1 and found[0].startswith("list.csv") and sentence in found[0]


def test_no_file_a_folder_and_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "none.csv", tmp_path, tmp_path / "pipe.csv"):
        with pytest.raises(PlanError, match="there is no such file"):
            imported(path)


def test_a_file_s_name_is_on_one_line_in_faults_and_in_the_comment(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a\nsites: []\x1b[31m\u2028.csv", CELLS)
    text = imported(path).files["plan/city.yml"]
    assert text.splitlines()[0].startswith("# Made from") and "\nsites: []" not in text
    path.write_text("x", encoding="utf-8")
    assert len(faults(path)[0].splitlines()) == 1 and "\x1b" not in faults(path)[0]


# Workbooks


def test_a_bomb_is_seen_before_it_is_unpacked(good: Path) -> None:
    rewritten(good, lambda name, content: content + bytes(70_000_000) if name == SHEET else content)
    assert good.stat().st_size < 200_000
    assert faults(good) == [
        "list.xlsx: it unpacks to too much (the limit is 60 MB); save the list as a file of its own"
    ]


def test_large_styles_and_very_many_parts_are_refused(good: Path) -> None:
    many = {f"xl/media/{i}.xml": b"" for i in range(1000)}
    rewritten(good, lambda _, content: content, many)
    assert "it unpacks to too much" in faults(good)[0]
    write_xlsx(good, CELLS)
    rewritten(good, lambda name, content: content + b" " * 9_000_000 if name == "xl/styles.xml" else content)
    assert "it unpacks to too much" in faults(good)[0]


def test_a_directory_that_lies_about_sizes(good: Path) -> None:
    rewritten(good, lambda name, content: content + b" " * 50_000_000 if name == SHEET else content)
    data = good.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo(SHEET).file_size
    good.write_bytes(data.replace(size.to_bytes(4, "little"), (5000).to_bytes(4, "little")))
    assert faults(good)[0].startswith("list.xlsx: the file is broken (")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_not_expanded(good: Path, encoding: str) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "x"}">' for i in range(9))
    head = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE worksheet [{entities}]>'

    def change(name: str, content: bytes) -> bytes:
        if name != SHEET:
            return content
        text = content.decode().partition("?>")[2] if content.startswith(b"<?xml") else content.decode()
        return (head + text.replace("</sheetData>", "&e8;</sheetData>")).encode(encoding)

    assert faults(rewritten(good, change)) == ["list.xlsx: it declares a DOCTYPE, which is not read"]


@pytest.mark.parametrize("part", ["xl/workbook.xml", SHEET, "[Content_Types].xml", "xl/styles.xml"])
@pytest.mark.parametrize("content", [b"", b"<a/>", b"<worksheet><sheetData><row r='x'/>", b"\xff\xfe"])
def test_parts_that_are_not_what_they_should_be(good: Path, part: str, content: bytes) -> None:
    rewritten(good, lambda name, kept: content if name == part else kept)
    try:
        imported(good)
    except PlanError as error:
        assert len(error.faults) == 1 and error.faults[0].startswith("list.xlsx")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_any_damage_is_one_sentence_or_harmless(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path = write_xlsx(tmp_path_factory.mktemp("damage") / "list.xlsx", CELLS)
    data, chance = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(chance.randint(1, 20)):
        data[chance.randrange(4, len(data))] = chance.randrange(256)
    path.write_bytes(bytes(data[: chance.choice([len(data), chance.randrange(5, len(data))])]))
    try:
        imported(path)
    except PlanError as error:
        assert all(len(fault.splitlines()) == 1 for fault in error.faults)


def test_a_locked_part_asks_for_a_file_without_password(good: Path) -> None:
    data = bytearray(good.read_bytes())
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 8] |= 1  # the flag of an encrypted part, in the directory
    good.write_bytes(bytes(data))
    assert faults(good) == ["list.xlsx: it has a password; save it without one"]


def test_a_size_that_lies_and_rows_that_are_far_away(good: Path) -> None:
    rewritten(good, in_sheet(b'<dimension ref="A1:W6"', b'<dimension ref="A1:XFD1048576"'))
    assert len(imported(good).plan.sites) == 5
    write_xlsx(good, CELLS)
    rewritten(good, in_sheet(b'<row r="6"', b'<row r="99999999999"'))
    assert faults(good) == ["list.xlsx, 站点: more than 20000 rows; leave only the list of sites"]


def test_more_rows_than_a_list_has(tmp_path: Path) -> None:
    book = Workbook()
    book.active.title = "s"
    book.active.append(["kind", "name"])
    for row in (2, 20_001):
        book.active.cell(row, 1).value = "core"
    book.save(tmp_path / "list.xlsx")
    assert faults(tmp_path / "list.xlsx") == ["list.xlsx, s: more than 20000 rows; leave only the list of sites"]


# Cells that hold no plain value


def changed(path: Path, row: int, field: str, value: Any) -> Path:
    book = load_workbook(path)
    book.active.cell(row, COLUMN[field] + 1).value = value
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (datetime.date(2026, 1, 2), "it is taken for a date or time; format the cell as text and write it again"),
        (datetime.time(1, 40), "it is taken for a date or time"),
        ("=1+1", "the formula has no stored result; open the file in a spreadsheet and save it"),
        ("#REF!", "the formula's result is the error #REF!"),
        (1.5, "'1.5' is no whole number"),
        (True, "'true' is no whole number"),
    ],
)
def test_cells_without_a_plain_value(good: Path, value: Any, sentence: str) -> None:
    found = faults(changed(good, 6, "number", value))
    assert len(found) == 1 and found[0].startswith(f"list.xlsx, sheet 站点, row 6: 编号: {sentence}")


def test_a_formula_is_its_stored_value(good: Path) -> None:
    changed(good, 6, "number", "=200+30")
    rewritten(good, in_sheet(b"<f>200+30</f><v/>", b"<f>200+30</f><v>230</v>"))
    assert imported(good).plan.site("minqin-health").number == 230


def test_cells_in_columns_that_are_not_used_may_be_anything(good: Path) -> None:
    cells = [[*row, extra] for row, extra in zip(CELLS, ["日期", *[datetime.date(2026, 1, 2)] * 5], strict=True)]
    assert imported(write_xlsx(good, cells)).ignored == ("日期",)


def test_a_county_s_merged_cells_are_each_row_s(good: Path) -> None:
    more = [{**SMALL[4], "name": f"d{i}", "county": "", "uplinks": "hub-minqin:10"} for i in range(3)]
    write_xlsx(good, table([*SMALL, *more]))
    book = load_workbook(good)
    letter = book.active.cell(1, COLUMN["county"] + 1).column_letter
    book.active.merge_cells(f"{letter}6:{letter}8")
    book.save(good)
    sites = imported(good).plan.sites
    assert {site.name: site.county for site in sites if site.kind == "department"} == {
        "minqin-health": "minqin", "d0": "minqin", "d1": "minqin", "d2": None,
    }  # fmt: skip


def test_the_sheet_that_is_meant(good: Path) -> None:
    book = load_workbook(good)
    book.active.title = "2026"
    for title, state in (("说明", "visible"), ("旧表", "hidden"), ("空表", "visible")):
        book.create_sheet(title, 0).sheet_state = state
    book["旧表"].append(["kind", "name"])
    book["旧表"].append(["core", "old"])
    book.save(good)
    assert len(imported(good).plan.sites) == 5
    with pytest.raises(PlanError, match="there is no sheet x; there are 空表, 说明, 2026"):
        build(good, replace(wanted(), sheet="x"), Inventory(good.parent / "town"))
    with pytest.raises(PlanError, match=r"list\.xlsx, sheet 说明: no header"):
        build(good, replace(wanted(), sheet="说明"), Inventory(good.parent / "town"))
