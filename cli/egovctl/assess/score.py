"""What the verdicts come to: rates and conclusions, each as an interval between all unknown failing and all passing.

Two templates. The newer one (reports dated after 2025-03-20) has a rate and major hazards; whether a partial counts 0
or a half it does not say, so both are given. The older one deducts for defects; its formula is from memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from egovctl.assess.verdict import BAD, OPEN, Judged, Verdict

CONFORMS, BASICALLY, NOT = "conforms", "basically", "does_not"
GOOD, FAIR = 0.9, 0.6
WEIGHTS = (1, 3)  # of a defect in the older template, from ordinary to key; which item has which is not in our lists
TECHNICAL = frozenset({"physical", "network", "boundary", "computing", "centre"})
MARKS = ((90, "excellent"), (80, "good"), (70, "medium"))


@dataclass(frozen=True)
class Interval:
    """From what is sure to what is possible."""

    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """All that is printed of one assessment."""

    counts: dict[str, int]
    applicable: int
    rate_partial_0: Interval
    rate_partial_half: Interval
    without_accepted: Interval
    hazards: Interval
    conclusion: tuple[str, str]
    deducted: Interval
    grade: tuple[str, str]


def score(judged: list[Judged], areas: dict[str, str], hazards: Iterable[Judged]) -> Score:
    """Given all verdicts, the area of each requirement, and the verdicts on the list of hazards, if there is one."""
    counts = Counter(one.verdict.value for one in judged)
    hazard = _hazards(list(hazards))
    zero, half = rate(judged, 0.0), rate(judged, 0.5)
    deducted = older(judged, areas)
    return Score(
        {verdict.value: counts[verdict.value] for verdict in Verdict},
        len(judged) - counts[Verdict.NOT_APPLICABLE.value],
        zero,
        half,
        rate([one for one in judged if one.accepted is None], 0.0),
        hazard,
        (conclude(zero.low, hazard.high, strict=True), conclude(half.high, hazard.low, strict=False)),
        deducted,
        (mark(deducted.low, hazard.high), mark(deducted.high, hazard.low)),
    )


def rate(judged: list[Judged], partial: float) -> Interval:
    """The share of the applicable requirements that are met; 0 to 1 when none applies, as nothing is known then."""
    counts = Counter(one.verdict for one in judged)
    unknown = sum(counts[verdict] for verdict in OPEN)
    # What may still turn out not to apply leaves the share of the others; it lies between these two all the same.
    applicable = len(judged) - counts[Verdict.NOT_APPLICABLE]
    if not applicable:
        return Interval(0.0, 1.0)
    sure = counts[Verdict.MET] + partial * counts[Verdict.PARTLY]
    return Interval(sure / applicable, (sure + unknown) / applicable)


def _hazards(judged: list[Judged]) -> Interval:
    present = sum(one.verdict in BAD for one in judged)
    return Interval(present, present + sum(one.verdict in OPEN for one in judged))


def conclude(share: float, hazards: float, *, strict: bool) -> str:
    """The newer template's conclusion. What a hazard does to a good rate is not sure: strictly it decides alone."""
    if hazards and strict:
        return NOT
    if share > GOOD and not hazards:
        return CONFORMS
    return BASICALLY if share >= FAIR else NOT


def older(judged: list[Judged], areas: dict[str, str]) -> Interval:
    """Of 100: half for technical, half for management requirements, less a share a defect times its weight."""
    counted = [one for one in judged if one.verdict is not Verdict.NOT_APPLICABLE]
    if not counted:
        return Interval(0.0, 100.0)
    bounds = []
    for open_value, weight in ((0.0, WEIGHTS[1]), (1.0, WEIGHTS[0])):
        value = {Verdict.MET: 1.0, Verdict.PARTLY: 0.5, Verdict.NOT_MET: 0.0}
        value |= dict.fromkeys(OPEN, open_value)
        total = 0.0
        for technical in (True, False):
            part = [one for one in counted if (areas[one.item] in TECHNICAL) is technical]
            lost = sum(1 - value[one.verdict] for one in part) * weight * 100 / len(counted)
            total += max(0.0, 50 - lost)
        bounds.append(total)
    return Interval(bounds[0], bounds[1])


def mark(points: float, hazards: float) -> str:
    """The word of the older template; a major hazard makes it the last one."""
    if hazards:
        return "poor"
    return next((name for least, name in MARKS if points >= least), "poor")
