"""A straight line through weekly figures, where it leads to, and how sure that is: least squares, Student's t.

Plain on purpose: with half a year of weeks nothing finer can be told from chance, and a line can be argued with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LEAST = 6  # points: fewer leave an interval that says nothing
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Trend:
    """y = intercept + slope x, with what the interval of a prediction at x is reckoned from."""

    intercept: float
    slope: float
    spread: float
    mean_x: float
    sum_xx: float
    count: int

    def at(self, x: float) -> float:
        """Where the line is."""
        return self.intercept + self.slope * x

    def interval(self, x: float) -> tuple[float, float]:
        """Between what a new week at x will be in CONFIDENCE of cases, if it goes on like this."""
        error = self.spread * math.sqrt(1 + 1 / self.count + (x - self.mean_x) ** 2 / self.sum_xx)
        reach = student(self.count - 2, CONFIDENCE) * error
        return self.at(x) - reach, self.at(x) + reach

    @property
    def grows(self) -> bool:
        """Whether the slope is above 0 by more than chance explains, in CONFIDENCE of cases."""
        return self.slope > student(self.count - 2, CONFIDENCE) * self.spread / math.sqrt(self.sum_xx)


def fit(points: Sequence[tuple[float, float]]) -> Trend | None:
    """The line through (x, y); None of fewer than LEAST points, or where all have one x."""
    count = len(points)
    if count < LEAST:
        return None
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    sum_xx = sum((x - mean_x) ** 2 for x, _ in points)
    if sum_xx == 0:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum_xx
    intercept = mean_y - slope * mean_x
    left = sum((y - intercept - slope * x) ** 2 for x, y in points)
    return Trend(intercept, slope, math.sqrt(left / (count - 2)), mean_x, sum_xx, count)


@lru_cache(maxsize=256)
def student(freedom: int, confidence: float) -> float:
    """Student's t: within ± this lie `confidence` of the cases. By bisection on the distribution, to 1e-9."""
    low, high = 0.0, 1e4
    while high - low > 1e-9 * max(1.0, high):
        middle = (low + high) / 2
        if _inside(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _inside(t: float, freedom: int) -> float:
    """The probability of [-t, t]: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    if freedom % 2:
        total, term = 0.0, cosine
        for number in range(1, freedom - 1, 2):
            total += term
            term *= (number + 1) / (number + 2) * cosine**2
        return 2 / math.pi * (angle + (sine * total if freedom > 1 else 0.0))
    total, term = 0.0, 1.0
    for number in range(0, freedom - 1, 2):
        total += term
        term *= (number + 1) / (number + 2) * cosine**2
    return sine * total
