"""Reading a room: one sentence with file and line for whatever is wrong; texts and rules from what is right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egovctl.i18n import set_language
from egovctl.plan import PlanError
from egovctl.signals import plain_rules, read_room, rules_of
from egovctl.signals.texts import longest, placeholders, template, ucs2

SIGNALS = """\
signals:
  - name: disk:free:ratio
    title: {zh: 剩余, en: Free}
    unit: ratio
    thresholds: {low: 0.1}
    expr: |
      a
        / b
"""
ALERTS = """\
alerts:
  - name: EgovDiskLow
    signal: disk:free:ratio
    compare: "< low"
    unless: [maintenance]
    for: 10m
    severity: warning
    summary: {zh: "磁盘将满：{host}", en: "Disk low: {host}"}
    description: {zh: "{site} 剩 {value}", en: "{value} left at {site}"}
"""


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language(None)


def room(folder: Path, signals: str = SIGNALS, alerts: str = ALERTS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "signals.yml").write_text(signals, encoding="utf-8")
    (folder / "alerts.yml").write_text(alerts, encoding="utf-8")
    return folder


def test_a_room_becomes_its_signals_and_then_its_alerts(tmp_path: Path) -> None:
    (group,) = rules_of(read_room(room(tmp_path / "disks")))["groups"]
    record, alert = group["rules"]
    assert group["name"] == "egov-disks"
    assert record == {"record": "disk:free:ratio", "expr": "a / b"}
    assert alert["expr"] == "(disk:free:ratio < 0.1) unless on (site) egov_maintenance"
    assert (alert["for"], alert["labels"]) == ("10m", {"severity": "warning", "room": "disks"})
    assert alert["annotations"]["summary"] == "Disk low: {{ $labels.host }}"
    assert "humanizePercentage" in alert["annotations"]["description_zh"]
    assert alert["annotations"]["runbook"] == "dashboards/disks/runbook.md#egovdisklow"


@pytest.mark.parametrize(
    ("file", "find", "put", "line", "fault"),
    [
        (
            "alerts",
            "signal: disk",
            "signal: disc",
            3,
            "is of signal disc:free:ratio, which signals.yml beside it has not",
        ),
        ("alerts", '"< low"', '"< lower"', 4, "signal disk:free:ratio has no threshold lower"),
        ("alerts", '"< low"', '"low"', 4, "it has characters that are not allowed there"),
        ("alerts", '    compare: "< low"\n', "", 2, "a signal goes with compare, an expr has its comparison in it"),
        ("alerts", '    compare: "< low"\n', "    expr: a < 1\n", 2, "needs either signal or expr, and not both"),
        ("alerts", "[maintenance]", "[sleep]", 5, "it must be one of"),
        ("alerts", "Disk low: {host}", "Disk low: {the host}", 8, "{the host} in summary of alert EgovDiskLow is no"),
        ("alerts", ", en: ", ", de: ", 8, "key 'en' is missing in alert EgovDiskLow, summary"),
        ("alerts", "severity: warning", "severity: bad", 7, "severity of alert EgovDiskLow is 'bad'"),
        ("signals", "disk:free:ratio", "diskFree", 2, "it has characters that are not allowed there"),
        ("signals", "unit: ratio", "unit: furlongs", 4, "unit of signal disk:free:ratio is 'furlongs'"),
    ],
)
def test_what_is_wrong_is_a_sentence_with_file_and_line(
    tmp_path: Path, file: str, find: str, put: str, line: int, fault: str
) -> None:
    texts = {"signals": SIGNALS, "alerts": ALERTS}
    assert find in texts[file]
    texts[file] = texts[file].replace(find, put, 1)
    with pytest.raises(PlanError) as caught:
        read_room(room(tmp_path / "disks", **texts))
    said = caught.value.faults[0]
    assert said.startswith(f"{tmp_path}/disks/{file}.yml:{line}: ") and fault in said, said


def test_names_given_twice_are_told(tmp_path: Path) -> None:
    twice = room(tmp_path / "a", alerts=ALERTS + ALERTS.removeprefix("alerts:\n"))
    with pytest.raises(PlanError, match=r"alerts\.yml:10: alert EgovDiskLow is there twice; take one out"):
        read_room(twice)
    twice = room(tmp_path / "b", signals=SIGNALS + SIGNALS.removeprefix("signals:\n"))
    with pytest.raises(PlanError, match=r"signals\.yml:9: signal disk:free:ratio is there twice"):
        read_room(twice)


def test_a_room_of_prometheus_own_rules_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text("groups: [{name: x, rules: []}]\n", encoding="utf-8")
    assert plain_rules(tmp_path) == {"groups": [{"name": "x", "rules": []}]}
    assert plain_rules(room(tmp_path / "disks")) is None


@given(st.text(alphabet=st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=80))
def test_a_text_without_placeholders_stays_as_it_is(text: str) -> None:
    assert placeholders(text) == []
    assert template(text, "count", "zh") == longest(text, "count", {}) == text
    assert len(text) <= ucs2(text) <= 2 * len(text)


def test_a_message_is_measured_at_its_longest() -> None:
    known = {"site": ["民勤县", "天祝藏族自治县"]}
    assert longest("中断：{site}{more}", "count", known) == "中断：天祝藏族自治县 (+999)"
    assert ucs2("𠮷") == 2  # outside the basic plane: two units of a text message
