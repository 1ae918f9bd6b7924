"""Walking: a well-behaved agent is read completely; what a bad one does ends, is named, and spoils nothing else."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egov_exporters.snmp import walk as walking
from egov_exporters.snmp.ber import COUNTER32, END_OF_MIB_VIEW, NO_SUCH_OBJECT, OCTET_STRING, Cell, Varbind
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.session import AgentError, NoAnswer, Traffic
from egov_exporters.snmp.walk import ColumnData, Harvest, columns_per_request, read_profile, walk

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

COLUMN_A, COLUMN_B = (1, 3, 6, 1, 7, 1), (1, 3, 6, 1, 7, 2)


class Device:
    """A well-behaved agent over a table, which sends at most `limit` bindings a reply."""

    def __init__(self, table: dict[Oid, Cell], limit: int = 1_000) -> None:
        self.table, self.limit = table, limit
        self.names = sorted(table)
        self.traffic = Traffic()
        self.requests = 0

    async def get(self, oids: list[Oid]) -> list[Varbind]:
        self.requests += 1
        return [Varbind(oid, self.table.get(oid, Cell(NO_SUCH_OBJECT, b""))) for oid in oids]

    async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[Varbind]:
        self.requests += 1
        starts = [bisect_right(self.names, oid) for oid in oids]
        asked = list(zip(starts, oids, strict=True))
        rows = [self._at(start, oid) for start, oid in asked[:once]]
        rows += [self._at(start + row, oid) for row in range(repetitions) for start, oid in asked[once:]]
        return rows[: self.limit]

    def _at(self, place: int, asked: Oid) -> Varbind:
        if place >= len(self.names):
            return Varbind(self.names[-1] if self.names else asked, Cell(END_OF_MIB_VIEW, b""))
        return Varbind(self.names[place], self.table[self.names[place]])

    def close(self) -> None:
        pass


class Odd(Device):
    """An agent whose GetBulk is a function of the test."""

    def __init__(self, reply: Callable[[list[Oid], int], list[Varbind]]) -> None:
        super().__init__({})
        self.reply = reply

    async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[Varbind]:
        self.requests += 1
        assert self.requests < 20_000, "does not end"
        return self.reply(oids, repetitions)


def number(value: int) -> Cell:
    """A Counter32 cell."""
    return Cell(COUNTER32, value.to_bytes(5, "big"))


def read(device: Device, *columns: Oid, cells: int = 20, until: Oid | None = None) -> list[ColumnData]:
    """Walk these columns of a device."""
    found = [ColumnData(column) for column in columns]
    asyncio.run(walk(device, found, cells, until, Harvest()))
    return found


indexes = st.lists(st.integers(1, 60), unique=True, max_size=40)


@given(indexes, indexes, st.integers(1, 50), st.integers(1, 60))
def test_everything_is_read_from_sparse_columns(a: list[int], b: list[int], limit: int, cells: int) -> None:
    """Columns with different rows, any reply size, any request size."""
    table = {(*COLUMN_A, i): number(i) for i in a} | {(*COLUMN_B, i): number(i + 100) for i in b}
    table[(1, 3, 6, 1, 7, 3, 1)] = number(0)
    found = read(Device(table, limit), COLUMN_A, COLUMN_B, cells=cells)
    assert [column.complete for column in found] == [True, True]
    assert found[0].cells == {(i,): number(i) for i in a}
    assert found[1].cells == {(i,): number(i + 100) for i in b}


def test_the_last_index_saves_the_request_that_only_finds_the_end() -> None:
    """With the last row known, a column that fits one reply takes one request."""
    device = Device({(*COLUMN_A, i): number(i) for i in range(1, 11)} | {(*COLUMN_B, 1): number(1)})
    (column,) = read(device, COLUMN_A, cells=10, until=(10,))
    assert column.complete and len(column.cells) == 10 and device.requests == 1


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (lambda oids, n: [Varbind((*COLUMN_A, 5), number(1))] * n, "oid_not_increasing"),
        (lambda oids, n: [Varbind(oids[0], number(1))], "oid_not_increasing"),
        (lambda oids, n: [Varbind((1, 3), number(1))], "oid_not_increasing"),
        (lambda oids, n: [], "empty_reply"),
        (lambda oids, n: [Varbind(oids[0], Cell(NO_SUCH_OBJECT, b""))], "unexpected_exception"),
        (lambda oids, n: [Varbind((*oids[0][:6], (*oids[0], 0)[6] + 1), number(1))], "too_many_rows"),
    ],
    ids=["loop", "echo", "backwards", "empty", "exception", "endless"],
)
def test_a_bad_agent_ends(
    monkeypatch: pytest.MonkeyPatch, reply: Callable[[list[Oid], int], list[Varbind]], problem: str
) -> None:
    """Loops, endless tables and empty replies terminate with a name, and what came before is kept."""
    monkeypatch.setattr(walking, "MAX_ROWS", 300)
    (column,) = read(Odd(reply), COLUMN_A)
    assert (column.problem, column.complete) == (problem, False)
    assert len(column.cells) <= 300


@given(st.integers(0, 2**32))
def test_any_stream_of_bindings_ends(seed: int) -> None:
    """Random OIDs around the columns: the walk ends within as many requests as there can be rows."""
    import random

    rng = random.Random(seed)

    def reply(oids: list[Oid], n: int) -> list[Varbind]:
        return [
            Varbind((*COLUMN_A[:-1], rng.randint(1, 2), rng.randint(1, 40)), number(1))
            for _ in range(rng.randint(0, 9))
        ]

    for column in read(Odd(reply), COLUMN_A, COLUMN_B):
        assert column.complete or column.problem
        assert list(column.cells) == sorted(column.cells)


def test_more_than_was_asked_for_is_ignored() -> None:
    """A reply with 10,000 extra bindings is not read beyond the request."""
    harvest = Harvest()

    def reply(oids: list[Oid], n: int) -> list[Varbind]:
        return [Varbind((*COLUMN_A, i), number(i)) for i in range(1, 10_001)]

    column = ColumnData(COLUMN_A)
    asyncio.run(walk(Odd(reply), [column], 20, (20,), harvest))
    assert harvest.varbinds == 20 and column.complete


def test_too_big_makes_requests_smaller_and_an_error_blames_its_column() -> None:
    """tooBig halves; another error ends the column that the agent names, and only that one."""

    class Small(Device):
        async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[Varbind]:
            if len(oids) * repetitions > 4:
                raise AgentError(1, 0)
            if COLUMN_B in [oid[:6] for oid in oids]:
                raise AgentError(5, [oid[:6] for oid in oids].index(COLUMN_B) + 1)
            return await super().get_bulk(oids, repetitions, once)

    table = {(*COLUMN_A, i): number(i) for i in range(1, 11)} | {
        (*COLUMN_B, 1): number(1),
        (1, 3, 6, 1, 8, 1): number(0),
    }
    good, bad = read(Small(table), COLUMN_A, COLUMN_B, cells=64)
    assert good.complete and len(good.cells) == 10
    assert (bad.problem, bad.cells) == ("agent_error", {})


def test_an_agent_that_finds_everything_too_big_is_given_up() -> None:
    """Even one binding is too big: the column ends."""

    class Tiny(Device):
        async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[Varbind]:
            raise AgentError(1, 0)

    assert {column.problem for column in read(Tiny({}), COLUMN_A, COLUMN_B)} == {"agent_error"}


@given(st.integers(1, 60), st.integers(1, 600))
def test_request_shape(columns: int, rows: int) -> None:
    """Never more bindings than fit, and never more requests than one column at a time would take."""
    width = columns_per_request(columns, rows, 56)
    assert 1 <= width <= min(columns, 56)
    assert -(-columns // width) * -(-rows // (56 // width)) <= columns * -(-rows // 56)


def test_a_module_of_a_silent_device_keeps_what_came() -> None:
    """The device dies after the labels: scalars and labels stay, the module is not complete."""
    profile = load_profiles()["if_mib"]
    (table,) = profile.tables
    cells = {(*label.oid, i): Cell(OCTET_STRING, b"x") for label in table.labels for i in (1, 2)}
    cells[(1, 3, 6, 1, 2, 1, 1, 3, 0)] = number(1)

    class Dying(Device):
        async def get_bulk(self, oids: list[Oid], repetitions: int, once: int = 0) -> list[Varbind]:
            if oids[0][:-1] not in [label.oid[:-1] for label in table.labels] or len(oids) > 3:
                raise NoAnswer("does not answer")
            return await super().get_bulk(oids, repetitions, once)

    harvest = Harvest()
    with pytest.raises(NoAnswer):
        asyncio.run(read_profile(Dying(cells), profile, harvest))
    assert harvest.has_data and not harvest.complete and not harvest.finished
