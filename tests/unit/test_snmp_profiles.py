"""Profiles of tables with rich types: what each word of a profile does to a device's cells, and what is refused."""

from __future__ import annotations

import asyncio
import struct
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_snmp_walk import Device

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell
from egov_exporters.snmp.decode import Decoded, decode, measure
from egov_exporters.snmp.expose import Source, render
from egov_exporters.snmp.oid import Oid, parse_oid
from egov_exporters.snmp.profiles import Profile, ProfileError, check_profile, parse_profile
from egov_exporters.snmp.schema import MEASURES, Column
from egov_exporters.snmp.values import CONVERSIONS, BadValue, floating, parsed, set_bits, text, unix_time
from egov_exporters.snmp.walk import Harvest, read_profile

T = "1.3.6.1.9.1.1"  # the table of the tests; its columns are T.1, T.2 ...
REASONS = {
    "wrong_type",
    "bad_number",
    "out_of_range",
    "bad_oid",
    "text_too_long",
    "bad_date",
    "no_number_in_text",
}


def integer(value: int) -> Cell:
    """An INTEGER cell."""
    return Cell(ber.INTEGER, ber.integer_octets(value))


def string(value: str) -> Cell:
    """A string cell."""
    return Cell(ber.OCTET_STRING, value.encode())


def profile(columns: list[dict[str, Any]], index: Any = "index", labels: list[dict[str, Any]] | None = None) -> Profile:
    """A profile of one table; `oid: 3` stands for column 3."""

    def full(item: dict[str, Any]) -> dict[str, Any]:
        return {"help": "h", "type": "gauge"} | {
            key: f"{T}.{value}" if key in ("oid", "via", "scale_by", "units", "digits") else value
            for key, value in item.items()
        }

    named = [{key: value for key, value in full(one).items() if key != "help"} for one in labels or ()]
    table = {"name": "t", "index": index, "labels": named, "columns": [full(one) for one in columns]}
    return parse_profile({"module": "x", "tables": [table]}, "x.yml")


def serve(made: Profile, cells: dict[str, Cell]) -> Decoded:
    """What is served of a device that has these cells; `"2.7"` stands for column 2, row 7."""
    table: dict[Oid, Cell] = {parse_oid(f"{T}.{place}"): cell for place, cell in cells.items()}
    harvest = Harvest()
    asyncio.run(read_profile(Device(table | {(1, 3, 6, 1, 9, 2, 1): integer(0)}), made, harvest))
    return decode(made, harvest)


def lines(decoded: Decoded) -> list[str]:
    """The series as text."""
    return [line for line in render(decoded.families).decode().splitlines() if not line.startswith("#")]


def test_a_row_with_an_index_of_several_parts() -> None:
    """Each part is a label; a part that is not shown is read over; a bad index costs its row and is counted."""
    index = [
        {"label": "address", "type": "InetAddressIPv4"},
        {"label": "mark", "shown": False},
        {"label": "name", "type": "DisplayString"},
    ]
    cells = {"1.10.0.0.1.99.2.97.98": integer(5), "1.10.0.0.1.99.7.97": integer(6)}
    decoded = serve(profile([{"name": "m", "oid": 1}], index), cells)
    assert lines(decoded) == ['m{address="10.0.0.1",name="ab"} 5']
    assert decoded.problems == {"bad_index": 1}


def test_labels_from_other_tables() -> None:
    """By one part of the index, and by a number in the row; both are read, and a name that is missing is empty."""
    labels = [
        {"label": "port", "oid": 8, "type": "DisplayString", "lookup": "ifIndex"},
        {"label": "entity", "oid": 9, "type": "DisplayString", "via": 2},
    ]
    made = profile([{"name": "m", "oid": 1}], [{"label": "group"}, {"label": "ifIndex"}], labels)
    cells = {
        "1.1.7": integer(1),
        "1.2.8": integer(2),
        "2.1.7": integer(40),
        "8.7": string("eth7"),
        "9.40": string("slot"),
    }
    assert lines(serve(made, cells)) == [
        'm{entity="slot",group="1",ifIndex="7",port="eth7"} 1',
        'm{entity="",group="2",ifIndex="8",port=""} 2',
    ]


