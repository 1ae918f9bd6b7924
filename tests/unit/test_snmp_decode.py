"""Decoding: each value is judged alone; what cannot be served truthfully is left out and counted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell
from egov_exporters.snmp.decode import BadValue, decode, number, text
from egov_exporters.snmp.profiles import Profile, load_profiles
from egov_exporters.snmp.walk import ColumnData, Harvest

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

UNSIGNED = (ber.COUNTER32, ber.GAUGE32, ber.TIMETICKS)


@given(st.sampled_from(UNSIGNED), st.integers(0, 0xFFFFFFFF))
def test_unsigned_numbers(tag: int, value: int) -> None:
    """As the standard writes them, and as agents do that forget the leading zero octet."""
    assert number(Cell(tag, ber.integer_octets(value))) == value
    assert number(Cell(tag, value.to_bytes(4, "big"))) == value


@given(st.integers(0, 0xFFFFFFFFFFFFFFFF))
def test_counter64_wraps_where_float64_ends(value: int) -> None:
    """As snmp_exporter does; what is served is exact in a float64."""
    shown = number(Cell(ber.COUNTER64, ber.integer_octets(value)))
    assert shown == value % 2**53 and int(float(shown)) == shown


@given(st.integers(-(1 << 31), (1 << 31) - 1))
def test_integers_are_signed(value: int) -> None:
    """INTEGER keeps its sign."""
    assert number(Cell(ber.INTEGER, ber.integer_octets(value))) == value


@given(st.integers(0, 255), st.binary(max_size=40))
def test_any_cell_is_a_value_or_a_reason(tag: int, raw: bytes) -> None:
    """No tag and no octets raise anything but BadValue."""
    for judge in (number, lambda cell: text(cell, "DisplayString"), lambda cell: text(cell, "PhysAddress48")):
        try:
            shown = judge(Cell(tag, raw))
        except BadValue as why:
            assert str(why) in {"wrong_type", "bad_number", "out_of_range", "bad_oid", "text_too_long"}
        else:
            if isinstance(shown, str):
                shown.encode()


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (Cell(ber.COUNTER32, (1 << 32).to_bytes(5, "big")), "out_of_range"),
        (Cell(ber.COUNTER64, b"\x01" + b"\0" * 8), "out_of_range"),
        (Cell(ber.INTEGER, (1 << 40).to_bytes(6, "big")), "out_of_range"),
        (Cell(ber.COUNTER32, b""), "bad_number"),
        (Cell(ber.INTEGER, b"\0" * 9), "bad_number"),
        (Cell(ber.OCTET_STRING, b"12"), "wrong_type"),
        (Cell(ber.NULL, b""), "wrong_type"),
    ],
)
def test_numbers_that_are_not_served(cell: Cell, reason: str) -> None:
    """Out of range and wrong types have a name."""
    with pytest.raises(BadValue, match=reason):
        number(cell)


@pytest.mark.parametrize(
    ("raw", "kind", "shown"),
    [
        (b"uplink \xe5\x8c\x97", "DisplayString", "uplink 北"),
        (b"a\xff\xfeb\xffc", "DisplayString", "a\ufffdb\ufffdc"),
        (b"\xed\xb0\x80", "DisplayString", "\ufffd"),
        (b"", "DisplayString", ""),
        (b"\x02\x00\x5e\x00\x53\xaf", "PhysAddress48", "02:00:5E:00:53:AF"),
        (b"", "PhysAddress48", "00:00:00:00:00:00"),
        (b"\x00\x01\x0a\xff", "OctetString", "0x00010AFF"),
        (b"", "OctetString", ""),
    ],
)
def test_texts_as_snmp_exporter_shows_them(raw: bytes, kind: str, shown: str) -> None:
    """Names, addresses and octets."""
    assert text(Cell(ber.OCTET_STRING, raw), kind) == shown


def test_other_types_as_text() -> None:
    """Object identifiers without leading dot, IP addresses, numbers."""
    assert text(Cell(ber.OBJECT_IDENTIFIER, ber.oid_octets((0, 0))), "OctetString") == "0.0"
    assert text(Cell(ber.IP_ADDRESS, bytes((192, 0, 2, 1))), "DisplayString") == "192.0.2.1"
    assert text(Cell(ber.GAUGE32, b"\x07"), "DisplayString") == "7"


def interfaces(rows: int, complete: bool = True) -> tuple[Profile, Harvest]:
    """The if_mib profile and a harvest with `rows` rows, in which ifAlias was read for the first row only."""
    profile = load_profiles()["if_mib"]
    (table,) = profile.tables
    harvest = Harvest(finished=complete)
    for label in table.labels:
        harvest.columns[label.oid] = ColumnData(label.oid, complete=True)
    for column in table.columns:
        cells = {(i,): Cell(ber.COUNTER32, b"\x01") for i in range(1, rows + 1)} if column.type == "counter" else {}
        harvest.columns[column.oid] = ColumnData(column.oid, cells, complete=True)
    alias = harvest.columns[table.labels[0].oid]
    alias.cells[(1,)] = Cell(ber.OCTET_STRING, b"first")
    alias.complete = complete
    return profile, harvest


def aliases(profile: Profile, harvest: Harvest) -> list[str]:
    """ifAlias of each served row of ifHCInOctets."""
    family = next(one for one in decode(profile, harvest).families if one.name == "ifHCInOctets")
    return [dict(labels.pairs)["ifAlias"] for labels, _, _ in family.samples]


def test_a_label_the_device_does_not_have_is_empty() -> None:
    """The column was read to its end: the other rows really have no alias."""
    assert aliases(*interfaces(3)) == ["first", "", ""]


def test_a_label_that_was_not_read_withholds_its_row() -> None:
    """The reading broke off: a row without its label would be another series than before."""
    profile, harvest = interfaces(3, complete=False)
    assert aliases(profile, harvest) == ["first"]
    assert decode(profile, harvest).problems["label_unread"] == 2


def test_a_label_that_the_device_answers_with_an_error_does_not_blind_us() -> None:
    """A device that is broken in ifAlias alone still shows its traffic."""
    profile, harvest = interfaces(3, complete=False)
    harvest.columns[profile.tables[0].labels[0].oid].problem = "agent_error"
    assert aliases(profile, harvest) == ["first", "", ""]


def test_bad_cells_cost_only_themselves() -> None:
    """One counter of one row is nonsense: the others are served, and it is counted."""
    profile, harvest = interfaces(3)
    octets = next(column for column in profile.tables[0].columns if column.name == "ifHCInOctets")
    harvest.columns[octets.oid].cells[(2,)] = Cell(ber.OCTET_STRING, b"lots")
    decoded = decode(profile, harvest)
    assert decoded.problems == {"wrong_type": 1}
    assert [len(one.samples) for one in decoded.families if one.name == "ifHCInOctets"] == [2]


def test_rows_with_a_foreign_index_are_not_served() -> None:
    """An index of two parts is no ifIndex."""
    profile, harvest = interfaces(1)
    for column in profile.tables[0].columns:
        harvest.columns[column.oid].cells[(7, 7)] = Cell(ber.COUNTER32, b"\x01")
    assert aliases(profile, harvest) == ["first"]
