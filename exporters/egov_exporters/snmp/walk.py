"""Fetch: read a module's objects from a session, several columns in each GetBulk, and keep whatever arrived.

A device is not trusted to end: each reply must move every column forward, rows are bounded, and a reply is never read
beyond what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from egov_exporters.snmp.ber import END_OF_MIB_VIEW, EXCEPTIONS, Cell, Varbind
from egov_exporters.snmp.oid import Oid, is_under
from egov_exporters.snmp.profiles import Profile, Table
from egov_exporters.snmp.session import TOO_BIG, AgentError, Session

NUMBER_CELLS = 56  # variable bindings of a request that should fit one 1,472-octet reply: about 25 octets a number
TEXT_CELLS = 30
REPLY_OCTETS, MAX_CELLS = 1_380, 96  # of a reply that fits a frame; net-snmp answers with 100 bindings at most
SYSTEM = (1, 3, 6, 1, 2, 1, 1)
MAX_ROWS = 5_000  # rows of a table that are read; what is beyond is named, not served


@dataclass
class ColumnData:
    """What was read of one column: cells by index, and whether the column's end was seen."""

    column: Oid
    cells: dict[Oid, Cell] = field(default_factory=dict)
    complete: bool = False
    problem: str = ""
    cursor: Oid = ()

    def __post_init__(self) -> None:
        self.cursor = self.column

    @property
    def live(self) -> bool:
        """Whether more is to be read."""
        return not self.complete and not self.problem

    def take(self, varbind: Varbind, until: Oid | None) -> None:
        """Judge one binding: a cell, the end of the column, or a device that runs in circles."""
        oid, cell = varbind
        if cell.tag == END_OF_MIB_VIEW:
            self.complete = True
        elif cell.tag in EXCEPTIONS:
            self.problem = "unexpected_exception"
        elif oid <= self.cursor:
            self.problem = "oid_not_increasing"
        elif not is_under(oid, self.column):
            self.complete = True
        elif len(self.cells) >= MAX_ROWS:
            self.problem = "too_many_rows"
        else:
            self.cells[oid[len(self.column) :]] = cell
            self.cursor = oid
            self.complete = until is not None and oid[len(self.column) :] >= until


@dataclass
class Harvest:
    """What one module's reading brought home; it is filled as replies arrive, so a deadline loses nothing."""

    scalars: dict[Oid, Cell] = field(default_factory=dict)
    columns: dict[Oid, ColumnData] = field(default_factory=dict)
    scalars_problem: str = ""
    also: dict[Oid, Cell] = field(default_factory=dict)  # instances that were asked for along with the scalars
    varbinds: int = 0
    finished: bool = False

    @property
    def has_data(self) -> bool:
        """Whether any value was read."""
        return bool(self.scalars) or any(column.cells for column in self.columns.values())

    @property
    def complete(self) -> bool:
        """Whether all of the module was read, and something was there to read."""
        whole = self.finished and not self.problems() and all(one.complete for one in self.columns.values())
        return whole and self.has_data

    def problems(self) -> list[str]:
        """Why the scalars or columns ended early, one word each."""
        return [why for why in (self.scalars_problem, *(one.problem for one in self.columns.values())) if why]


async def read_profile(session: Session, profile: Profile, harvest: Harvest, also: Sequence[Oid] = ()) -> None:
    """Read `profile` into `harvest`: scalars, then each table's labels, then its columns in the profile's order.

    The instances `also` are read along with the scalars or the first labels: they cost no request of their own.
    Raises SessionError when the target stops answering; the harvest keeps what came before.
    """
    for table in profile.tables:
        for label in table.labels:
            harvest.columns[label.oid] = ColumnData(label.oid)
        for column in table.columns:
            harvest.columns[column.oid] = ColumnData(column.oid)
    scalars = [(*column.oid, 0) for column in profile.scalars]
    with_labels = () if scalars or not profile.tables or not profile.tables[0].labels else also
    if not with_labels:
        await _read_scalars(session, scalars, also, harvest)
    for table in profile.tables:
        await _read_table(session, table, harvest, with_labels if table is profile.tables[0] else ())
    harvest.finished = True


