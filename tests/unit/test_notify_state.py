"""Incidents and messages: one when it begins, one when it ends, whatever order, repetition and restart comes between.

If these fail, people on call are woken twice, or not at all, or for what is not theirs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_peers import alert, config, person, posted

from egov_notify import lanes, state, texts
from egov_notify.config import Config
from egov_notify.lanes import BOUND, WINDOW, Lanes
from egov_notify.state import JOINS, LEASE, State, hear
from egov_notify.store import DEAD, STATE, Store

NOW = 1_800_000_000.0


def told(found: State) -> list[tuple[str, str, str]]:
    return [(item.recipient, item.way, item.what) for item in found.waiting]


def over(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "status": "resolved"}


def test_an_incident_is_told_once_and_once_when_it_ends() -> None:
    one = State()
    for seconds in (0, 300, 43_200):  # a repetition of Alertmanager's, and one after hours
        hear(one, config(), posted(alert()), NOW + seconds)
    hear(one, config(), posted(over(alert())), NOW + 43_300)
    hear(one, config(), posted(over(alert())), NOW + 43_301)
    assert told(one) == [("duty", "mail", "open"), ("duty", "mail", "end")]
    begin, end = one.waiting
    assert begin.subject == "[某市] 告警：中断：民勤县汇聚节点（+4）"
    assert end.subject == "[某市] 恢复：中断：民勤县汇聚节点（+4），历时12小时1分钟"
    assert "所有主机都没有应答。" in begin.body and "runbook.md#egovsitedown" in begin.body
    assert not one.incidents


def test_an_end_without_a_beginning_is_told_to_nobody() -> None:
    one = State()
    hear(one, config(), posted(over(alert())), NOW)
    assert told(one) == []


def test_what_joins_soon_is_part_of_it_what_is_worse_or_late_is_news() -> None:
    one, mild = State(), alert("EgovLinkErrors", "m", severity="warning")
    hear(one, config(), posted(mild), NOW)
    hear(one, config(), posted(mild, alert("EgovDrift", "d", severity="warning")), NOW + 60)
    assert [item.what for item in one.waiting] == ["open"]
    hear(one, config(), posted(mild, alert()), NOW + 120)
    assert [item.what for item in one.waiting] == ["open", "news"]
    hear(one, config(), posted(mild, alert(), alert("EgovDisk", "x", severity="warning")), NOW + 121 + JOINS)
    hear(one, config(), posted(mild, alert(), alert("EgovDisk", "x", severity="warning")), NOW + 500 + JOINS)
    assert [item.what for item in one.waiting] == ["open", "news", "news"]


def watchdogs(one: State, begin: float, end: float) -> None:
    """The Watchdog every five minutes, as Alertmanager repeats it."""
    while begin <= end:
        hear(one, config(), posted(alert("Watchdog"), receiver="watchdog"), begin)
        begin += 300


def test_an_incident_that_is_repeated_no_more_has_ended_though_nobody_said_so() -> None:
    """A restart of Prometheus and Alertmanager at once loses the end of what ends meanwhile."""
    one = State()
    watchdogs(one, NOW - 3600, NOW)
    hear(one, config(), posted(alert()), NOW)
    watchdogs(one, NOW, NOW + LEASE)
    assert [item.what for item in one.waiting] == ["open"]
    watchdogs(one, NOW + LEASE + 1, NOW + LEASE + 1)
    assert [item.what for item in one.waiting] == ["open", "end"]
    assert one.waiting[1].subject.endswith("，历时20分钟") and not one.incidents
    hear(one, config(), posted(alert()), NOW + LEASE + 60)
    assert [item.what for item in one.waiting] == ["open", "end", "open"], "and the next one is told"


def test_what_still_fires_and_is_repeated_goes_on_for_days() -> None:
    one = State()
    for minutes in range(0, 3 * 24 * 60, 10):
        watchdogs(one, NOW + minutes * 60, NOW + minutes * 60 + 300)
        hear(one, config(), posted(alert()), NOW + minutes * 60)
    assert [item.what for item in one.waiting] == ["open"]


def test_nothing_ends_while_alerts_do_not_flow_nor_soon_after() -> None:
    one = State()
    watchdogs(one, NOW - 3600, NOW)
    hear(one, config(), posted(alert()), NOW)
    back = NOW + 7200  # the NOC was off for two hours; the hub still is
    watchdogs(one, back, back + 900)
    hear(one, config(), posted(alert()), back + 950)
    watchdogs(one, back + 1200, back + 1800)
    assert [item.what for item in one.waiting] == ["open"]


def test_who_is_told_follows_county_severity_and_rota() -> None:
    people = config(
        person("all"),
        person("minqin", counties=["minqin"]),
        person("gulang", counties=["gulang"]),
        person("worst", severities=["critical"], ways=["sms"], language="en"),
        person("first"),
        person("second"),
        rota={"begin": NOW, "turn": 100, "order": ["first", "second"]},
    )

    def names(now: float, found: dict[str, Any]) -> list[str]:
        one = State()
        hear(one, people, found, now)
        return [item.recipient for item in one.waiting]

    assert names(NOW, posted(alert())) == ["all", "minqin", "worst", "first"]
    assert names(NOW + 150, posted(alert(severity="warning"))) == ["all", "minqin", "second"]
    assert names(NOW + 250, posted(alert(), site="core")) == ["all", "worst", "first"], "the centre is no county's"
    assert names(NOW - 999, posted(alert())) == ["all", "minqin", "worst", "first"]


def test_the_end_goes_to_who_was_told_of_the_beginning_whoever_is_on_call_by_then() -> None:
    people = config(person("first"), person("second"), rota={"begin": NOW, "turn": 100, "order": ["first", "second"]})
    one = State()
    hear(one, people, posted(alert()), NOW)
    hear(one, people, posted(over(alert())), NOW + 150)
    assert told(one) == [("first", "mail", "open"), ("first", "mail", "end")]


def test_nobody_is_told_of_the_watchdog() -> None:
    one = State()
    hear(one, config(), posted(alert("Watchdog"), receiver="watchdog"), NOW)
    assert told(one) == [] and one.watchdog == NOW


@pytest.mark.parametrize("nonsense", [{}, {"receiver": "x"}, [], "x", None, {**posted(alert()), "alerts": [{}]}])
def test_what_is_no_notification_is_refused(nonsense: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        hear(State(), config(), nonsense, NOW)


LABELS = st.text(min_size=0, max_size=120)


@given(zh=LABELS, en=LABELS, others=st.integers(0, 5000), seconds=st.floats(0, 1e7), prefix=st.integers(0, 30))
def test_a_text_message_is_one_message_whatever_the_alert_says(
    zh: str, en: str, others: int, seconds: float, prefix: int
) -> None:
    found = {**alert(), "annotations": {"summary": en, "summary_zh": zh}}
    for language in ("zh", "en"):
        lead = texts.summary(found, language)
        for what, lasted in (("open", None), ("news", None), ("end", seconds)):
            said = texts.short(what, lead, others, language, 70 - prefix, lasted)
            assert texts.ucs2(said) <= 70 - prefix and "\n" not in said and said


@given(st.lists(LABELS, max_size=60), st.lists(LABELS, max_size=60))
def test_a_summary_of_a_storm_is_one_message(opened: list[str], ended: list[str]) -> None:
    for language in ("zh", "en"):
        assert texts.ucs2(texts.summed(opened, ended, language, 62)) <= 62


def storm(people: Config, count: int) -> State:
    one = State()
    for number in range(count):
        hear(one, people, posted(alert(mark=str(number)), site=f"site{number}"), NOW)
    return one


def drain(one: State, people: Config, now: float) -> list[tuple[str, int]]:
    """(what, how many it stands for) of all that goes out at once."""
    found, ways = [], Lanes()
    while (batch := ways.next(one, people, "mail", now)[0]) is not None:
        found.append((batch.message.what, len(batch.covers)))
        ways.went(one, batch, now)
    return found


def test_a_storm_is_few_messages_and_every_incident_is_in_one() -> None:
    people = config()
    one = storm(people, 40)
    out = drain(one, people, NOW)
    assert out == [*[("open", 1)] * (BOUND - 1), ("sum", 40 - BOUND + 1)]
    assert one.waiting == []
    hear(one, people, posted(alert(), site="late"), NOW + 1)
    assert drain(one, people, NOW + 1) == [], "the bound holds"
    assert 0 < Lanes().next(one, people, "mail", NOW + 1)[1] <= WINDOW
    assert drain(one, people, NOW + WINDOW + 1) == [("open", 1)]


def test_the_sum_names_what_it_stands_for() -> None:
    people = config()
    one = storm(people, 3)
    one.sent["mail duty"] = [NOW] * (BOUND - 1)
    batch, _ = Lanes().next(one, people, "mail", NOW)
    assert batch is not None and batch.message.subject.startswith("[某市] 告警汇总：新增 3 起，恢复 0 起：")
    assert batch.message.body.count("== ") == 3


def test_a_lane_that_fails_pauses_longer_and_longer_and_others_go_on() -> None:
    people = config(person("one"), person("two"))
    one, ways = State(), Lanes()
    hear(one, people, posted(alert()), NOW)
    pauses, now = [], NOW
    for number in range(8):
        batch, _ = ways.next(one, people, "mail", now)
        assert batch is not None and batch.message.recipient == "one"
        pauses.append(ways.failed(batch, now))
        if number == 0:
            batch, _ = ways.next(one, people, "mail", now)
            assert batch is not None and batch.message.recipient == "two"
            ways.went(one, batch, now)
        assert ways.next(one, people, "mail", now) == (None, pauses[-1])
        now += pauses[-1]
    assert pauses == sorted(pauses) and pauses[0] == 15 and pauses[-1] == 300
    assert [item.recipient for item in one.waiting] == ["one"]


def test_messages_of_a_day_are_given_up_and_counted() -> None:
    one = State()
    hear(one, config(), posted(alert()), NOW)
    assert lanes.too_old(one, "mail", NOW + 86_000) == []
    old = lanes.too_old(one, "mail", NOW + 87_000)
    assert [item.what for item in lanes.give_up(one, old)] == ["open"] and one.dead == 1 and one.waiting == []


def test_the_state_comes_back_from_the_disk_as_it_was(tmp_path: Path) -> None:
    one = State()
    hear(one, config(), posted(alert()), NOW)
    one.sent["mail duty"] = [NOW]
    store = Store(tmp_path)
    store.save(one)
    assert store.load() == one and (tmp_path / STATE).stat().st_mode & 0o777 == 0o600
    assert not store.lost


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "incidents": {"x": {}}}'])
def test_a_state_that_cannot_be_read_is_kept_aside_and_said(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE).write_text(text)
    store = Store(tmp_path)
    assert store.load() == State() and store.lost
    (aside,) = tmp_path.glob(f"{STATE}.unreadable-*")
    assert aside.read_text() == text


def test_the_dead_are_noted_for_a_person(tmp_path: Path) -> None:
    one = State()
    hear(one, config(), posted(alert()), NOW)
    Store(tmp_path).bury(one.waiting, "the relay refused the recipient with 550")
    line = json.loads((tmp_path / DEAD).read_text())
    assert line["recipient"] == "duty" and "550" in line["why"]
    assert state.read(state.dump(one)) == one