def test_a_lookup_whose_rows_end_early_does_not_cut_the_table() -> None:
    """Three names, forty rows: the rows without a name are served as well."""
    labels = [{"label": "port", "oid": 8, "type": "DisplayString", "lookup": "index"}]
    cells = {f"1.{row}": integer(row) for row in range(1, 41)} | {f"8.{row}": string("p") for row in (1, 2, 3)}
    assert len(lines(serve(profile([{"name": "m", "oid": 1}], labels=labels), cells))) == 40


def test_scales_multiply_and_the_source_knows() -> None:
    """A factor, a factor from the row, a decimal prefix and places: value = number x scale, in the source too."""
    made = profile(
        [
            {"name": "a", "oid": 1, "scale": 0.1},
            {"name": "b", "oid": 1, "scale_by": 2},
            {"name": "c", "oid": 1, "units": 3, "digits": 4},
        ]
    )
    decoded = serve(made, {"1.7": integer(37), "2.7": integer(4096), "3.7": integer(8), "4.7": integer(1)})
    found = {family.name: family.samples[0] for family in decoded.families}
    assert {name: sample.value for name, sample in found.items()} == {"a": 37 * 0.1, "b": 37 * 4096, "c": 37 * 1e-4}
    for sample in found.values():
        assert sample.source is not None and sample.source.column == parse_oid(f"{T}.1")
        assert sample.value == 37 * sample.source.scale


def test_a_row_without_its_scale_is_not_served() -> None:
    """A number whose unit is not known is no number."""
    decoded = serve(profile([{"name": "b", "oid": 1, "scale_by": 2}]), {"1.7": integer(37)})
    assert (lines(decoded), decoded.problems) == ([], {"no_scale": 1})
    decoded = serve(profile([{"name": "b", "oid": 1, "digits": 2}]), {"1.7": integer(37), "2.7": integer(400)})
    assert (lines(decoded), decoded.problems) == ([], {"no_scale": 1})


def test_markers_of_absence_are_left_out_silently() -> None:
    """And such a number has no source: were it read again alone, the marker would be served one day."""
    made = profile([{"name": "m", "oid": 1, "absent": [0x7FFFFFFF]}])
    decoded = serve(made, {"1.1": integer(0x7FFFFFFF), "1.2": integer(40)})
    assert (lines(decoded), decoded.problems) == (['m{index="2"} 40'], {})
    assert decoded.families[0].samples[0].source is None


def test_a_number_that_others_depend_on_has_no_source() -> None:
    """When it changes, more than itself must be served anew."""
    made = profile([{"name": "units", "oid": 2}, {"name": "m", "oid": 1, "scale_by": 2}])
    decoded = serve(made, {"1.1": integer(3), "2.1": integer(512)})
    sources = {family.name: family.samples[0].source for family in decoded.families}
    assert sources == {"units": None, "m": Source(parse_oid(f"{T}.1"), (1,), 512)}


def test_an_object_that_is_also_judged_has_no_source() -> None:
    """The number could be read again alone, but what is made of it beside would stay as it was."""
    made = profile([{"name": "state", "oid": 1}, {"name": "ok", "oid": 1, "true_for": [2]}, {"name": "n", "oid": 2}])
    sources = {one.name: one.samples[0].source for one in serve(made, {"1.1": integer(2), "2.1": integer(9)}).families}
    assert sources == {"state": None, "ok": None, "n": Source(parse_oid(f"{T}.2"), (1,), 1)}
    assert [column.conditional for table in made.tables for column in table.columns] == [True, False]


def test_conditions_on_another_column() -> None:
    """`only` and `unless` judge the text of another cell of the row; a row without that cell fails `only`."""
    condition = {"oid": f"{T}.2", "in": [8]}
    made = profile([{"name": "a", "oid": 1, "only": condition}, {"name": "b", "oid": 1, "unless": condition}])
    cells = {"1.1": integer(1), "2.1": integer(8), "1.2": integer(2), "2.2": integer(9), "1.3": integer(3)}
    assert lines(serve(made, cells)) == ['a{index="1"} 1', 'b{index="2"} 2', 'b{index="3"} 3']