async def _read_scalars(session: Session, oids: list[Oid], also: Sequence[Oid], harvest: Harvest) -> None:
    asked = [*oids, *also]
    for first in range(0, len(asked), TEXT_CELLS):
        part = asked[first : first + TEXT_CELLS]
        try:
            reply = await session.get(part)
        except AgentError:
            harvest.scalars_problem = "agent_error" if oids else ""
            return
        for oid, cell in reply[: len(part)]:
            harvest.varbinds += 1
            if oid not in part or cell.tag in EXCEPTIONS:
                continue
            if oid in also:
                harvest.also[oid] = cell
            else:
                harvest.scalars[oid[:-1]] = cell


async def _read_table(session: Session, table: Table, harvest: Harvest, also: Sequence[Oid] = ()) -> None:
    """Labels first: a value whose row has no name yet cannot be served truthfully."""
    labels = [harvest.columns[label.oid] for label in table.labels]
    await walk(session, labels, TEXT_CELLS, None, harvest, also)
    indexes = {index for column in labels for index in column.cells}
    until = max(indexes) if indexes and all(column.complete for column in labels) else None
    columns = [harvest.columns[column.oid] for column in table.columns]
    width = columns_per_request(len(columns), len(indexes), NUMBER_CELLS) if until else 8
    for first in range(0, len(columns), width):
        await walk(session, columns[first : first + width], NUMBER_CELLS, until, harvest)


def columns_per_request(columns: int, rows: int, cells: int) -> int:
    """How many columns to ask for together, so that `rows` rows take the fewest requests of `cells` bindings each."""

    def requests(width: int) -> int:
        return -(-columns // width) * -(-rows // (cells // width))

    return min(range(1, min(columns, cells) + 1), key=lambda width: (requests(width), width))


def fitting(reply: Sequence[Varbind], before: int) -> int:
    """How many bindings of this size fit a reply: from `before` to twice as many. Fewer is for the agent to say."""
    octets = sum(8 + len(varbind.oid) + len(varbind.cell.raw) for varbind in reply)
    return max(before, min(2 * before, REPLY_OCTETS * len(reply) // octets, MAX_CELLS)) if octets else before


async def walk(
    session: Session,
    columns: Sequence[ColumnData],
    cells: int,
    until: Oid | None,
    harvest: Harvest,
    also: Sequence[Oid] = (),
) -> None:
    """Read columns side by side until each has ended. `until`: the index after which a column needs no more reading.

    The instances `also` are asked for once, in the first request: as the successors of what stands before them.
    """
    while live := [column for column in columns if column.live]:
        batch = live[:cells]
        repetitions = cells // len(batch)
        extra, also = also, ()
        try:
            asked = [*(oid[:-1] for oid in extra), *(column.cursor for column in batch)]
            reply = await session.get_bulk(asked, repetitions, len(extra))
        except AgentError as why:
            if extra:
                continue
            if why.status == TOO_BIG and cells > 1:
                cells //= 2
                continue
            blamed = batch[why.index - 1 : why.index] if why.index > 0 else batch
            for column in blamed or batch:
                column.problem = "agent_error"
            continue
        if extra:
            harvest.also.update({oid: cell for oid, cell in reply[: len(extra)] if oid in extra})
            harvest.varbinds += len(reply[: len(extra)])
            reply = reply[len(extra) :]
            if any(varbind.oid[: len(SYSTEM)] == SYSTEM for varbind in reply):
                continue  # an agent that repeats what it was asked once: its columns would be taken for others
        if not reply:
            for column in batch:
                column.problem = "empty_reply"
        cells = fitting(reply, cells)
        for position, varbind in enumerate(reply[: len(batch) * repetitions]):
            harvest.varbinds += 1
            column = batch[position % len(batch)]
            if column.live:
                column.take(varbind, until)
