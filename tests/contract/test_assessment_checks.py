"""Every check of a host's facts has answers that turn it green and red, and is evidence for what there is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from egovctl.assess.standards import standards
from egovctl.checks import content
from egovctl.checks.collect import onhost_facts
from egovctl.checks.facts import READERS, decode
from egovctl.checks.judge import judge, words
from egovctl.checks.model import Check, Status

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
import facts_cases as cases

CHECKS = {name: entry for name, entry in content.checks().entries.items() if entry.collect.by == "facts"}
SUBJECT = {"name": "h", "role": "access", "managed": True, "router": True}


def verdict(check: Check, change: cases.Change | None = None) -> tuple[Status, dict[str, Any]]:
    seen: dict[str, Any] = {}
    for number, group in enumerate(check.collect.sections):
        seen |= decode("h", group, cases.answers_of(group, change if number == 0 else None), cases.AT)
    return judge(check, {"subject": SUBJECT, "planned": cases.PLANNED, "seen": seen})


def test_there_are_at_least_forty_and_each_has_cases() -> None:
    assert len(CHECKS) >= 40
    assert set(CHECKS) == set(cases.RED), "a check without cases, or cases without a check"
    assert content.checks().broken == {}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_good_host_turns_it_green_and_says_so_in_both_languages(name: str) -> None:
    status, shown = verdict(CHECKS[name])
    assert status is Status.PASS, shown
    texts = words(CHECKS[name], status, shown)
    assert texts["zh"] and texts["en"] and "True" not in texts["en"]


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name in sorted(cases.RED) for n in range(len(cases.RED[name]))]
)
def test_each_fault_turns_it_red_and_is_named(name: str, number: int) -> None:
    status, shown = verdict(CHECKS[name], cases.RED[name][number])
    assert status is Status.FAIL, shown
    texts = words(CHECKS[name], status, shown)
    good = words(CHECKS[name], Status.PASS, verdict(CHECKS[name])[1])
    assert texts["en"] != good["en"]


@pytest.mark.parametrize("name", sorted(cases.GREEN))
def test_what_is_no_fault_is_none(name: str) -> None:
    for change in cases.GREEN[name]:
        status, shown = verdict(CHECKS[name], change)
        assert status is Status.PASS, shown


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_it_asks_a_group_that_there_is_and_is_evidence_for_something(name: str) -> None:
    check = CHECKS[name]
    assert set(check.collect.sections) <= set(READERS) and set(READERS) == set(onhost_facts.GROUPS)
    assert check.items or check.supports


def test_what_checks_are_evidence_for_is_in_a_standard_and_is_not_left_to_people_alone() -> None:
    known = {item.id: item for standard in standards().entries.values() for _, _, item in standard.walk()}
    for check in content.checks().entries.values():
        for name in check.items:
            assert known[name].settles != "none", (check.id, name)
        assert set(check.supports) <= set(known), check.id
        assert not set(check.items) & set(check.supports), check.id


def test_old_package_lists_are_no_evidence() -> None:
    for name, changes in cases.UNKNOWN.items():
        for change in changes:
            assert verdict(CHECKS[name], change)[0] is Status.UNKNOWN
