"""The shipped profiles keep their promises: sources, names, one vocabulary, no clash of modules, and accuracy.

The accuracy is measured where the recordings are (tests/bench/snmp_accuracy.py says where they are looked for).
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from snmp_accuracy import DOCS, measure, measure_walks, tables, walk_table
from snmp_agent import Agent, AgentWire, Table, device
from snmp_compare import Score
from snmp_recordings import PROJECT, folder, read, says, walks

from egov_exporters.snmp import ber
from egov_exporters.snmp.ber import Cell
from egov_exporters.snmp.detect import identify
from egov_exporters.snmp.profiles import check_profile, load_profiles, vocabulary
from egov_exporters.snmp.schema import Profile
from egov_exporters.snmp.scrape import ScrapeResult, scrape

FOLDER = Path(str(files("egov_exporters") / "profiles"))
PROFILES = sorted(load_profiles().values(), key=lambda one: one.name)
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
UNITS = (
    *("_ratio", "_bytes", "_celsius", "_rpm", "_watts", "_volts", "_amperes", "_hertz", "_seconds", "_dbm"),
    *("_up", "_ok", "_powered", "_synchronized", "_replace", "_on_battery", "_on_bypass"),  # 1 or 0
    *("_sessions", "_session_rate", "_video_channels", "_tunnels_up", "_alarms"),  # numbers of things
)
OURS = "egov_"
PAGE = PROJECT / "docs" / "exporter-profiles.md"


def by_name(profile: Profile) -> str:
    """For pytest's ids."""
    return profile.name


@pytest.mark.parametrize("profile", PROFILES, ids=by_name)
def test_every_object_has_a_source(profile: Profile) -> None:
    """The file passes its own check, and columns, labels and conditions name the MIB object behind their OID."""
    assert check_profile(FOLDER / f"{profile.name}.yml") == []
    columns = [*profile.scalars, *(column for table in profile.tables for column in table.columns)]
    sources = [metric.source for column in columns for metric in column.metrics()]
    sources += [one.source for column in columns for metric in column.metrics() for one in metric.conditions]
    sources += [label.source for table in profile.tables for label in (*table.labels, *table.lookups)]
    assert sources and [one for one in sources if not re.fullmatch(r"[A-Za-z0-9-]+::[A-Za-z0-9]+", one)] == []
    assert profile.title


@pytest.mark.parametrize("profile", PROFILES, ids=by_name)
def test_names(profile: Profile) -> None:
    """Valid metric and label names; objects of a MIB under their own names, ours with a unit."""
    for metric in profile.metrics():
        assert METRIC.match(metric.name)
        if metric.name.startswith(OURS):
            assert metric.name.endswith(UNITS), metric.name
            assert (metric.type, metric.help) == (vocabulary()[metric.name]["type"], vocabulary()[metric.name]["help"])
        else:
            assert metric.source.endswith(f"::{metric.name}")
    for table in profile.tables:
        for label in (*table.labels, *table.lookups):
            assert not label.label.startswith("__")


def test_one_object_has_one_name() -> None:
    """The same OID under two sources is a slip of the pen in one of them."""
    known: dict[tuple[int, ...], str] = {}
    for profile in PROFILES:
        for metric in profile.metrics():
            assert known.setdefault(metric.oid, metric.source) == metric.source


def test_every_word_of_the_vocabulary_is_used_and_explained() -> None:
    """And none is missing on the page."""
    used = {metric.name for profile in PROFILES for metric in profile.metrics() if metric.name.startswith(OURS)}
    assert used == set(vocabulary())
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in vocabulary() if f"`{name}`" not in page] == []


