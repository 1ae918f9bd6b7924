"""Count what a calibration judged: found, cause named, false alarms, each with its 95 % interval, against the goals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import Any

from egovctl.drill.calibration.run import Judged

Z = 1.959964  # two-sided 95 %
FOUND_GOAL, WORST_GOAL, NAMED_GOAL = 0.99, 0.90, 0.95
MET = "met"


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval at 95 %; all of it when nothing was counted."""
        if not self.of:
            return 0.0, 1.0
        share, number = self.value, self.of
        middle = (share + Z * Z / (2 * number)) / (1 + Z * Z / number)
        half = Z * sqrt(share * (1 - share) / number + Z * Z / (4 * number * number)) / (1 + Z * Z / number)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Row:
    """One kind of fault. `instead` counts the causes that were named first in place of the right one."""

    kind: str
    title: dict[str, str]
    found: Share
    named: Share
    seconds: float
    instead: dict[str, int]


@dataclass(frozen=True)
class Score:
    """All of a calibration."""

    rows: tuple[Row, ...]
    found: Share
    named: Share
    alarms: Share  # clean runs that were not called met

    @property
    def missed(self) -> list[dict[str, str]]:
        """The goals that were missed, in both languages; none when all were kept."""
        goals = []
        if self.rows:
            worst = min(self.rows, key=lambda row: row.found.value)
            goals += [
                ("发现率", "found", self.found.value, FOUND_GOAL),
                (f"最差故障 {worst.kind} 发现率", f"found of {worst.kind}, the worst,", worst.found.value, WORST_GOAL),
                ("原因判断正确率", "cause named", self.named.value, NAMED_GOAL),
            ]
        said = [
            {"zh": f"{zh} {value:.1%}，目标 ≥ {goal:.0%}", "en": f"{en} {value:.1%}, the goal is ≥ {goal:.0%}"}
            for zh, en, value, goal in goals
            if value < goal
        ]
        if self.alarms.count:
            number = f"{self.alarms.count}/{self.alarms.of}"
            said.append({"zh": f"误报 {number}，目标为 0", "en": f"false alarms {number}, the goal is none"})
        return said


def found(one: Judged) -> bool:
    """Whether a case was judged as its label asks: a fault is never met, and unknown only where nothing can be said."""
    return one.verdict == str(one.label["verdict"])


def named(one: Judged) -> bool:
    """Whether the first cause is a right one."""
    return one.causes[:1] != () and one.causes[0] in one.label["causes"]


def score(judged: Iterable[Judged]) -> Score:
    """Count them."""
    faults: dict[str, list[Judged]] = {}
    clean: list[Judged] = []
    for one in sorted(judged, key=lambda one: str(one.label["kind"])):
        if one.label["kind"] is None:
            clean.append(one)
        else:
            faults.setdefault(one.label["kind"], []).append(one)
    rows = tuple(_row(kind, ones) for kind, ones in faults.items())
    every = [one for ones in faults.values() for one in ones]
    return Score(
        rows,
        Share(sum(map(found, every)), len(every)),
        Share(sum(map(named, every)), len(every)),
        Share(sum(not found(one) for one in clean), len(clean)),
    )


def _row(kind: str, ones: Sequence[Judged]) -> Row:
    wrong = Counter(one.causes[0] if one.causes else "none" for one in ones if not named(one))
    return Row(
        kind,
        ones[0].label["title"],
        Share(sum(map(found, ones)), len(ones)),
        Share(sum(map(named, ones)), len(ones)),
        round(median(one.seconds for one in ones), 1),
        dict(wrong),
    )


def as_body(result: Score) -> dict[str, Any]:
    """What goes into the evidence."""
    return {
        "found": [result.found.count, result.found.of],
        "named": [result.named.count, result.named.of],
        "false_alarms": [result.alarms.count, result.alarms.of],
        "kinds": {row.kind: [row.found.count, row.named.count, row.found.of] for row in result.rows},
        "missed": result.missed,
    }
