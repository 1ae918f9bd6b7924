"""What must be read for a table, and which objects mean more than one number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.schema import Column, Profile, Table


def unique(columns: list[Column]) -> tuple[Column, ...]:
    """Each object once: metrics of the same object are put beside its first."""
    found: dict[Oid, Column] = {}
    for column in columns:
        first = found.get(column.oid)
        found[column.oid] = column if first is None else replace(first, also=(*first.also, column))
    return tuple(found.values())


def needed(table: Table) -> dict[Oid, str]:
    """The columns that the table's rows depend on beside its own labels, with their sources."""
    found: dict[Oid, str] = {}
    for label in table.lookups:
        if label.via is not None:
            found.setdefault(label.via, label.via_source)
        found.setdefault(label.oid, label.source)
    for column in table.columns:
        for metric in column.metrics():
            told = dict(metric.sources) | {one.oid: one.source for one in metric.conditions}
            found.update({oid: told.get(oid, "") for oid in metric.needs() if oid not in found})
    own = {label.oid for label in table.labels}
    return {oid: source for oid, source in found.items() if oid not in own}


def pinned(scalars: list[Column], tables: list[Table]) -> frozenset[Oid]:
    """Objects whose cells mean more than one number: see `Profile.pinned`."""
    columns = [*scalars, *(column for table in tables for column in table.columns)]
    judged = {metric.oid for column in columns for metric in column.metrics() if metric.judged}
    return frozenset(judged.union(*(needed(one) for one in tables), (one.oid for t in tables for one in t.labels)))


def reads(table: Table) -> list[Table]:
    """What must be read before `table`, as a table that is not served."""
    wanted = needed(table)
    if not wanted:
        return []
    columns = tuple(
        Column(f"{table.name}_{at}", oid, "gauge", "", source=source, needed=True)
        for at, (oid, source) in enumerate(wanted.items())
    )
    return [Table(f"{table.name}_lookups", table.index, (), columns, served=False)]


def column_oids(profile: Profile) -> Iterator[Oid]:
    """All columns of the module's tables, labels first in each, as they are read."""
    for table in profile.tables:
        yield from table_oids(table)


def table_oids(table: Table) -> Iterator[Oid]:
    """The table's columns, labels first."""
    yield from (label.oid for label in table.labels)
    yield from (column.oid for column in table.columns)
