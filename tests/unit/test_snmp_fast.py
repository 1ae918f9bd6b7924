"""The hot path shows what the general path shows, or says that it cannot; never anything else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snmp_agent import Agent, AgentWire, Table, device

from egov_exporters.snmp import ber, fast
from egov_exporters.snmp.ber import Cell
from egov_exporters.snmp.decode import Decoded
from egov_exporters.snmp.fast import Plan, Stale, picker
from egov_exporters.snmp.oid import Oid, parse_oid
from egov_exporters.snmp.planning import make_plan
from egov_exporters.snmp.profiles import load_profiles
from egov_exporters.snmp.scrape import ScrapeResult, scrape
from egov_exporters.snmp.session import NoAnswer
from egov_exporters.snmp.walk import Harvest

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")

IF_MIB = load_profiles()["if_mib"]
TABLE, EXTENDED = parse_oid("1.3.6.1.2.1.2.2.1"), parse_oid("1.3.6.1.2.1.31.1.1.1")
UPTIME = parse_oid("1.3.6.1.2.1.1.3.0")
IN_OCTETS, OUT_OCTETS, DESCR, NAME, ALIAS = (
    (*EXTENDED, 6),
    (*EXTENDED, 10),
    (*TABLE, 2),
    (*EXTENDED, 1),
    (*EXTENDED, 18),
)
STATUS, KIND, ADDRESS, ERRORS = (*TABLE, 8), (*TABLE, 3), (*TABLE, 6), (*TABLE, 14)
LABELS = (DESCR, NAME, ALIAS)


def integer(value: int) -> Cell:
    return Cell(ber.INTEGER, ber.integer_octets(value))


def unsigned(tag: int, value: int) -> Cell:
    return Cell(tag, ber.integer_octets(value))


def text(value: str) -> Cell:
    return Cell(ber.OCTET_STRING, value.encode())


def a_row(number: int) -> Table:
    return {
        (*DESCR, number): text(f"GigabitEthernet0/0/{number}"),
        (*NAME, number): text(f"GE{number} 100%d"),
        (*ALIAS, number): text(f"to {number}\nsecond line"),
        (*KIND, number): integer(6),
        (*ADDRESS, number): Cell(ber.OCTET_STRING, bytes((2, 0, 0, 0, 0, number % 256))),
        (*STATUS, number): integer(1),
        (*IN_OCTETS, number): unsigned(ber.COUNTER64, number * 10**12),
        (*OUT_OCTETS, number): unsigned(ber.COUNTER64, number * 10**9 + 5),
        (*ERRORS, number): unsigned(ber.COUNTER32, number),
    }


def switch(*numbers: int) -> Table:
    table: Table = {UPTIME: unsigned(ber.TIMETICKS, 123_456), parse_oid("1.3.6.1.2.1.2.1.0"): integer(len(numbers))}
    for number in numbers:
        table.update(a_row(number))
    return table


@pytest.fixture(autouse=True, scope="module")
def labels_every_time() -> Iterator[None]:
    """Labels do not rest, but in the tests that are about it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "LABEL_SECONDS", -1.0)
        yield


def twice(before: Table, after: Table, **options: Any) -> tuple[ScrapeResult, ScrapeResult, int]:
    """What a device shows to a scraper that knows it from before, to a stranger, and how much the first one asked."""

    async def both() -> tuple[ScrapeResult, ScrapeResult, int]:
        agent = Agent(dict(before), **options)
        wire: Any = AgentWire(agent)
        known = device()
        await scrape(wire, known, [IF_MIB], 5)
        agent.table, agent.requests = dict(after), 0
        again = await scrape(wire, known, [IF_MIB], 5)
        asked = agent.requests
        return again, await scrape(wire, device(), [IF_MIB], 5), asked

    return asyncio.run(both())


def body(result: ScrapeResult) -> bytes:
    """A page without what is said of the scrape itself."""
    return result.page[: result.page.index(b"# HELP snmp_module_success")]


