"""One scrape of several modules: what is served when the time runs out, or when the target dies between modules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from egov_exporters.snmp.ber import COUNTER32, NO_SUCH_OBJECT, Cell, Varbind
from egov_exporters.snmp.expose import render
from egov_exporters.snmp.oid import Oid
from egov_exporters.snmp.profiles import Profile, ProfileError, load_profiles, parse_profile
from egov_exporters.snmp.scrape import ScrapeResult, scrape
from egov_exporters.snmp.session import AgentError, NoAnswer, Session, Traffic


class Slow:
    """Answers Get with 1, and waits before each answer."""

    def __init__(self, waits: Sequence[float], known: bool = True) -> None:
        self.waits, self.known = list(waits), known
        self.traffic = Traffic()
        self.closed = False

    async def get(self, oids: list[Oid]) -> list[Varbind]:
        self.traffic.sent += 1
        if not self.waits:
            raise NoAnswer("does not answer")
        await asyncio.sleep(self.waits.pop(0))
        cell = Cell(COUNTER32, b"\x01") if self.known else Cell(NO_SUCH_OBJECT, b"")
        return [Varbind(oid, cell) for oid in oids]

    async def get_bulk(self, oids: list[Oid], repetitions: int) -> list[Varbind]:
        raise AgentError(5, 0)

    def close(self) -> None:
        self.closed = True


def scalars(name: str, *metrics: str) -> Profile:
    """A module of scalars only."""
    columns = [{"name": one, "oid": f"1.3.6.1.9.{at}", "type": "gauge", "help": "h"} for at, one in enumerate(metrics)]
    return parse_profile({"module": name, "scalars": columns}, name)


def run(session: Slow, *profiles: Profile, seconds: float = 5.0) -> ScrapeResult:
    """A scrape of this session."""

    async def opener() -> Session:
        return session

    return asyncio.run(scrape(opener, profiles, seconds))


ONE, TWO = scalars("one", "a", "shared"), scalars("two", "b", "shared")


def test_both_modules_in_one_page() -> None:
    """Each with its own success; a metric that both have appears once."""
    session = Slow([0, 0])
    result = run(session, ONE, TWO)
    page = render(result.families()).decode()
    assert result.complete and session.closed
    assert 'snmp_module_success{module="one"} 1\nsnmp_module_success{module="two"} 1\n' in page
    assert [line for line in page.splitlines() if line.startswith("shared")] == ["shared 1"]


def test_the_deadline_keeps_the_first_module() -> None:
    """The second module takes too long: the first is served, the second says 0, within the time."""
    result = run(Slow([0, 9]), ONE, TWO, seconds=0.2)
    page = render(result.families()).decode()
    assert result.answered and not result.complete and result.failure == "did not finish within 0.2 s"
    assert 'snmp_module_success{module="one"} 1\nsnmp_module_success{module="two"} 0\n' in page
    assert "\na 1\n" in page and "\nb " not in page


def test_a_target_that_dies_between_modules() -> None:
    """As above, by silence."""
    result = run(Slow([0]), ONE, TWO)
    assert result.answered and not result.complete and result.failure == "does not answer"


def test_a_target_that_is_dead_from_the_start() -> None:
    """Nothing came: not answered, with the reason."""
    result = run(Slow([]), ONE)
    assert not result.answered and result.failure == "does not answer"


def test_a_target_without_the_module() -> None:
    """It answers, but has nothing of the module: up, and success 0, for nothing was measured."""
    result = run(Slow([0], known=False), ONE)
    assert result.answered and not result.complete


def test_a_target_that_only_complains() -> None:
    """Every request is answered with an error: that is not an answer."""
    profile = replace(load_profiles()["if_mib"], scalars=())
    result = run(Slow([]), profile)
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
