"""Registers are read strictly, and what cannot be read is named; the journals' words survive whatever is in them."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import register_cases as cases
from hypothesis import given
from hypothesis import strategies as st

from egovctl.checks.collect import alerts
from egovctl.checks.collect import registers as collector
from egovctl.checks.collect.base import Request
from egovctl.checks.context import open_context
from egovctl.checks.model import Collect
from egovctl.checks.registers import journals
from egovctl.checks.registers.entries import KINDS, plain, registers
from egovctl.errors import CannotMeasure, UsageError
from egovctl.paths import Inventory

GOOD = """id: incidents
entries:
  - {day: 2026-03-01, by: Li Ming, threat: attack, what: scan of the portal}
  - day: 2026-03-02
    by: Li Ming
    threat: failure
    what: disk of noc
    closed: 2026-03-04
    cause: age
    lesson: a spare lies ready
"""


def read(tmp_path: Path, text: str, kind: str = "incidents") -> Any:
    (tmp_path / f"{kind}.yml").write_text(text, encoding="utf-8")
    return registers(tmp_path)


def test_a_register_is_read_and_read_again_after_it_was_written_to(tmp_path: Path) -> None:
    assert len(read(tmp_path, GOOD).entries["incidents"].entries) == 2
    more = GOOD + "  - {day: 2026-03-05, by: Li, threat: leak, what: mail to the wrong office}\n"
    assert len(read(tmp_path, more).entries["incidents"].entries) == 3
    assert registers(tmp_path / "none").entries == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("threat: attack", "threat: weather", "threat"),
        ("what: scan of the portal", "what: scan, where: portal", "where"),
        ("day: 2026-03-01", "day: yesterday", "day"),
        ("day: 2026-03-01", "day: 20260301", "day"),
        ("by: Li Ming, ", "", "by"),
        ("    cause: age\n", "", "a cause and a lesson"),
        ("by: Li Ming, ", "kind: trainings, by: Li Ming, ", "entries"),
        ("entries:", "entries: [", "not YAML"),
        ("id: incidents", "id: accidents", "there is no such register"),
    ],
)
def test_a_broken_register_is_named_with_its_line_and_nothing_is_judged_by_it(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    shelf = read(tmp_path, GOOD.replace(old, new, 1))
    reason = shelf.broken["incidents"]["en"]
    assert said in reason and "incidents.yml:" in reason
    found = collector.facts(cases.changed(cases.GOOD, kept=shelf), ("incidents",))
    assert isinstance(found, CannotMeasure) and "incidents.yml:" in str(found)


@pytest.mark.parametrize(
    ("old", "new", "zh", "en"),
    [
        ("threat: attack", "threat: weather", "应为 'failure'、'environment'、", "Input should be 'failure', "),
        ("day: 2026-03-01", "day: yesterday", "应为日期", "Input should be a valid date"),
        ("by: Li Ming, ", "", "缺少此键", "Field required"),
        ("what: scan of the portal", "what: scan, where: portal", "没有这个键", "Extra inputs are not permitted"),
        ("what: scan of the portal", "what: ''", "至少 1 个字符", "String should have at least 1 character"),
        ("    cause: age\n", "", "有误：已关闭的事件应有原因", "Value error, a closed incident has a"),
        ("id: incidents", "id: accidents", "文件 有误：没有这种登记；有：", "Value error, there is no such register"),
        ("by: Li Ming, ", "kind: trainings, by: Li Ming, ", "缺少此键", "Field required"),
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_wrong_is_said_in_the_readers_language_and_kept_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, old: str, new: str, zh: str, en: str
) -> None:
    monkeypatch.setenv("EGOV_LANG", language)
    shelf = read(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        shelf.get("incidents")
    said, kept = str(caught.value), shelf.broken["incidents"]
    assert said == kept[language] and zh in kept["zh"] and en in kept["en"]
    assert not re.search("[a-z]+ [a-z]+ [a-z]+", kept["zh"].partition("有误")[2]), "no English in Chinese"


def test_what_is_mended_cannot_be_more_than_was_found(tmp_path: Path) -> None:
    entry = "{day: 2026-01-01, by: a, body: b, report: c, services: [d], findings: 1, mended: 2}"
    text = f"id: evaluations\nentries: [{entry}]\n"
    reason = read(tmp_path, text, "evaluations").broken["evaluations"]
    assert "more is mended" in reason["en"] and "已整改的多于发现的" in reason["zh"]


@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.integers(-4000, 4000))
def test_days_are_counted_back_from_today(today: date, days: int) -> None:
    entry = cases.register("incidents", [cases.ENTRIES["incidents"][0]]).entries[0]
    told = plain(entry.model_copy(update={"day": today - timedelta(days=days), "closed": None}), today)
    assert told["days"] == days and told["closed"] == "" and "kind" not in told


def test_every_kind_has_its_entries_and_a_class_of_its_own() -> None:
    assert len(set(KINDS)) == len(KINDS) == 22 and set(cases.ENTRIES) == set(KINDS)


@given(st.floats(-1000, 1000))
def test_what_is_from_the_future_counts_as_never(days: float) -> None:
    at = cases.record("x", days, {}).at
    assert journals.days_since(at, cases.NOW) == (journals.NEVER if days < -5 / 1440 else max(0, int(days + 1e-8)))


def test_the_collector_reads_the_plan_and_the_evidence_of_a_city(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Inventory, "state", property(lambda self: tmp_path))
    context = open_context(Inventory(cases.LAB))
    wanted = Collect(by="registers", sections=("people", "applies", "exercises", "evidence", "trainings"))
    ((facts,),) = [list(one.values()) for one in collector.collect(context, [Request("x", ("lab",), wanted)])]
    assert isinstance(facts, dict)
    seen = facts["seen"]
    assert seen["people"]["security"] == 1 and seen["applies"]["count"] == 0 and seen["evidence"]["ok"]
    assert seen["exercises"]["never"] and not seen["trainings"]["kept"]
    assert facts["planned"]["administrators"] == cases.MANAGERS
    unknown = collector.facts(collector.gathered(context), ("weather",))
    assert isinstance(unknown, CannotMeasure) and "weather" in str(unknown)


RULES = {
    "groups": [
        {
            "rules": [
                {"type": "recording", "name": "a:b"},
                {"type": "alerting", "name": "Watchdog", "health": "ok", "state": "firing"},
                {"type": "alerting", "name": "EgovDrift", "health": "err", "state": "inactive"},
            ]
        }
    ]
}


def test_alert_rules_are_told_apart() -> None:
    assert alerts.seen(RULES, {"activeAlertmanagers": [{"url": "x"}]}) == {
        "alerts": ["EgovDrift", "Watchdog"],
        "ill": ["EgovDrift"],
        "firing": ["Watchdog"],
        "managers": 1,
    }


@pytest.mark.parametrize(
    ("rules", "managers"),
    [
        ({}, {}),
        (RULES, {}),
        ({"groups": [{}]}, {"activeAlertmanagers": []}),
        ({"groups": 5}, {"activeAlertmanagers": []}),
    ],
)
def test_an_answer_about_rules_that_is_none_is_not_measured(rules: Any, managers: Any) -> None:
    with pytest.raises(CannotMeasure):
        alerts.seen(rules, managers)