def test_states_bits_and_truth() -> None:
    """A state set has one series a state, BITS one a bit, in snmp_exporter's form; `true_for` makes 1 and 0."""
    made = profile(
        [
            {"name": "s", "oid": 1, "type": "EnumAsStateSet", "enum": {1: "up", 2: "down"}},
            {"name": "b", "oid": 2, "type": "Bits", "enum": {0: "zero", 9: "nine"}},
            {"name": "t", "oid": 3, "true_for": [2, 3]},
        ]
    )
    cells = {"1.7": integer(2), "1.8": integer(9), "2.7": Cell(ber.OCTET_STRING, b"\x80\x40"), "3.7": integer(1)}
    assert lines(serve(made, cells)) == [
        'b{b="zero",index="7"} 1',
        'b{b="nine",index="7"} 1',
        's{index="7",s="down"} 1',
        's{index="7",s="up"} 0',
        's{index="8",s="9"} 1',
        's{index="8",s="up"} 0',
        's{index="8",s="down"} 0',
        't{index="7"} 0',
    ]


def test_the_first_of_duplicate_series_is_served() -> None:
    """Two rows that differ only in a part that is not shown."""
    index = [{"label": "n"}, {"label": "mark", "shown": False}]
    decoded = serve(profile([{"name": "m", "oid": 1}], index), {"1.1.1": integer(1), "1.1.2": integer(2)})
    assert (lines(decoded), decoded.problems) == (['m{n="1"} 1'], {"duplicate_series": 1})


def test_numbers_in_texts() -> None:
    """A vendor that writes numbers as text: the number is served, a text without one is counted."""
    made = profile([{"name": "m", "oid": 1, "parse": "^([0-9.]+)", "scale": 0.5}])
    decoded = serve(made, {"1.1": string("51.5 C"), "1.2": string("n/a"), "1.3": string("1.2.3"), "1.4": integer(4)})
    assert lines(decoded) == ['m{index="1"} 25.75', 'm{index="4"} 2.0']
    assert decoded.problems == {"no_number_in_text": 2}


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        (b"\x07\xb2\x01\x01\x00\x00\x00\x00", 0.0),
        (b"\x07\xe8\x02\x1d\x0c\x00\x00\x05+\x08\x00", 1709179200.5),
        (b"\x07\xe0\x0c\x1f\x17\x3b\x3c\x00", 1483228800.0),
        (b"\x07\xe8\x0d\x01\x00\x00\x00\x00", None),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00", None),
        (b"\x07\xe8\x01\x01\x00\x00\x3d\x00", None),
        (b"\x07\xe8\x01\x01\x00\x00\x00\x00?\x00\x00", None),
        (b"\x07\xe8", None),
    ],
)
def test_dates(raw: bytes, seconds: float | None) -> None:
    """RFC 2579: with a zone, without one, with a leap second; what is no date is refused."""
    cell = Cell(ber.OCTET_STRING, raw)
    if seconds is None:
        with pytest.raises(BadValue, match="bad_date"):
            unix_time(cell)
    else:
        assert unix_time(cell) == seconds


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_opaque_doubles(value: float) -> None:
    """As net-snmp writes them; an infinity is refused."""
    assert floating(Cell(ber.OPAQUE, b"\x9f\x79\x08" + struct.pack(">d", value))) == value
    with pytest.raises(BadValue, match="out_of_range"):
        floating(Cell(ber.OPAQUE, b"\x9f\x78\x04\x7f\x80\x00\x00"))


