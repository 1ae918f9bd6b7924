"""make test-long: a handful of the bench's seeds on a real host: each is noticed, and taken away without a trace.

If this fails, the recall in docs/assessment-measured.md is of another suite than this one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import CityLab

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench" / "assess"))
import planting
import seeds

from egovctl.checks.context import open_context

pytestmark = [pytest.mark.lab, pytest.mark.long]
CHOSEN = (
    "ssh-strict-modes",
    "pam-open",
    "route-localnet",
    "web-server",
    "setuid-shell",
    "rescue-shell",
    "stranger-peer",
)


def test_seeds_are_noticed_and_taken_away_without_a_trace(city_lab: CityLab) -> None:
    chosen = [seed for seed in seeds.read() if seed.id in CHOSEN]
    assert len(chosen) == len(CHOSEN)
    told = planting.run(open_context(city_lab.inventory), chosen, None, 0)
    assert [seed["id"] for seed in told["seeds"] if not seed["checks"]] == []
    assert not told["left_behind"] and not told["false_alarms"]
