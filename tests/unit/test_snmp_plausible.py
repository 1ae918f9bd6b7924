"""Counters that cannot be believed are counted; those that can never are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egov_exporters.snmp.plausible import Watch
from egov_exporters.snmp.values import MANTISSA


def reading(octets: list[int], **changes: Any) -> dict[str, list[float]]:
    """Two gigabit ports."""
    base: dict[str, list[float]] = {
        "ifHCInOctets": list(octets),
        "ifHCOutOctets": [0, 0],
        "ifHighSpeed": [1000, 1000],
        "ifCounterDiscontinuityTime": [0, 0],
        "sysUpTime": [1000],
    }
    return base | changes


def watched(*steps: tuple[dict[str, list[float]], float], rows: Any = "rows") -> Watch:
    """A watch that saw these readings at these times."""
    watch = Watch()
    for numbers, at in steps:
        watch.look(numbers, rows, at)
    return watch


@given(st.integers(0, MANTISSA - 1), st.floats(6, 900), st.floats(0, 1))
def test_what_a_link_can_carry_is_believed(start: int, seconds: float, share: float) -> None:
    """Also over the place where float64 ends and the counter wraps."""
    step = int(1e9 / 8 * seconds * share)
    watch = watched((reading([start, 5]), 100), (reading([(start + step) % MANTISSA, 5]), 100 + seconds))
    assert (watch.implausible, watch.discontinuities) == (0, 0)


def test_a_terabit_spike_is_counted_once() -> None:
    """One port makes a step of 10 TB in 15 s; the next reading is normal again."""
    watch = watched(
        (reading([0, 0]), 100), (reading([10**13, 10**6]), 115), (reading([10**13 + 10**6, 2 * 10**6]), 130)
    )
    assert watch.implausible == 1


def test_a_counter_that_goes_back_is_not_believed() -> None:
    """Without a word of the device: a reset that it does not admit."""
    assert watched((reading([10**9, 0]), 100), (reading([10, 0]), 115)).implausible == 1


@pytest.mark.parametrize(
    ("changes", "discontinuities"),
    [
        ({"sysUpTime": [5]}, 1),
        ({"ifCounterDiscontinuityTime": [99, 0]}, 1),
        ({"ifCounterDiscontinuityTime": [99, 98]}, 2),
    ],
)
def test_a_break_that_the_device_admits_is_no_lie(changes: dict[str, list[float]], discontinuities: int) -> None:
    """A restart, or counters that began anew."""
    watch = watched((reading([10**9, 0]), 100), (reading([10, 0], **changes), 115))
    assert (watch.implausible, watch.discontinuities) == (0, discontinuities)


def test_uptime_that_begins_anew_is_no_restart() -> None:
    """After 497 days."""
    watch = watched((reading([0, 0], sysUpTime=[2**32 - 5]), 100), (reading([9, 0], sysUpTime=[9]), 115))
    assert watch.discontinuities == 0


def test_other_rows_unknown_speeds_and_short_times_say_nothing() -> None:
    """A port more, a tunnel without a speed, two scrapes within a second (the next one is compared with the first)."""
    watch = Watch()
    watch.look(reading([0, 0]), "a", 100)
    watch.look(reading([10**15, 0]), "b", 115)
    assert watch.implausible == 0
    assert (
        watched((reading([0, 0], ifHighSpeed=[0, 0]), 100), (reading([10**15, 0], ifHighSpeed=[0, 0]), 115)).implausible
        == 0
    )
    watch = watched((reading([0, 0]), 100), (reading([10**15, 0]), 101), (reading([10**15, 0]), 115))
    assert watch.implausible == 1
