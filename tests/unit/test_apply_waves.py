"""Who meets a change first, and when the next wave must not be touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egovctl.apply.waves import STEPS, waves_of
from egovctl.apply.waves import refuse_after as refuse
from egovctl.paths import Inventory
from egovctl.plan import load_city

INVENTORIES = Path(__file__).resolve().parents[2] / "inventories"


@pytest.mark.parametrize("name", ["lab", "wuwei", "lab-private"])
def test_one_department_first_then_its_county_and_never_a_core(name: str) -> None:
    city = load_city(Inventory(INVENTORIES / name))
    waves = waves_of(city)
    first = [host for host, wave in waves.items() if wave == "wave_department"]
    rest = [host for host, wave in waves.items() if wave == "wave_county"]
    assert len(first) == 1 and city.hosts[first[0]].role == "access"
    counties = {city.hosts[host].county for host in (*first, *rest)}
    assert len(counties) == 1
    if counties != {None}:
        members = {h.name for h in city.hosts.values() if h.county in counties and "managed" in h.groups}
        assert {*first, *rest} == members
    assert not [host for host in waves if city.hosts[host].role == "core"]


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_step_stops_the_next_wave_with_its_reason(step: str) -> None:
    told = refuse({"a": {STEPS[0]: {"changed": True}}, "b": {step: {"failed": True, "msg": "b: refused"}}}, ["a", "b"])
    assert "b is not well" in told and told.endswith("b: refused")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"a": {}},
        {"a": {"transaction_result": {"changed": True, "failed": False}}},
        {"a": {"transaction_prepared": {"unreachable": True, "failed": True, "msg": "no route"}}},
        {"b": {"transaction_result": {"failed": True, "msg": "of another wave"}}},
    ],
)
def test_a_host_that_is_well_or_was_never_reached_stops_nobody(variables: dict[str, Any]) -> None:
    assert refuse(variables, ["a"]) == ""
