"""One scrape of several modules: what is served when the time runs out, or when the target dies between modules."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from snmp_agent import Agent, AgentWire, Table, device
from test_snmp_fast import ERRORS, NAME, switch

from egov_exporters.snmp.ber import COUNTER32, OCTET_STRING, Cell
from egov_exporters.snmp.oid import parse_oid
from egov_exporters.snmp.profiles import Profile, ProfileError, load_profiles, parse_profile
from egov_exporters.snmp.scrape import ScrapeResult, scrape
from egov_exporters.snmp.session import NoAnswer


def scalars(name: str, *metrics: str) -> Profile:
    """A module of scalars only."""
    columns = [{"name": one, "oid": f"1.3.6.1.9.{at}", "type": "gauge", "help": "h"} for at, one in enumerate(metrics)]
    return parse_profile({"module": name, "scalars": columns}, name)


def run(
    waits: Sequence[float], *profiles: Profile, table: Table | None = None, seconds: float = 5.0, status: int = 0
) -> ScrapeResult:
    """A scrape of a device that waits before each reply, and is silent once it has no more waits."""
    left = list(waits)

    def before(_: int) -> float:
        if not left:
            raise NoAnswer("does not answer")
        return left.pop(0)

    def spoil(reply: bytes) -> bytes:
        return reply.replace(b"\x02\x01\x00\x02\x01\x00", bytes((2, 1, status, 2, 1, 0)), 1)

    async def go() -> ScrapeResult:
        known = {parse_oid(f"1.3.6.1.9.{at}.0"): Cell(COUNTER32, b"\x01") for at in range(2)}
        wire: Any = AgentWire(Agent(known if table is None else table), before, spoil)
        return await scrape(wire, device(), profiles, seconds)

    return asyncio.run(go())


ONE, TWO = scalars("one", "a", "shared"), scalars("two", "b", "shared")


def test_both_modules_in_one_page() -> None:
    """Each with its own success; a metric that both have appears once."""
    result = run([0, 0], ONE, TWO)
    page = result.page.decode()
    assert result.complete
    assert 'snmp_module_success{module="one"} 1\nsnmp_module_success{module="two"} 1\n' in page
    assert [line for line in page.splitlines() if line.startswith("shared")] == ["shared 1"]


def test_the_deadline_keeps_the_first_module() -> None:
    """The second module takes too long: the first is served, the second says 0, within the time."""
    result = run([0, 9], ONE, TWO, seconds=0.2)
    page = result.page.decode()
    assert result.answered and not result.complete and result.failure == "did not finish within 0.2 s"
    assert 'snmp_module_success{module="one"} 1\nsnmp_module_success{module="two"} 0\n' in page
    assert page.startswith("# HELP a ") and "\na 1\n" in page and "\nb " not in page


def test_the_deadline_of_a_planned_scrape_keeps_what_came() -> None:
    """A device that slows down: what its replies held is served, rows by the names that came, and the table says so."""

    async def go() -> tuple[ScrapeResult, ScrapeResult]:
        slow: list[int] = []
        agent = Agent(switch(*range(1, 40)))
        wire: Any = AgentWire(agent, lambda number: 9.0 if slow and number >= slow[0] else 0.0)
        known = device()
        whole = await scrape(wire, known, [load_profiles()["if_mib"]], 5)
        slow.append(agent.requests + 6)
        return whole, await scrape(wire, known, [load_profiles()["if_mib"]], 0.3)

    whole, result = asyncio.run(go())
    page = result.page.decode()
    assert result.answered and not result.complete and not result.modules[0].plan
    assert 'snmp_table_complete{module="if_mib",table="interfaces"} 0\n' in page
    age = re.search(r'snmp_table_age_seconds\{module="if_mib",table="interfaces"\} ([0-9.]+)', page)
    assert age and float(age[1]) >= 0.3
    series = [line for line in page.splitlines() if line.startswith("if")]
    assert 0 < len(series) < len([line for line in whole.page.decode().splitlines() if line.startswith("if")])
    assert set(series) <= set(whole.page.decode().splitlines())


def test_a_device_that_sends_too_much() -> None:
    """Ten thousand rows, a name of 60,000 octets: rows are bounded, the name is left out, both are counted."""
    table: Table = {}
    for row in range(1, 10_001):
        table[*ERRORS, row] = Cell(COUNTER32, b"\x01")
        table[*NAME, row] = Cell(OCTET_STRING, b"x")
    table[*NAME, 1] = Cell(OCTET_STRING, b"y" * 60_000)

    async def go() -> ScrapeResult:
        wire: Any = AgentWire(Agent(table, octets=65_000))
        return await scrape(wire, device(), [load_profiles()["if_mib"]], 60)

    result = asyncio.run(go())
    assert result.answered and not result.complete
    assert result.problems()["too_many_rows"] >= 1 and result.problems()["text_too_long"] == 1
    lines = result.page.decode().splitlines()
    assert 0 < len([line for line in lines if line.startswith("ifInErrors{")]) <= 5_000
    assert max(map(len, lines)) < 2_000


def test_a_target_that_dies_between_modules() -> None:
    """As above, by silence."""
    result = run([0], ONE, TWO)
    assert result.answered and not result.complete and result.failure == "does not answer"


def test_a_target_that_is_dead_from_the_start() -> None:
    """Nothing came: not answered, with the reason."""
    result = run([], ONE)
    assert not result.answered and result.failure == "does not answer"


def test_a_dead_target_costs_one_datagram_until_it_lives() -> None:
    """After three silent scrapes there is no sending again; the first answer brings back all patience."""

    async def go() -> list[int]:
        silent = [True] * 4
        patience = []

        def before(_: int) -> float:
            if silent:
                silent.pop()
                raise NoAnswer("does not answer")
            return 0.0

        wire: Any = AgentWire(Agent({parse_oid("1.3.6.1.9.0.0"): Cell(COUNTER32, b"\x01")}), before)
        known = device()
        for _ in range(6):
            await scrape(wire, known, [ONE], 5)
            patience.append(len((await known.peer()).waits))
        return patience

    assert asyncio.run(go()) == [3, 3, 1, 1, 3, 3]


def test_a_target_without_the_module() -> None:
    """It answers, but has nothing of the module: up, and success 0, for nothing was measured."""
    result = run([0], ONE, table={})
    assert result.answered and not result.complete


def test_a_target_that_only_complains() -> None:
    """Every request is answered with an error: that is not an answer."""
    profile = replace(load_profiles()["if_mib"], scalars=())
    result = run([0] * 99, profile, status=5)
    assert (result.answered, result.failure) == (False, "answers every request with an error")
    assert result.problems() == {"agent_error": 3 + 38}


def column(**changes: Any) -> dict[str, Any]:
    """A scalar's entry in a profile."""
    return {"name": "m", "oid": "1.3.6.1.1", "type": "gauge", "help": "h"} | changes


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "lacks or misuses 'module'"),
        ([], "lacks or misuses"),
        ({"module": "x", "scalars": [column(type="Flaot")]}, "m has the type Flaot"),
        ({"module": "x", "scalars": [column(name="a-b")]}, "'a-b' is not a metric or label name"),
        ({"module": "x", "scalars": [column(oid="1.x")]}, "'1.x' is not an object identifier"),
        ({"module": "x", "scalars": [column(), column()]}, "comes twice"),
        ({"module": "x", "scalars": [column(enum="none")]}, "there is no enumeration none"),
        (
            {
                "module": "x",
                "tables": [
                    {
                        "name": "t",
                        "index": "i",
                        "columns": [],
                        "labels": [{"label": "l", "oid": "1.3.6", "type": "gauge"}],
                    }
                ],
            },
            "label l",
        ),
    ],
)
def test_bad_profiles(data: Any, words: str) -> None:
    """One sentence that names the file and the entry."""
    with pytest.raises(ProfileError, match=words) as caught:
        parse_profile(data, "x.yml")
    assert str(caught.value).startswith("x.yml:")