def test_the_second_scrape_goes_by_the_plan_and_shows_the_same() -> None:
    """Other numbers, the same page as a stranger gets; no more requests than the table needs."""
    before, after = switch(*range(1, 49)), switch(*range(1, 49))
    for number in range(1, 49):
        after[*IN_OCTETS, number] = unsigned(ber.COUNTER64, 2**40 + number)
        after[*STATUS, number] = integer(2)
    known, stranger, asked = twice(before, after)
    assert known.modules[0].plan and not known.modules[0].stale
    assert body(known) == body(stranger)
    assert b"ifHCInOctets{" in known.page and f"}} {2**40 + 48}\n".encode() in known.page
    assert asked == known.modules[0].traffic.sent <= 11


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({(*ALIAS, 2): text("renamed")}, "text_changed"),
        ({(*KIND, 2): integer(53)}, "text_changed"),
        ({(*ADDRESS, 3): Cell(ber.OCTET_STRING, b"\x02\0\0\0\0\x99")}, "text_changed"),
        (a_row(4), "rows_added"),
        ({(*ERRORS, 2): text("none")}, "bad_value"),
        ({(*ERRORS, 2): unsigned(ber.COUNTER32, 2**40)}, "bad_value"),
    ],
)
def test_what_is_not_only_a_number_is_read_anew(change: Table, reason: str) -> None:
    """A new name, type, address, row, or a value that cannot be served: the general path has the last word."""
    before = switch(1, 2, 3)
    known, stranger, _ = twice(before, before | change)
    assert known.modules[0].stale == reason and known.modules[0].plan is None
    assert body(known) == body(stranger) and known.complete


def test_a_row_that_is_gone_or_moved() -> None:
    """Indexes that moved by one keep their names: the page follows the names."""
    for after in (switch(1, 3), switch(2, 3, 4), switch(1, 2)):
        known, stranger, _ = twice(switch(1, 2, 3), after)
        assert known.modules[0].stale in ("rows_changed", "text_changed", "rows_added")
        assert body(known) == body(stranger)


@pytest.mark.parametrize("value", [0, 127, 128, 2**31 - 1, 2**32 - 1])
def test_numbers_of_every_width(value: int) -> None:
    """Widths change between scrapes: a new skeleton, never a wrong number."""
    before, after = switch(1, 2), switch(1, 2)
    after[*ERRORS, 1] = unsigned(ber.COUNTER32, value)
    known, stranger, _ = twice(before, after)
    assert known.modules[0].plan and body(known) == body(stranger)


def test_a_negative_number_is_read_every_time() -> None:
    """No skeleton for it, and no reading anew either."""
    before, after = switch(1, 2), switch(1, 2)
    before[*STATUS, 1], after[*STATUS, 1] = integer(-5), integer(-70_000)
    known, stranger, _ = twice(before, after)
    assert known.modules[0].plan and body(known) == body(stranger) and b"} -70000\n" in known.page


def test_a_device_with_short_replies_is_asked_for_less() -> None:
    """Replies end early: the plan is Stale once, and the next ones fit."""

    async def run() -> list[ScrapeResult]:
        agent = Agent(switch(*range(1, 30)), octets=700)
        wire: Any = AgentWire(agent)
        known = device()
        return [await scrape(wire, known, [IF_MIB], 5) for _ in range(8)]

    results = asyncio.run(run())
    assert {one.modules[0].stale for one in results} == {"", "short_reply"}
    assert results[-1].modules[0].plan and len({body(one) for one in results}) == 1


def test_sparse_columns_do_not_shift_rows() -> None:
    """A column that skips rows is asked apart from those that do not."""
    before = switch(1, 2, 3, 4)
    for name in ((*IN_OCTETS, 2), (*OUT_OCTETS, 4), (*ERRORS, 1)):
        del before[name]
    known, stranger, _ = twice(before, before)
    assert known.modules[0].plan and body(known) == body(stranger)


cells = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(integer),
    st.integers(0, 2**32 - 1).map(lambda value: unsigned(ber.COUNTER32, value)),
    st.integers(0, 2**64 - 1).map(lambda value: unsigned(ber.COUNTER64, value)),
    st.tuples(st.sampled_from((0x02, 0x04, 0x05, 0x41, 0x42, 0x46, 0x44)), st.binary(max_size=10)).map(
        lambda it: Cell(*it)
    ),
)
columns = st.sampled_from((*LABELS, KIND, ADDRESS, STATUS, IN_OCTETS, OUT_OCTETS, ERRORS))
changes = st.dictionaries(st.tuples(columns, st.integers(1, 5)), cells, max_size=6)


