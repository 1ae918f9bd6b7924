"""Decode: from raw cells to metric families, as snmp_exporter would name and type them. Every cell is judged alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from egov_exporters.snmp.ber import Cell
from egov_exporters.snmp.expose import Family, Labels, Sample, Source
from egov_exporters.snmp.oid import Oid, dotted
from egov_exporters.snmp.rows import index_texts, split_index
from egov_exporters.snmp.schema import MEASURES, NUMBERS, SETS, Column, LabelColumn, Profile, Table
from egov_exporters.snmp.values import (
    CONVERSIONS,
    MANTISSA,
    MAX_TEXT,
    UNSIGNED32,
    BadValue,
    floating,
    number,
    parsed,
    set_bits,
    text,
    unix_time,
)
from egov_exporters.snmp.walk import ColumnData, Harvest

__all__ = [
    "MANTISSA",
    "MAX_TEXT",
    "UNSIGNED32",
    "BadValue",
    "Decoded",
    "Step",
    "decode",
    "number",
    "row_labels",
    "text",
]

PREFIX_UNITS = 9  # SensorDataScale (RFC 3433): units(9), and each step is a factor of 1,000
MAX_DIGITS = 9  # SensorPrecision (RFC 3433): -8 to 9


class Unread(Exception):
    """The reading broke off before a cell that the row depends on."""


class Left(Exception):
    """The row is not to be served, and nothing is wrong with it."""


@dataclass
class Decoded:
    """The families of one module, and what had to be left out, by reason."""

    families: list[Family] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Row:
    """One row that may be served."""

    index: Oid
    labels: Labels


@dataclass(frozen=True)
class Step:
    """Where a served series came from: the metric, and the row of its object."""

    column: Column
    row: Oid
    sample: Sample


class _Families:
    """Families by name; a series that is already there is counted, and the first stays."""

    def __init__(self, decoded: Decoded, trail: list[Step] | None) -> None:
        self.decoded, self.trail = decoded, trail
        self.named: dict[str, Family] = {}
        self.series: dict[str, set[str]] = {}

    def of(self, column: Column) -> Family:
        """The family that this column's samples belong to."""
        name = column.name + ("_info" if column.type == "EnumAsInfo" else "")
        family = self.named.get(name)
        if family is None:
            kind = column.type if column.type in NUMBERS else "gauge"
            family = self.named[name] = Family(name, kind, help_text(column), [])
            self.series[name] = set()
        return family

    def add(self, family: Family, column: Column, row: Oid, sample: Sample) -> None:
        """Put a sample into its family unless its series is there; a fallback may find it there."""
        series = self.series[family.name]
        if sample.labels.text in series:
            if not column.fallback:
                self.decoded.problems["duplicate_series"] += 1
            return
        series.add(sample.labels.text)
        family.samples.append(sample)
        if self.trail is not None:
            self.trail.append(Step(column, row, sample))


def help_text(column: Column) -> str:
    """snmp_exporter's help for an object; our own names stand for objects of many vendors and go without the OID."""
    if column.name.startswith("egov_"):
        return column.help
    kind = f" ({column.type})" if column.type == "EnumAsInfo" or column.type in SETS else ""
    return f"{column.help} - {dotted(column.oid)}{kind}"


def decode(profile: Profile, harvest: Harvest, trail: list[Step] | None = None) -> Decoded:
    """Given what was read: what is served. Never raises for anything that a device sent.

    `trail`, if given, is filled with where each series came from.
    """
    decoded = Decoded()
    decoded.problems.update(harvest.problems())
    families = _Families(decoded, trail)
    for column in profile.scalars:
        cell = harvest.scalars.get(column.oid)
        if cell is not None:
            for metric in column.metrics():
                _add(families, metric, [(Row((0,), Labels(())), cell)], profile, harvest)
    for table in profile.tables:
        if not table.served:
            continue
        rows = row_labels(table, harvest, decoded.problems)
        for column in table.columns:
            cells = harvest.columns[column.oid].cells
            present = [(Row(index, rows[index]), cell) for index, cell in cells.items() if index in rows]
            for metric in column.metrics():
                _add(families, metric, present, profile, harvest)
    decoded.families.extend(family for family in families.named.values() if family.samples)
    return decoded


def row_labels(table: Table, harvest: Harvest, problems: Counter[str]) -> dict[Oid, Labels]:
    """The labels of each row that may be served.

    A row whose label was not read because the reading broke off is left out: it would be another series than before.
    A label that the device does not have, or answers with an error, is empty, as in snmp_exporter. A row whose index
    is not one of this table is left out and counted.
    """
    rows: dict[Oid, Labels] = {}
    for index in _indexes(table, harvest):
        try:
            split = split_index(index, table.index)
            shown = zip(table.index, index_texts(split, table.index), strict=True)
            pairs = [(part.label, value) for part, value in shown if part.shown]
            for label in (*table.labels, *table.lookups):
                pairs.append((label.label, _label_text(label, index, split, harvest, problems)))
        except BadValue as why:
            problems[str(why)] += 1
        except Unread:
            problems["label_unread"] += 1
        else:
            rows[index] = Labels(tuple(sorted(pairs)))
    return rows


