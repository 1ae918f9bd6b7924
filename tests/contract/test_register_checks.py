"""Every check of the plan, the registers, the evidence and the measurements has states that turn it green and red."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from egovctl.assess.standards import standards
from egovctl.checks import content
from egovctl.checks.collect.registers import JOURNALS, facts
from egovctl.checks.judge import judge, words
from egovctl.checks.model import Check, Status
from egovctl.checks.registers.entries import KINDS
from egovctl.checks.registers.planned import SECTIONS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
import as_planned_cases as planned
import measured_cases as measured
import register_cases as cases

CHECKS = content.checks().entries
KEPT = {name: check for name, check in CHECKS.items() if check.collect.by == "registers"}
CITY = {"name": "lab", "kind": "city"}


def verdict(check: Check, change: cases.Change | None = None) -> tuple[Status, dict[str, Any]]:
    given = cases.GOOD if change is None else change(cases.GOOD)
    found = facts(given, check.collect.sections)
    assert isinstance(found, dict), found
    return judge(check, {"subject": CITY, **found})


def judged(name: str, change: measured.Change | None = None) -> tuple[Status, dict[str, Any]]:
    planned, seen = measured.case(name, change)
    return judge(CHECKS[name], {"subject": CITY, "planned": planned, "seen": seen})


def readable(check: Check, status: Status, shown: dict[str, Any]) -> dict[str, str]:
    texts = words(check, status, shown)
    assert texts["zh"] and texts["en"] and "True" not in texts["en"] and "False" not in texts["en"]
    return texts


def test_each_has_cases_and_asks_a_section_that_there_is() -> None:
    assert set(KEPT) == set(cases.RED), "a check without cases, or cases without a check"
    for check in KEPT.values():
        assert set(check.collect.sections) <= {*KINDS, *SECTIONS, *JOURNALS} and check.items + check.supports
    used = {section for check in KEPT.values() for section in check.collect.sections}
    assert used == {*KINDS, *SECTIONS, *JOURNALS}, "a register that nothing is judged by"


@pytest.mark.parametrize("name", sorted(cases.RED))
def test_the_good_city_turns_it_green_in_both_languages(name: str) -> None:
    status, shown = verdict(KEPT[name])
    assert status is Status.PASS, shown
    readable(KEPT[name], status, shown)


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name in sorted(cases.RED) for n in range(len(cases.RED[name]))]
)
def test_each_fault_turns_it_red_and_is_named(name: str, number: int) -> None:
    status, shown = verdict(KEPT[name], cases.RED[name][number])
    assert status is Status.FAIL, shown
    assert readable(KEPT[name], status, shown) != readable(KEPT[name], Status.PASS, verdict(KEPT[name])[1])


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name in sorted(cases.GREEN) for n in range(len(cases.GREEN[name]))]
)
def test_what_is_no_fault_is_none(name: str, number: int) -> None:
    status, shown = verdict(KEPT[name], cases.GREEN[name][number])
    assert status is Status.PASS, shown


@pytest.mark.parametrize("number", range(len(cases.OTHER)))
def test_what_is_partly_so_or_cannot_be_said(number: int) -> None:
    name, wanted, change = cases.OTHER[number]
    status, shown = verdict(KEPT[name], change)
    assert status is wanted
    readable(KEPT[name], status, shown)


@pytest.mark.parametrize(
    "name", sorted(name for name, check in KEPT.items() if set(check.collect.sections) & set(KINDS))
)
def test_a_register_that_nobody_keeps_leaves_it_to_people(name: str) -> None:
    for kind in set(KEPT[name].collect.sections) & set(KINDS):
        assert verdict(KEPT[name], cases.not_kept(kind))[0] is Status.MANUAL


@pytest.mark.parametrize("name", sorted(measured.GOOD))
def test_measurements_turn_it_green_and_each_fault_red(name: str) -> None:
    status, shown = judged(name)
    assert status is Status.PASS, shown
    good = readable(CHECKS[name], status, shown)
    for change in measured.RED[name]:
        status, shown = judged(name, change)
        assert status is Status.FAIL and readable(CHECKS[name], status, shown) != good


@pytest.mark.parametrize("number", range(len(measured.OTHER)))
def test_measurements_that_say_less(number: int) -> None:
    name, wanted, change = measured.OTHER[number]
    assert judged(name, change)[0] is wanted


@pytest.mark.parametrize("name", sorted(planned.GOOD))
def test_the_checks_of_the_checklist_judge_as_their_cases_say(name: str) -> None:
    """By the expressions alone; what their texts show is tested where the collectors are."""
    check = CHECKS[name].model_copy(update={"show": {}})
    subject = {"name": "h", "role": "access"}

    def found(change: measured.Change | None, about: dict[str, Any] = subject) -> Status:
        wanted, seen = planned.case(name, change)
        return judge(check, {"subject": about, "planned": wanted, "seen": seen})[0]

    assert found(None) is Status.PASS
    assert {found(change) for change in planned.RED[name]} == {Status.FAIL}
    about = planned.SUBJECTS.get(name, subject)
    assert {found(change, about) for change in planned.GREEN.get(name, [])} <= {Status.PASS}
    for other, status, change in planned.OTHER:
        assert other != name or found(change) is status


@pytest.mark.parametrize("name", sorted(measured.GREEN))
def test_measurements_that_are_no_fault(name: str) -> None:
    assert {judged(name, change)[0] for change in measured.GREEN[name]} == {Status.PASS}


def test_the_good_city_and_its_registers_are_of_one_day() -> None:
    assert cases.ago(0) == date(2026, 9, 21)


def settled() -> tuple[set[str], set[str]]:
    """Of level 3: what has machine evidence, and what checks settle."""
    items = standards().get("mlps-level-3").by_id
    named = {name for check in CHECKS.values() for name in (*check.items, *check.supports)} & set(items)
    whole = {
        name for check in CHECKS.values() for name in check.items if items.get(name) and items[name].settles == "full"
    }
    return named, whole


def test_how_much_of_level_3_machines_tell() -> None:
    """The figures of docs/assessment.md. Less is a loss; more is a claim that somebody must stand by."""
    named, whole = settled()
    items = standards().get("mlps-level-3").by_id
    left = {name for name, item in items.items() if item.settles == "full"} - whole
    assert len(named) >= 132 and len(named) == 137
    assert left == {"L3-1.8a", "L3-2.2a", "L3-2.2b", "L3-3.1b", "L3-3.1c", "L3-4.7a", "L3-4.8a"} and len(whole) == 65
