"""Decode: from raw cells to metric families, as snmp_exporter would name and type them. Every cell is judged alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import BadMessage, Cell
from egov_exporters.snmp.expose import Family, Labels, Sample, Source
from egov_exporters.snmp.oid import Oid, dotted
from egov_exporters.snmp.profiles import NUMBERS, Column, Profile, Table
from egov_exporters.snmp.walk import ColumnData, Harvest

UNSIGNED32 = frozenset((ber.COUNTER32, ber.GAUGE32, ber.TIMETICKS))
MANTISSA = 1 << 53  # Prometheus keeps float64: larger counters wrap here, as snmp_exporter wraps them
MAX_TEXT = 1_024  # octets of a string that become a label
SURROGATES = re.compile("[\udc80-\udcff]+")


class BadValue(ValueError):
    """A cell cannot be served; `str(error)` is one word for the counter of decode errors."""


@dataclass
class Decoded:
    """The families of one module, and what had to be left out, by reason."""

    families: list[Family] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)


def decode(profile: Profile, harvest: Harvest) -> Decoded:
    """Given what was read: what is served. Never raises for anything that a device sent."""
    decoded = Decoded()
    decoded.problems.update(harvest.problems())
    for column in profile.scalars:
        cell = harvest.scalars.get(column.oid)
        if cell is not None:
            _add(decoded, column, [((0,), Labels(()), cell)])
    for table in profile.tables:
        rows = row_labels(table, harvest, decoded.problems)
        for column in table.columns:
            cells = harvest.columns[column.oid].cells
            _add(decoded, column, [(index, rows[index], cell) for index, cell in cells.items() if index in rows])
    return decoded


def row_labels(table: Table, harvest: Harvest, problems: Counter[str]) -> dict[Oid, Labels]:
    """The labels of each row that may be served.

    A row whose label was not read because the reading broke off is left out: it would be another series than before.
    A label that the device does not have, or answers with an error, is empty, as in snmp_exporter.
    """
    sources = [(label, harvest.columns[label.oid]) for label in table.labels]
    rows: dict[Oid, Labels] = {}
    for index in _indexes(table, harvest):
        if any(source.live and index not in source.cells for _, source in sources):
            problems["label_unread"] += 1
            continue
        pairs = [(table.index, dotted(index))]
        for label, source in sources:
            pairs.append((label.label, _label_text(source, index, label.type, problems)))
        rows[index] = Labels(tuple(sorted(pairs)))
    return rows


def _indexes(table: Table, harvest: Harvest) -> Iterator[Oid]:
    """Every row that any column has, in order. A row has exactly one sub-identifier here."""
    found = {index for column in table.columns for index in harvest.columns[column.oid].cells}
    return iter(sorted(index for index in found if len(index) == 1))


def _label_text(source: ColumnData, index: Oid, kind: str, problems: Counter[str]) -> str:
    cell = source.cells.get(index)
    if cell is None:
        return ""
    try:
        return text(cell, kind)
    except BadValue as why:
        problems[str(why)] += 1
        return ""


def _add(decoded: Decoded, column: Column, cells: list[tuple[Oid, Labels, Cell]]) -> None:
    """One family from one column; bad cells are counted and left out, an empty family is not shown."""
    kind = column.type if column.type in NUMBERS else "gauge"
    info = column.type == "EnumAsInfo"
    help_text = f"{column.help} - {dotted(column.oid)}" + (" (EnumAsInfo)" if info else "")
    family = Family(column.name + ("_info" if info else ""), kind, help_text, [])
    for index, labels, cell in cells:
        try:
            if column.type in NUMBERS:
                family.samples.append(Sample(labels, number(cell), Source(column.oid, index)))
            else:
                shown = enum_text(column, cell) if info else text(cell, column.type)
                family.samples.append(Sample(labels.plus(column.name, shown), 1))
        except BadValue as why:
            decoded.problems[str(why)] += 1
    if family.samples:
        decoded.families.append(family)


def number(cell: Cell) -> int:
    """The number in a cell. Raises BadValue: wrong_type, bad_number or out_of_range.

    Unsigned types are read unsigned even where an agent forgot the leading zero octet. Counter64 wraps at 2^53.
    """
    tag, raw = cell
    if tag == ber.INTEGER:
        if not 1 <= len(raw) <= 8:
            raise BadValue("bad_number")
        value = int.from_bytes(raw, "big", signed=True)
        if not -(1 << 31) <= value < 1 << 32:
            raise BadValue("out_of_range")
        return value
    if tag in UNSIGNED32 or tag == ber.COUNTER64:
        if not 1 <= len(raw) <= 9:
            raise BadValue("bad_number")
        value = int.from_bytes(raw, "big")
        if value >> (64 if tag == ber.COUNTER64 else 32):
            raise BadValue("out_of_range")
        return value % MANTISSA
    raise BadValue("wrong_type")


def enum_text(column: Column, cell: Cell) -> str:
    """The name of an enumerated value, or the number where the registry has none."""
    value = number(cell)
    return column.enum.get(value, str(value))


def text(cell: Cell, kind: str) -> str:
    """A cell as label text, in snmp_exporter's form for `kind`. Raises BadValue."""
    tag, raw = cell
    if tag == ber.OBJECT_IDENTIFIER:
        try:
            return dotted(ber.decode_oid(raw))
        except BadMessage:
            raise BadValue("bad_oid") from None
    if tag == ber.IP_ADDRESS:
        return ".".join(map(str, raw))
    if tag != ber.OCTET_STRING:
        return str(number(cell))
    if len(raw) > MAX_TEXT:
        raise BadValue("text_too_long")
    if kind == "PhysAddress48":
        return ":".join(f"{octet:02X}" for octet in raw[:6].ljust(6, b"\0"))
    if kind == "OctetString":
        return f"0x{raw.hex().upper()}" if raw else ""
    return SURROGATES.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))
