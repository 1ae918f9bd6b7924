"""The bench of the wall: its history is whole, its copies are cities, its tables say what was missed.

If a case here passes wrongly, a published figure was measured on something that is no city.
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parsed

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "bench" / "wall"), str(TESTS / "contract")]

import growth  # noqa: E402
import history  # noqa: E402
import wall_tables  # noqa: E402
from played_city import Played  # noqa: E402

BEGIN = 1_700_000_000 // history.HEAD * history.HEAD


@given(st.integers(0, 20 * 86_400), st.integers(1, 10 * 86_400))
def test_blocks_follow_one_another_and_are_aligned(begin: int, wide: int) -> None:
    found = list(history.spans(begin, begin + wide))
    assert found[0][0] == begin and found[-1][1] == begin + wide
    assert all(one[1] == other[0] and one[1] % history.BLOCK == 0 for one, other in itertools.pairwise(found))
    assert all(0 < end - start <= history.BLOCK for start, end in found)


@given(st.floats(0.01, 1e9), st.integers(0, 10_000))
def test_counters_grow_and_by_what_was_seen(gain: float, number: int) -> None:
    one = history.Series("x_total{}", "x_total", 5.0, gain, number, history.OTHERS)
    values = [float(text) for text in one.values(range(BEGIN, BEGIN + 3 * history.DAY, history.OTHERS), BEGIN)]
    assert all(later >= earlier for earlier, later in itertools.pairwise(values))
    assert values[-1] - values[0] == pytest.approx(gain * 3 * history.DAY, rel=0.01, abs=2)


def test_what_is_written_has_each_sample_once(tmp_path: Path) -> None:
    series = [
        history.Series('a:b:c{link="x"}', "a:b:c", 0.25, 0.0, 1, history.CHARTED),
        history.Series('a:b:c{link="y"}', "a:b:c", 0.25, 0.0, 2, history.CHARTED),
        history.Series("up{}", "up", 1.0, 0.0, 3, history.OTHERS),
    ]
    span = (BEGIN, BEGIN + 7200)
    count = history.write(tmp_path / "om", series, span, BEGIN)
    lines = (tmp_path / "om").read_text().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert lines[-1] == "# EOF" and [line for line in lines if "TYPE" in line] == [
        "# TYPE a:b:c unknown",
        "# TYPE up unknown",
    ]
    assert count == len(samples) == len(set(samples)) == 2 * 7200 // history.CHARTED + 7200 // history.OTHERS
    assert all(span[0] <= int(line.rpartition(" ")[2]) < span[1] for line in samples)


def test_what_boards_draw_over_time_is_kept_finely() -> None:
    assert {"link:usage:ratio", "link:receive_bits:rate2m", "site:state:max"} <= history.charted_signals()
    assert "host:up:max" not in history.charted_signals()


def test_copies_are_cities_of_their_own_that_say_the_same() -> None:
    copies = growth.Copies(Played.of("lab"), 3)
    texts = [copies.text(number) for number in range(3)]
    found = []
    for text in texts:
        series = [
            (sample.name, tuple(sorted(sample.labels.items()))) for family in parsed(text) for sample in family.samples
        ]
        # What a label is called twice, Prometheus refuses with the whole answer.
        assert not re.search(r'[{,]([a-z_]+)="[^"]*",(?:[^\n]*,)?\1="', text)
        assert len(set(series)) == len(series)
        found.append(set(series))
    assert len(found[0]) == len(found[1]) and not found[0] & found[1] and not found[1] & found[2]
    hosts = {dict(labels)["host"] for _, labels in found[0]}
    assert hosts <= set(copies.played.city.hosts) and {f"k2-{host}" for host in hosts} == {
        dict(labels)["host"] for _, labels in found[2]
    }
    assert {name for name, _ in found[0]} >= {"up", "ifHCInOctets", "node_time_seconds", "scrape_duration_seconds"}


def test_a_goal_that_is_missed_or_not_measured_is_said() -> None:
    about = {"cpus": 2, "prometheus": "2.42", "python": "3.11", "date": "d", "revision": "r", "loads": [0.5]}
    queries = {"wall": {"queries": 1, "median_ms": 1.0, "worst_ms": 900.0, "slowest": "x", "slowest_ms": 1.0}}
    text = wall_tables.markdown({"about": about, "queries": queries})
    assert "Goal MET: a query of the wall, median" in text and "Goal MISSED: a query of the wall, worst" in text
    assert "Goal not measured: first paint of the wall with data, median" in text
    assert "| wall | 1 | 1.0 | 900 | x: 1.0 ms |" in text


def test_the_page_has_a_place_for_the_tables() -> None:
    page = wall_tables.PAGE.read_text(encoding="utf-8")
    assert page.count(wall_tables.BEGIN) == page.count(wall_tables.END) == 1
