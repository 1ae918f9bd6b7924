"""The loader meets whatever a disk or a tired person can produce: it says PlanError with file:line, or takes the plan.

Any other exception here would be a traceback in front of an operator, or a hang.
"""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_cases import Data, centre, city_of, load_data, site

from egovctl.paths import Inventory
from egovctl.plan import PlanError, load
from egovctl.plan.source import parse_source, read_source

SENTENCE = re.compile(r"[^\n]*\.yml:[1-9][0-9]*: [^\n]+\Z")
GOOD = city_of(
    [
        *centre([1, 2, 3]),
        site(12, "hub-minqin", "hub", ["core1", "core2"], county="minqin"),
        site(221, "minqin-education", "department", ["hub-minqin"], county="minqin", addresses={}),
    ],
    ["minqin"],
)
SERVICES = {
    "schema": 1,
    "services": [
        {
            "name": "documents",
            "title": {"zh": "公文", "en": "Documents"},
            "owner": "core",
            "grade": 2,
            "availability": 99.5,
            "rto": "30m",
            "rpo": "1h",
            "hosts": ["minqin-education"],
            "backup": {"engine": "borg", "paths": ["/srv/documents"], "schedule": "daily"},
        }
    ],
}
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["10.0.0.0/8", "::/0", "0.0.0.0/0", "255.255.255.255", "fe80::/64", "core1", "core", "1h", "/"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
some = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def assert_told_well(error: PlanError) -> None:
    assert error.faults
    for fault in error.faults:
        assert SENTENCE.match(fault), fault


@some
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yml"
    path.write_bytes(content)
    try:
        read_source(path)
    except PlanError as error:
        assert_told_well(error)


@some
@given(st.text(alphabet="ab:-{}[]&*!|>'\"#%@,?\n\t 01~<.\\", max_size=60))
def test_any_text_that_looks_like_yaml(text: str) -> None:
    try:
        parse_source("fuzz.yml", text)
    except PlanError as error:
        assert_told_well(error)


@some
@given(values)
def test_any_data_in_place_of_a_plan(data: Any) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    try:
        source = parse_source("fuzz.yml", text)
        load_data(source.data, SERVICES)
    except PlanError as error:
        assert_told_well(error)


def places(data: Any, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every key path of the data."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path for key, value in pairs for path in [(*where, key), *places(value, (*where, key))]]


@some
@given(st.data(), values, st.sampled_from(["put", "drop", "add"]))
def test_one_thing_of_a_good_plan_is_anything_else(pick: st.DataObject, value: Any, how: str) -> None:
    both: Data = deepcopy({"city": GOOD, "services": SERVICES})
    where = pick.draw(st.sampled_from([path for path in places(both) if len(path) > 1]))
    inner: Any = both
    for key in where[:-1]:
        inner = inner[key]
    if how == "drop":
        del inner[where[-1]]
    elif how == "add" and isinstance(inner, dict):
        inner[str(value)] = value
    else:
        inner[where[-1]] = value
    try:
        load_data(both["city"], both["services"])
    except PlanError as error:
        assert_told_well(error)


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "- " * 5000 + "x",
        "[" * 100_000,
        "a: !!int x",
        "a: !!bool x",
        "? [a]\n: b",
        "a: \0",
        "--- a\n--- b",
        "<<: {a: 1}\n<<: 2",
    ],
    ids=["loop", "deep", "deeper", "int", "bool", "key", "nul", "two", "merge"],
)
def test_hostile_yaml_is_refused(text: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_source("fuzz.yml", text)
    assert_told_well(caught.value)


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    for name in ("city.yml", "services.yml"):
        (tmp_path / "plan" / name).mkdir(parents=True)
    with pytest.raises(PlanError, match=r"city\.yml:1: cannot be read"):
        load(Inventory(tmp_path))
