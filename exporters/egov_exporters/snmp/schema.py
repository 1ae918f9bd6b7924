"""What a profile is made of: plain data. profiles.py reads it, walk.py reads its objects, decode.py shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from egov_exporters.snmp.oid import Oid

NUMBERS = frozenset(("gauge", "counter"))
MEASURES = NUMBERS | {"Float", "Double", "DateAndTime"}  # one number a cell
STRINGS = frozenset(
    (
        "DisplayString",
        "OctetString",
        "PhysAddress48",
        "PrintableOrHex",
        "InetAddress",
        "InetAddressIPv4",
        "InetAddressIPv6",
    )
)
SETS = frozenset(("EnumAsStateSet", "Bits"))  # several series a cell
TYPES = MEASURES | STRINGS | SETS | {"EnumAsInfo"}
LABEL_TYPES = STRINGS | {"EnumAsInfo"}
INDEX_TYPES = frozenset(
    (
        "integer",
        "InetAddress",
        "InetAddressIPv4",
        "InetAddressIPv6",
        "InetAddressType",
        "PhysAddress48",
        "DisplayString",
        "OctetString",
        "ObjectIdentifier",
    )
)


@dataclass(frozen=True)
class IndexPart:
    """One object of a table's INDEX clause (RFC 2578, 7.7).

    `size` is the length of a string of fixed size; `implied` says that a string takes all that is left. A part that is
    not `shown` is read over: it gives no label, but a lookup may name it.
    """

    label: str
    type: str = "integer"
    size: int | None = None
    implied: bool = False
    shown: bool = True
    enum: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelColumn:
    """A column whose value becomes a label of every series of its row.

    `key` names the parts of the row's index under which it is found (None: the whole index). `via` is a column of the
    row whose number is the index to look under, for example entPhysicalIndex.
    """

    label: str
    oid: Oid
    type: str
    source: str = ""
    key: tuple[int, ...] | None = None
    via: Oid | None = None
    via_source: str = ""
    enum: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Condition:
    """Serve the row only where another column's cell, as text, is one of `values` or has the `pattern` in it.

    If not `keep`, it is the other way round: such rows are left out.
    """

    oid: Oid
    values: frozenset[str]
    keep: bool
    source: str = ""
    pattern: re.Pattern[str] | None = None

    def holds(self, text: str) -> bool:
        """Whether the text is what the condition asks for."""
        return text in self.values or (self.pattern is not None and self.pattern.search(text) is not None)


@dataclass(frozen=True)
class Column:
    """One object: a column of a table, or a scalar. `help` is the text without the OID, `source` where the OID is from.

    The number served is the cell's number times `scale`, times the number in `scale_by`, times ten to the power that
    `units` (SensorDataScale) and `digits` (decimal places) say. `also` holds further metrics made of the same object.
    `sources` are those of the columns that it needs. A `fallback` stands in where the series is not there yet. `needed`
    marks a column that is read for others only.
    """

    name: str
    oid: Oid
    type: str
    help: str
    enum: Mapping[int, str] = field(default_factory=dict)
    source: str = ""
    scale: float = 1
    scale_by: Oid | None = None
    units: Oid | None = None
    digits: Oid | None = None
    absent: frozenset[int] = frozenset()
    true_for: frozenset[int] | None = None
    parse: re.Pattern[str] | None = None
    convert: str = ""
    conditions: tuple[Condition, ...] = ()
    sources: tuple[tuple[Oid, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    also: tuple[Column, ...] = ()
    fallback: bool = False
    needed: bool = False

    @property
    def judged(self) -> bool:
        """Whether what is shown is anything but the cell's number times a factor, whatever the number is."""
        plain = self.type in NUMBERS and not (self.absent or self.true_for is not None or self.parse or self.convert)
        return not plain

    @property
    def conditional(self) -> bool:
        """Whether another value of a cell can change more than its own number, or whether it is shown at all."""
        return self.needed or any(metric.judged for metric in self.metrics())

    def metrics(self) -> tuple[Column, ...]:
        """This metric and the others made of the same object."""
        return (self, *self.also)

    def needs(self) -> list[Oid]:
        """Columns of the same row that must be read to serve this one."""
        fields = [self.scale_by, self.units, self.digits, *(one.oid for one in self.conditions)]
        return [oid for oid in fields if oid is not None]


@dataclass(frozen=True)
class Table:
    """Columns that share an index and the labels of a row; each column comes once. They are read in this order.

    `labels` are columns of the same rows. `lookups` are labels from other tables: they are read before, in a table of
    their own that is not `served`, because the last row of one says nothing about the last row of the other.
    """

    name: str
    index: tuple[IndexPart, ...]
    labels: tuple[LabelColumn, ...]
    columns: tuple[Column, ...]
    lookups: tuple[LabelColumn, ...] = ()
    served: bool = True


@dataclass(frozen=True)
class Detection:
    """When a device is of a family: its sysObjectID lies under one of `prefixes`, and its sysDescr matches `pattern`.

    Either may be missing, not both. `modules` are the profiles for the family beside the one that holds the rule and
    those for every device; `in_flight` is how many requests at once the family is known to bear.
    """

    family: str
    prefixes: tuple[Oid, ...]
    pattern: re.Pattern[str] | None
    modules: tuple[str, ...]
    in_flight: int = 1


@dataclass(frozen=True)
class Profile:
    """A module: scalars and tables, tables that only serve others among them; and how devices that need it are known.

    `state` is `proven` where recordings or a real agent stand behind it, else `untested`. `pinned` are objects on which
    something else depends, or of which something is judged: a change of such a cell changes more than one number.
    """

    name: str
    scalars: tuple[Column, ...]
    tables: tuple[Table, ...]
    title: str = ""
    state: Literal["proven", "untested"] = "untested"
    detections: tuple[Detection, ...] = ()
    pinned: frozenset[Oid] = frozenset()

    def metrics(self) -> list[Column]:
        """Everything that the profile can serve."""
        columns = (*self.scalars, *(column for table in self.tables if table.served for column in table.columns))
        return [metric for column in columns for metric in column.metrics()]