@given(
    st.sampled_from((ber.INTEGER, ber.OCTET_STRING, ber.OPAQUE, ber.IP_ADDRESS, ber.OBJECT_IDENTIFIER, 0x80, 0x41)),
    st.binary(max_size=40) | st.binary(max_size=8).map(lambda raw: b"\x9f\x79\x08" + raw),
    st.sampled_from(sorted(CONVERSIONS)),
)
def test_any_octets_are_a_value_or_a_reason(tag: int, raw: bytes, conversion: str) -> None:
    """Whatever the type: a number, a text, or BadValue with a reason that is known."""
    import re

    cell = Cell(tag, raw)
    columns = [Column("m", (1, 3), kind, "h", convert=conversion) for kind in sorted(MEASURES)]
    for judge in (
        set_bits,
        lambda one: parsed(one, re.compile("([0-9.eE+-]+|nan|inf)")),
        *(lambda one, column=column: measure(column, one) for column in columns),
        *(
            lambda one, kind=kind: text(one, kind).encode()
            for kind in ("InetAddress", "InetAddressIPv6", "EnumAsInfo", "DisplayString")
        ),
    ):
        try:
            judge(cell)
        except BadValue as why:
            assert str(why) in REASONS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, "unknown key colour"),
        ({"type": "Bits"}, "needs an enum"),
        ({"type": "DisplayString", "scale": 2}, "takes no scale"),
        ({"convert": "magic"}, "no conversion magic"),
        ({"parse": "("}, "not a regular expression"),
        ({"name": "egov_not_a_word"}, "not in the common vocabulary"),
        ({"scale": "much"}, "lacks or misuses"),
        ({"scale": "inf"}, "scale inf"),
        ({"scale": 0}, "scale 0"),
        ({"absent": 7}, "lacks or misuses"),
        ({"only": {"in": [1]}}, "lacks or misuses 'oid'"),
    ],
)
def test_a_bad_column_is_named(change: dict[str, Any], words: str) -> None:
    """One sentence, no traceback."""
    with pytest.raises(ProfileError, match=words):
        profile([{"name": "m", "oid": 1} | change])


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ([], "one part or more"),
        ([{"label": "a", "type": "OctetString", "implied": True}, {"label": "b"}], "only the last"),
        ([{"label": "a", "type": "Color"}], "type Color"),
        ([{"label": "a", "size": 0}], "size 0"),
        ([{"label": "a"}, {"label": "a"}], "a label twice"),
    ],
)
def test_a_bad_index_is_named(index: Any, words: str) -> None:
    """Before a device is asked."""
    with pytest.raises(ProfileError, match=words):
        profile([{"name": "m", "oid": 1}], index)


def test_check_says_all_that_is_wrong_with_lines(tmp_path: Path) -> None:
    """Two bad entries, two sentences; an entry without a source is one too; a good file gives none."""
    file = tmp_path / "x.yml"
    file.write_text(
        "module: x\nscalars:\n  - {name: a-b, oid: 1.3.6.1, type: gauge, help: h}\n"
        "  - {name: c, oid: 1.3.x, type: gauge, help: h}\n  - {name: d, oid: 1.3.6.2, type: gauge, help: h}\n"
    )
    told = check_profile(file)
    assert [line.removeprefix(f"{file}:")[:2] for line in told[:2]] == ["3:", "4:"]
    assert told[2:] == [f"{file}: d (1.3.6.2) has no source; name its MIB object"]
    file.write_text(
        "module: x\nmib: X-MIB\ntables:\n  - name: t\n    index: i\n    columns:\n"
        "      - {name: d, oid: 1.3.6.2, type: gauge, help: h, scale_by: 1.3.6.3, units: {oid: 1.3.6.4, source: u}}\n"
    )
    assert check_profile(file) == [f"{file}: t_0 (1.3.6.3) has no source; name its MIB object"]
    file.write_text("module: x\nmib: X-MIB\nscalars:\n  - {name: d, oid: 1.3.6.2, type: gauge, help: h}\n")
    assert check_profile(file) == []
    file.write_text("module: 2026-99-99")
    assert "is not valid YAML" in check_profile(file)[0]
    file.write_text("module: [")
    assert len(check_profile(file)) == 1 and "is not valid YAML" in check_profile(file)[0]
    assert "cannot be read" in check_profile(tmp_path / "none.yml")[0]


KEYS = ["module", "name", "oid", "type", "help", "tables", "scalars", "columns", "labels", "index", "label", "lookup"]
MORE = [
    "via",
    "only",
    "in",
    "detect",
    "family",
    "sysObjectID",
    "scale",
    "enum",
    "absent",
    "x",
    "1.3.6.1",
    "gauge",
    "Bits",
]
WORDS = st.sampled_from(KEYS + MORE)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=25,
)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_any_content_is_a_profile_or_a_sentence(whole: Any, tables: Any, detect: Any) -> None:
    """Never another exception, whatever stands where."""
    for data in (whole, {"module": "x", "tables": tables, "scalars": tables, "detect": detect}):
        try:
            parse_profile(data, "x.yml")
        except ProfileError as why:
            assert str(why).startswith("x.yml:")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_judged(raw: bytes) -> None:
    """Bytes that are no YAML, YAML that is no profile: sentences."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.yml"
        file.write_bytes(raw)
        assert all(isinstance(line, str) and line.startswith(str(file)) for line in check_profile(file))