def test_untested_profiles_say_so() -> None:
    """In the file and on the page; a profile is proven or untested, and the page knows all."""
    page = PAGE.read_text(encoding="utf-8")
    for profile in PROFILES:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{profile.name}` |"))
        text = (FOLDER / f"{profile.name}.yml").read_text(encoding="utf-8")
        assert ("untested" in row.split("|")[3]) == (profile.state == "untested")
        if profile.state == "untested":
            assert "State: untested" in text


@pytest.mark.parametrize(
    ("profile", "place"),
    [(one, place) for one in PROFILES for place in range(len(one.detections))],
    ids=lambda value: value.name if isinstance(value, Profile) else str(value),
)
def test_a_familys_modules_exist_and_do_not_clash(profile: Profile, place: int) -> None:
    """Of two families of one name a scrape shows one: modules that are read together share no metric."""
    rule = profile.detections[place]
    assert set(rule.modules) <= set(load_profiles())
    for prefix in rule.prefixes or [()]:
        found = identify((*prefix, 1), "" if rule.pattern is None else WORDS[rule.family])
        assert found.family == rule.family
        names: dict[str, str] = {}
        for module in found.profiles:
            for name in {metric.name for metric in load_profiles()[module].metrics()}:
                assert names.setdefault(name, module) == module, name


WORDS = {
    "cisco_nxos": "Cisco NX-OS(tm)",
    "cisco_iosxe": "Cisco IOS Software [Fuji]",
    "h3c_comware": "H3C Comware Platform Software",
    "hikvision": "HIKVISION",
    "huawei_vrp": "Huawei Versatile Routing Platform Software",
}


def test_objects_are_read_once_a_table() -> None:
    """The walk gives each object of a table one place in a request; what others need comes before."""
    for profile in PROFILES:
        before: set[tuple[int, ...]] = set()
        for table in profile.tables:
            oids = [one.oid for one in (*table.labels, *table.columns)]
            assert len(set(oids)) == len(oids)
            before.update(oids)
            needed = [oid for column in table.columns for metric in column.metrics() for oid in metric.needs()]
            needed += [label.oid for label in table.lookups]
            assert set(needed) <= before


@pytest.mark.skipif(folder() is None, reason="no recordings of real devices here (EGOV_RECORDINGS)")
def test_accuracy_is_as_the_docs_say() -> None:
    """Every cell of every object as the recording has it, 99 % of the JSON's rows, and the page's table is current."""
    recordings = folder()
    assert recordings is not None
    found = measure(recordings)
    for score in found.file.values():
        assert not score.misses
    assert not found.problems
    agree, rows = (sum(getattr(one, name) for one in found.json.values()) for name in ("agree", "rows"))
    assert agree / rows > 0.99
    assert tables(found) in DOCS.read_text(encoding="utf-8")


@pytest.mark.skipif(walks() is None, reason="no walks of snmpsim-data here (EGOV_WALKS)")
def test_walks_are_served_as_the_docs_say() -> None:
    """Every cell of every object as the walk has it, and the page's table is current."""
    data = walks()
    assert data is not None
    found = measure_walks(data)
    for score in found.file.values():
        assert not score.misses
    assert walk_table(found) in DOCS.read_text(encoding="utf-8")


def test_a_column_that_is_never_read_disagrees() -> None:
    """The measure itself: a profile that lost a column loses its rows, it does not shrink the list."""
    score = Score()
    score.note("a", True, "")
    score.note("b", False, "lost")
    assert score.cells() == "1 of 2 | 1 of 2 | 50.0 %"


@pytest.mark.skipif(folder() is None, reason="no recordings of real devices here (EGOV_RECORDINGS)")
def test_the_hot_path_on_real_devices() -> None:
    """Every recording, its counters moved between two scrapes: by the plan, the page that a stranger gets.

    Most modules of most devices go by a plan. Those that do not are incomplete on the device itself, or their counters
    grew here by so many octets at once that a reply had no room for them.
    """
    recordings = folder()
    assert recordings is not None
    paths = sorted(recordings.glob("*.snmprec"))
    asked = planned = 0
    for path in paths:
        lines = read(path)
        table = {oid: line.cell for oid, line in lines.items()}
        profiles = [load_profiles()[name] for name in identify(*says(lines)).profiles]
        known, stranger = asyncio.run(_twice(table, profiles))
        assert _body(known) == _body(stranger), path.name
        asked += len(profiles)
        planned += sum(module.plan is not None for module in known.modules)
        assert all(module.plan or module.stale == "short_reply" or not module.complete for module in known.modules)
    print(f"{len(paths)} recordings, {planned} of {asked} modules by a plan")
    assert planned > asked / 2


async def _twice(table: Table, profiles: list[Profile]) -> tuple[ScrapeResult, ScrapeResult]:
    """The second scrape of a device that was read before, and the first by somebody else."""
    rng = random.Random(1)
    agent = Agent(table)
    wire: Any = AgentWire(agent)
    known = device()
    await scrape(wire, known, profiles, 60)
    agent.table = {
        oid: Cell(cell.tag, ber.integer_octets(rng.randrange(1 << (64 if cell.tag == ber.COUNTER64 else 32))))
        if cell.tag in (ber.COUNTER32, ber.COUNTER64)
        else cell
        for oid, cell in table.items()
    }
    return await scrape(wire, known, profiles, 60), await scrape(wire, device(), profiles, 60)


def _body(result: ScrapeResult) -> bytes:
    return result.page[: result.page.index(b"# HELP snmp_module_success")]
