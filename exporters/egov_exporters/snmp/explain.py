"""Explain: for people, what each metric of a profile found on a device, and why rows are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from egov_exporters.snmp.decode import Step, decode
from egov_exporters.snmp.oid import dotted
from egov_exporters.snmp.schema import Column, Profile
from egov_exporters.snmp.walk import Harvest

EXAMPLE = 60  # characters of the first series that are shown


@dataclass(frozen=True)
class Explained:
    """One metric: rows that the device gave for its object, series served, whether the object was read to its end.

    `example` is the first series with its value, `note` one word why the reading ended early.
    """

    metric: str
    oid: str
    source: str
    type: str
    rows: int
    series: int
    complete: bool
    example: str
    note: str


def explain(profile: Profile, harvest: Harvest) -> list[Explained]:
    """Given what was read of a module: its metrics in the profile's order."""
    trail: list[Step] = []
    if harvest.columns or harvest.scalars:
        decode(profile, harvest, trail)
    rows = []
    for column, given, complete, note in _objects(profile, harvest):
        for metric in column.metrics():
            steps = [step for step in trail if step.column is metric]
            rows.append(_explained(metric, given, complete, note, steps))
    return rows


def _objects(profile: Profile, harvest: Harvest) -> Iterator[tuple[Column, int, bool, str]]:
    """Each object: the column, how many cells came, whether it was read to its end, why not."""
    for column in profile.scalars:
        there = column.oid in harvest.scalars
        yield column, int(there), not harvest.scalars_problem, harvest.scalars_problem
    for table in profile.tables:
        for column in table.columns if table.served else ():
            data = harvest.columns.get(column.oid)
            if data is None:
                yield column, 0, False, "not_read"
            else:
                yield column, len(data.cells), data.complete, data.problem


def _explained(metric: Column, given: int, complete: bool, note: str, steps: list[Step]) -> Explained:
    example = ""
    if steps:
        first = steps[0].sample
        labels = first.labels.text
        shown = labels if len(labels) <= EXAMPLE else labels[: EXAMPLE - 1] + "…"
        example = f"{{{shown}}} {first.value!r}" if shown else repr(first.value)
    return Explained(
        metric.name, dotted(metric.oid), metric.source, metric.type, given, len(steps), complete, example, note
    )
