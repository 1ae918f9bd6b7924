"""Monthly figures: percentile, trend and interval against what is known of them; missing data count as neither."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egovctl.commands.main import main
from egovctl.errors import UsageError
from egovctl.i18n import set_language
from egovctl.plan.models import SITE_AVAILABILITY, SiteKind
from egovctl.report.monthly.availability import Share
from egovctl.report.monthly.bandwidth import percentile95
from egovctl.report.monthly.capacity import AHEAD, WEEK, Outlook, outlook
from egovctl.report.monthly.month import read_month
from egovctl.report.monthly.tracks import Grid, Track, any_up
from egovctl.report.monthly.trend import fit, student
from egovctl.report.monthly.words import percent

NOW = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
END = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
slot_sets = st.sets(st.integers(0, 199))


def bits(slots: set[int]) -> int:
    return sum(1 << slot for slot in slots)


def test_a_month_is_the_citys() -> None:
    month = read_month("2026-10", NOW)
    assert month.begin.isoformat() == "2026-10-01T00:00:00+08:00" and month.over
    assert month.seconds == 31 * 86_400
    assert read_month("2025-12", NOW).end.isoformat() == "2026-01-01T00:00:00+08:00"
    assert read_month("2024-02", NOW).seconds == 29 * 86_400


def test_a_month_that_is_not_over_ends_now() -> None:
    month = read_month("2026-11", NOW)
    assert not month.over and month.seconds == 25 * 86_400 + 12 * 3600


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "10-2026", "2026-10-01", "", "２０２６-10", "2026-10\n"])
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(UsageError):
        read_month(text, NOW)


def test_a_month_to_come() -> None:
    with pytest.raises(UsageError):
        read_month("2026-12", NOW)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=200))
def test_the_95th_percentile_leaves_out_at_most_5_per_cent(values: list[float]) -> None:
    found = percentile95(values)
    assert found in values
    above = sum(value > found for value in values)
    assert above <= 0.05 * len(values)
    # And the next smaller value would leave out more than that, or there is none.
    at_least = sum(value >= found for value in values)
    assert at_least > 0.05 * len(values) - 1e-9


def test_the_95th_percentile_of_a_month_as_carriers_count() -> None:
    # 8,640 means of 5 minutes in 30 days: the highest 432 are free.
    values = [1.0] * (8640 - 432) + [100.0] * 432
    assert percentile95(values) == 1.0
    assert percentile95([*values[1:], 100.0]) == 100.0
    assert percentile95([]) is None


@settings(deadline=None)
@given(slot_sets, slot_sets, slot_sets, slot_sets)
def test_a_thing_of_two_is_down_only_when_both_are_known_to_be(
    up1: set[int], down1: set[int], up2: set[int], down2: set[int]
) -> None:
    grid = Grid(0, 15, 200)
    first, second = Track(bits(up1), bits(down1 - up1)), Track(bits(up2), bits(down2 - up2))
    both = any_up((first, second), grid)
    assert both.up == bits(up1 | up2)
    assert both.down == bits((down1 - up1) & (down2 - up2))
    assert both.up & both.down == 0


@settings(deadline=None)
@given(slot_sets)
def test_runs_are_the_slots_again(slots: set[int]) -> None:
    grid = Grid(1000, 15, 200)
    runs = list(grid.runs(bits(slots)))
    seen = {slot for begin, end in runs for slot in range((begin - 1000) // 15, (end - 1000) // 15)}
    assert seen == slots
    assert all(first[1] < second[0] for first, second in pairwise(runs))
    assert grid.seconds(bits(slots)) == 15 * len(slots)


@settings(deadline=None)
@given(st.integers(-500, 4000), st.integers(-500, 4000))
def test_a_window_covers_each_slot_that_it_touches(first: int, second: int) -> None:
    grid = Grid(0, 15, 200)
    begin, end = sorted((first, second))
    expected = {slot for slot in range(200) if begin < (slot + 1) * 15 and slot * 15 < end}
    assert grid.between(begin, end) == bits(expected)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_interval_is_all_unknown_down_and_all_unknown_up(up: int, down: int, unknown: int) -> None:
    share = Share(up, down, unknown)
    total = up + down + unknown
    if not total:
        assert share.low is share.high is None and share.against(99.0) == "unknown"
        return
    assert (share.low, share.high) == (100 * up / total, 100 * (up + unknown) / total)
    for promise in (50.0, 99.5, 99.9):
        certain = {Share(up + extra, down + unknown - extra, 0).against(promise) for extra in (0, unknown)}
        assert share.against(promise) == (certain.pop() if len(certain) == 1 else "unknown")


def test_a_promise_kept_to_the_second_is_kept() -> None:
    month = 30 * 86_400
    assert Share(month - 2592, 2592, 0).against(99.9) == "met"
    assert Share(month - 2593, 2593, 0).against(99.9) == "not_met"
    assert Share(month - 2592, 0, 2592).against(99.9) == "met"
    assert Share(month - 3000, 0, 3000).against(99.9) == "unknown"


def test_time_of_maintenance_is_in_no_share() -> None:
    assert Share(50, 50, 0, maintenance=900).low == 50.0
    assert percent(99.9999) == "99.999" and percent(100.0) == "100.000" and percent(99.9) == "99.900"


@pytest.mark.parametrize(
    ("freedom", "confidence", "expected"),
    [
        (1, 0.9, 6.313752),
        (2, 0.95, 4.302653),
        (4, 0.9, 2.131847),
        (5, 0.95, 2.570582),
        (24, 0.9, 1.710882),
        (30, 0.99, 2.749996),
    ],
)
def test_students_t_as_in_the_tables(freedom: int, confidence: float, expected: float) -> None:
    assert student(freedom, confidence) == pytest.approx(expected, abs=2e-6)


def test_a_line_through_points_on_a_line_is_that_line() -> None:
    trend = fit([(float(x), 3.0 + 2.0 * x) for x in range(-10, 1)])
    assert trend is not None and trend.grows
    assert (trend.slope, trend.at(5.0)) == (pytest.approx(2.0), pytest.approx(13.0))
    low, high = trend.interval(5.0)
    assert high - low < 1e-6
    assert fit([(float(x), 1.0) for x in range(5)]) is None, "five weeks say nothing"
    assert fit([(1.0, 1.0)] * 10) is None


def test_the_interval_covers_as_often_as_it_says() -> None:
    chance = random.Random(20261101)
    covered = 0
    for _ in range(2000):
        points = [(float(x), 10 + 0.3 * x + chance.gauss(0, 2)) for x in range(-25, 1)]
        trend = fit(points)
        assert trend is not None
        low, high = trend.interval(8.0)
        covered += low <= 10 + 0.3 * 8 + chance.gauss(0, 2) <= high
    # 1800 expected; five standard deviations of a binomial are 67.
    assert abs(covered - 1800) < 67


def test_noise_without_growth_is_seldom_called_growth() -> None:
    chance = random.Random(5)
    called = 0
    for _ in range(1000):
        trend = fit([(float(x), 50 + chance.gauss(0, 5)) for x in range(-25, 1)])
        called += trend is not None and trend.grows
    assert called < 80, "5 % of cases are above the interval"


def link(weekly: float, now: float, *, noise: float = 0.0, weeks: int = 26) -> Outlook:
    chance = random.Random(3)
    points = tuple(
        (END - WEEK * back, now - weekly * back + chance.gauss(0, noise)) for back in range(weeks - 1, -1, -1)
    )
    return outlook(Outlook("l:up0", "l", "hub", None, 100, "receive", points, None, "too-short"), END)


def test_advice() -> None:
    growing = link(1.0, 60.0)
    # 20 weeks from 60 to 80 of 100; on the day after it is above that.
    assert (growing.advice, growing.passes) == ("widen", date(2027, 3, 22))
    assert link(0.0, 90.0).advice == "full"
    assert link(0.0, 30.0).advice == "enough"
    assert link(-1.0, 60.0).advice == "enough"
    assert link(0.0, 78.0, noise=4.0).advice == "watch"
    assert link(1.0, 60.0, weeks=5).advice == "too-short"
    assert link(0.0, 90.0, weeks=2).advice == "full"
    assert link(20 / (AHEAD + 5), 60.0).advice == "enough", "that is more than a year away"


def test_early_and_late_are_around_the_day() -> None:
    noisy = link(1.0, 60.0, noise=3.0)
    assert noisy.earliest is not None and noisy.passes is not None
    assert noisy.earliest < noisy.passes and (noisy.latest is None or noisy.passes < noisy.latest)


def test_every_kind_of_site_has_a_promise() -> None:
    assert set(SITE_AVAILABILITY) == set(SiteKind.__args__)  # type: ignore[attr-defined]
    assert all(0 < value < 100 and not math.isnan(value) for value in SITE_AVAILABILITY.values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--month", "2026-13"], "is no month"),
        (["--month", "2098-01"], "has not begun"),
        (["--month", "2026-01", "--out", "report.doc"], "does not say a format"),
        (["--month", "2026-01", "--prometheus", "noc:9090"], "is no address"),
        (["--month", "2026-01", "--out", "no/such/report.pdf"], "there is no folder"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EGOV_PROJECT", str(Path(__file__).resolve().parents[2]))
    monkeypatch.chdir(tmp_path)
    arguments = arguments if "--out" in arguments else [*arguments, "--out", "report.html"]
    with pytest.raises(SystemExit) as left:
        main(["--lang", "en", "report", "availability", "-i", "lab", *arguments])
    set_language(None)
    error = capsys.readouterr().err
    assert left.value.code == 2 and said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
