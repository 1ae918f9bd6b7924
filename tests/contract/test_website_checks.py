"""Every check of websites has measurements that turn it green and red, and asks what there is."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from egov_exporters.websites.metrics import TEXTS
from egovctl.assess.standards import standards
from egovctl.checks import content
from egovctl.checks.judge import judge, words
from egovctl.checks.model import Check, Status

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
import measured_cases
import website_cases as cases

CHECKS = {name: check for name, check in content.checks().entries.items() if check.subject == "website"}


def judged(check: Check, change: measured_cases.Change | None = None) -> tuple[Status, dict[str, str]]:
    planned, seen = cases.case(check.id, change)
    facts: dict[str, Any] = {"subject": cases.SUBJECT, "planned": planned, "seen": seen}
    status, shown = judge(check, facts)
    texts = words(check, status, shown)
    assert texts["zh"] and texts["en"] and "True" not in texts["en"] and ".0 " not in texts["en"]
    return status, texts


def test_each_has_cases_and_is_evidence_for_an_item_of_a_list_of_websites() -> None:
    assert set(CHECKS) == set(cases.GOOD) == set(cases.RED) == set(cases.UNKNOWN)
    items = {**standards().get("websites-2019").by_id, **standards().get("websites-apart").by_id}
    settled = {name for check in CHECKS.values() for name in check.items}
    assert settled == {item.id for item in items.values() if item.settles != "none"}
    assert all(check.items and not check.supports for check in CHECKS.values())


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_good_website_turns_it_green_and_each_fault_red(name: str) -> None:
    status, good = judged(CHECKS[name])
    assert status is Status.PASS
    for change in cases.RED[name]:
        status, texts = judged(CHECKS[name], change)
        assert status is Status.FAIL and texts != good
    assert {judged(CHECKS[name], change)[0] for change in cases.GREEN.get(name, [])} <= {Status.PASS}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_what_was_not_looked_at_is_unknown_and_never_good(name: str) -> None:
    assert {judged(CHECKS[name], change)[0] for change in cases.UNKNOWN[name]} == {Status.UNKNOWN}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_it_asks_for_metrics_that_there_are_of_its_own_website_only(name: str) -> None:
    for query in CHECKS[name].collect.queries.values():
        found = re.findall(r"(egov_website_\w+)(\{website=\"\$subject\")?", query.expr)
        assert found and all(metric in TEXTS and own for metric, own in found)


def test_what_the_indicators_do_not_ask_is_in_no_rate_of_theirs() -> None:
    apart = {check.id for check in CHECKS.values() if any(name.startswith("WX-") for name in check.items)}
    assert apart == {"websites-https", "websites-certificate"}
    assert not any(name.startswith("WX-") for name in standards().get("websites-2019").by_id)