def _indexes(table: Table, harvest: Harvest) -> Iterator[Oid]:
    """Every row that any column has, in order."""
    return iter(sorted({index for column in table.columns for index in harvest.columns[column.oid].cells}))


def _find(source: ColumnData, index: Oid) -> Cell | None:
    """The cell at `index`, or None if the device has none. Raises Unread where that is not known."""
    cell = source.cells.get(index)
    if cell is None and source.live:
        raise Unread
    return cell


def _label_text(
    label: LabelColumn, index: Oid, split: tuple[Oid, ...], harvest: Harvest, problems: Counter[str]
) -> str:
    try:
        if label.via is not None:
            pointer = _find(harvest.columns[label.via], index)
            if pointer is None:
                return ""
            index = (number(pointer),)
        elif label.key is not None:
            index = tuple(part for place in label.key for part in split[place])
        cell = _find(harvest.columns[label.oid], index)
        return "" if cell is None else text(cell, label.type, label.enum)
    except BadValue as why:
        problems[str(why)] += 1
        return ""


def _add(
    families: _Families, column: Column, cells: list[tuple[Row, Cell]], profile: Profile, harvest: Harvest
) -> None:
    """One metric from one column; bad cells are counted and left out."""
    family = families.of(column)
    plain = column.oid not in profile.pinned
    for row, cell in cells:
        try:
            for sample in _samples(column, row, cell, plain, harvest):
                families.add(family, column, row.index, sample)
        except BadValue as why:
            families.decoded.problems[str(why)] += 1
        except Unread:
            families.decoded.problems["label_unread"] += 1
        except Left:
            pass


def _samples(column: Column, row: Row, cell: Cell, plain: bool, harvest: Harvest) -> Iterator[Sample]:
    """The series of one cell. `plain`: the value is the cell's number times a factor, whatever the number is."""
    _judge(column, row.index, harvest)
    labels = row.labels
    for name, told in column.labels:
        labels = labels.plus(name, told)
    if column.type in MEASURES:
        scale = _scale(column, row.index, harvest)
        value = measure(column, cell)
        source = Source(column.oid, row.index, scale) if plain else None
        yield Sample(labels, value if scale == 1 else value * scale, source)
    elif column.type in SETS:
        for shown, on in members(column.type, column.enum, cell):
            yield Sample(labels.plus(column.name, shown), on)
    else:
        yield Sample(labels.plus(column.name, text(cell, column.type, column.enum)), 1)


def _judge(column: Column, index: Oid, harvest: Harvest) -> None:
    """Raise Left where a condition keeps the row from being served."""
    for condition in column.conditions:
        cell = _find(harvest.columns[condition.oid], index)
        found = cell is not None and condition.holds(text(cell, "DisplayString"))
        if found is not condition.keep:
            raise Left


def _scale(column: Column, index: Oid, harvest: Harvest) -> float:
    """What the row's number is multiplied by. Raises BadValue("no_scale") where the device does not say."""
    scale = column.scale
    if column.scale_by is not None:
        scale *= _factor(column.scale_by, index, harvest)
    power = 0
    if column.units is not None:
        power += 3 * (_factor(column.units, index, harvest) - PREFIX_UNITS)
    if column.digits is not None:
        digits = _factor(column.digits, index, harvest)
        if abs(digits) > MAX_DIGITS:
            raise BadValue("no_scale")
        power -= digits
    if abs(power) > 60:
        raise BadValue("no_scale")
    return float(f"{scale!r}e{power}") if power and scale == int(scale) < 10**15 else scale * 10.0**power


def _factor(oid: Oid, index: Oid, harvest: Harvest) -> int:
    cell = _find(harvest.columns[oid], index)
    if cell is None:
        raise BadValue("no_scale")
    return number(cell)


def measure(column: Column, cell: Cell) -> int | float:
    """The number that a cell means, before it is scaled. Raises BadValue, and Left for a marker of absence."""
    value: int | float
    if column.parse is not None:
        value = parsed(cell, column.parse)
    elif column.type in NUMBERS:
        value = number(cell)
    else:
        value = unix_time(cell) if column.type == "DateAndTime" else floating(cell)
    if value in column.absent:
        raise Left
    if column.true_for is not None:
        return int(value in column.true_for)
    return CONVERSIONS[column.convert](value) if column.convert else value


def members(kind: str, enum: Mapping[int, str], cell: Cell) -> list[tuple[str, int]]:
    """Each name of a state set or of BITS, and whether it holds; a state without a name is shown by its number."""
    if kind == "Bits":
        bits = set_bits(cell)
        return [(name, int(bit in bits)) for bit, name in sorted(enum.items())]
    state = number(cell)
    others = [(name, 0) for value, name in sorted(enum.items()) if value != state and name != enum.get(state)]
    return [(enum.get(state, str(state)), 1), *others]