@settings(max_examples=60)
@given(changes, changes, st.sampled_from((200, 500, 1_400)))
def test_any_device_any_change(
    odd: dict[tuple[Oid, int], Cell], change: dict[tuple[Oid, int], Cell], size: int
) -> None:
    """Whatever cells a device has and however they change: the page of a stranger."""
    before = switch(1, 2, 3, 4, 5) | {(*column, row): cell for (column, row), cell in odd.items()}
    after = before | {(*column, row): cell for (column, row), cell in change.items()}
    known, stranger, _ = twice(before, after, octets=size)
    assert body(known) == body(stranger)


def test_what_was_no_number_is_shown_when_it_is_one() -> None:
    """An interface's state that came as an INTEGER of no octets, and came right the next time."""
    state = (1, 3, 6, 1, 2, 1, 2, 2, 1, 8, 1)
    before = switch(1, 2) | {state: Cell(2, b"")}
    known, stranger, asked = twice(before, before | {state: Cell(2, b"\x02")})
    shown = [line for line in body(known).splitlines() if line.startswith(b"ifOperStatus{") and line.endswith(b" 2")]
    assert len(shown) == 1 and body(known) == body(stranger)
    known, stranger, still = twice(before, before)
    assert body(known) == body(stranger) and still < asked, "while it is none the device is read by the plan"


def thrice(before: Table, after: Table, patch: pytest.MonkeyPatch, **options: Any) -> tuple[ScrapeResult, int, float]:
    """A device that is known well changes: what is shown then, how much was asked, and how old its labels are said to
    be.
    """

    async def run() -> tuple[ScrapeResult, int, float]:
        agent = Agent(dict(before), **options)
        wire: Any = AgentWire(agent)
        known = device()
        for _ in range(3):
            await scrape(wire, known, [IF_MIB], 5)
        agent.table, agent.requests = dict(after), 0
        result = await scrape(wire, known, [IF_MIB], 5)
        line = next(one for one in result.page.decode().splitlines() if one.startswith("snmp_table_age_seconds"))
        return result, agent.requests, float(line.split()[-1])

    patch.setattr(fast, "LABEL_SECONDS", 60.0)
    return asyncio.run(run())


def test_labels_rest_while_nothing_says_that_they_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other numbers: fewer requests than with the labels, the same page."""
    before, after = switch(*range(1, 49)), switch(*range(1, 49))
    after[*IN_OCTETS, 7] = unsigned(ber.COUNTER64, 2**50)
    rested, few, _ = thrice(before, after, monkeypatch)
    monkeypatch.setattr(fast, "LABEL_SECONDS", -1.0)
    every, stranger, all_of_it = twice(before, after)
    assert few < all_of_it and rested.modules[0].plan and rested.complete
    assert body(rested) == body(every) == body(stranger)


def test_a_renamed_port_shows_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a person's rename waits, and the page says how old the labels are."""
    before = switch(1, 2, 3)
    after = before | {(*ALIAS, 2): text("renamed")}
    result, _, _ = thrice(before, after, monkeypatch)
    assert b'ifAlias="to 2' in result.page and not result.modules[0].stale

    async def later() -> tuple[bytes, bytes]:
        agent = Agent(dict(before))
        wire: Any = AgentWire(agent)
        known = device()
        for _ in range(2):
            await scrape(wire, known, [IF_MIB], 5)
        plan = known.of(IF_MIB).plan
        assert plan is not None
        agent.table = dict(after)
        plan.labels_at -= 59.0
        young = await scrape(wire, known, [IF_MIB], 5)
        plan.labels_at -= 1.0
        return young.page, (await scrape(wire, known, [IF_MIB], 5)).page

    young, old = asyncio.run(later())
    assert b'snmp_table_age_seconds{module="if_mib",table="interfaces"} 59.0' in young
    assert b'ifAlias="renamed"' in old and b'snmp_table_age_seconds{module="if_mib",table="interfaces"} 0.0' in old


@pytest.mark.parametrize(
    "sign",
    [
        {UPTIME: unsigned(ber.TIMETICKS, 100)},
        {UPTIME: unsigned(ber.TIMETICKS, 123_456 + 1_000)},
        {(*STATUS, 3): integer(2)},
        {(*EXTENDED, 15, 2): unsigned(ber.GAUGE32, 10_000)},
        {(*EXTENDED, 19, 2): unsigned(ber.TIMETICKS, 123_400)},
        {(*IN_OCTETS, 1): unsigned(ber.COUNTER64, 5)},
        {(*OUT_OCTETS, 3): unsigned(ber.COUNTER64, 5)},
    ],
    ids=["restarted", "another device", "state", "speed", "break", "fewer in", "fewer out"],
)
def test_what_may_be_another_interface_is_asked_for_its_name(sign: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that may be another one now never goes by the name that was there before."""
    before = switch(1, 2, 3)
    for number in (1, 2, 3):
        before[*EXTENDED, 15, number] = unsigned(ber.GAUGE32, 1_000)
        before[*EXTENDED, 19, number] = unsigned(ber.TIMETICKS, 0)
    after = before | {(*NAME, number): text(f"other {number}") for number in (1, 2, 3)} | sign
    result, _, age = thrice(before, after, monkeypatch)
    assert result.modules[0].stale == "text_changed" and age == 0.0
    assert b'ifName="other 2"' in result.page and b'ifName="GE2' not in result.page


def test_rows_that_come_go_or_move_show_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although no label is asked for."""
    for after in (switch(1, 3), switch(2, 3, 4), switch(1, 2), switch(1, 2, 3, 4)):
        result, _, _ = thrice(switch(1, 2, 3), after, monkeypatch)
        monkeypatch.setattr(fast, "LABEL_SECONDS", -1.0)
        assert body(result) == body(twice(after, after)[0])


def test_a_device_without_uptime_is_asked_for_its_labels_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would say that it began anew."""
    before = {oid: cell for oid, cell in switch(1, 2, 3).items() if oid != UPTIME}
    result, _, _ = thrice(before, before | {(*ALIAS, 2): text("renamed")}, monkeypatch)
    assert b'ifAlias="renamed"' in result.page


@pytest.mark.parametrize("replies", [0, 1])
def test_remembered_labels_are_no_sign_of_life(replies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead device has no page, however well its labels are known; one that dies half-way keeps its names."""
    monkeypatch.setattr(fast, "LABEL_SECONDS", 60.0)

    async def run() -> ScrapeResult:
        agent = Agent(switch(*range(1, 49)))
        known, alive = device(), True

        def before(number: int) -> float:
            if not alive and number >= replies:
                raise NoAnswer("does not answer")
            return 0.0

        wire: Any = AgentWire(agent, before)
        for _ in range(3):
            await scrape(wire, known, [IF_MIB], 5)
        alive, agent.requests = False, 0
        return await scrape(wire, known, [IF_MIB], 5)

    result = asyncio.run(run())
    assert result.answered == bool(replies) and not result.complete
    assert (b'ifName="GE1 ' in result.page) == bool(replies)


def a_plan() -> tuple[Plan, list[bytes]]:
    """A plan, and replies to it."""

    async def run() -> tuple[Plan, list[bytes]]:
        agent = Agent(switch(*range(1, 13)))
        wire: Any = AgentWire(agent)
        known = device()
        await scrape(wire, known, [IF_MIB], 5)
        plan = known.of(IF_MIB).plan
        assert plan is not None
        return plan, [agent.answer(one.with_id(1 << 24)) for one in plan.requests]

    return asyncio.run(run())


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_a_damaged_reply_is_stale_or_has_numbers(seed: int, damage: int) -> None:
    """Octets changed at random, cut or added: Stale, or as many numbers as the plan has; nothing else is raised."""
    plan, replies = a_plan()
    rng = random.Random(seed)
    for _ in range(damage):
        at = rng.randrange(len(replies))
        reply = bytearray(replies[at])
        action = rng.randrange(3)
        if action == 0:
            reply[rng.randrange(len(reply))] = rng.randrange(256)
        elif action == 1:
            del reply[rng.randrange(len(reply)) :]
        else:
            reply += rng.randbytes(rng.randrange(1, 5))
        replies[at] = bytes(reply) or b"\0"
    try:
        read = plan.read(range(len(replies)), replies)
    except Stale:
        return
    assert len(read) == sum(chunk.kinds.count(1) for chunk in plan.chunks)


def test_nothing_is_planned_from_a_part() -> None:
    """What was not read completely teaches nothing."""
    assert make_plan(IF_MIB, Harvest(), Decoded()) is None


@given(st.lists(st.integers(0, 50), max_size=30))
def test_picked_numbers_are_those_of_the_places(places: list[int]) -> None:
    """As many as there are places, one and none included, and in their order."""
    numbers = tuple(range(100, 160))
    assert picker(tuple(places))(numbers) == tuple(100 + place for place in places)
