"""Whole months of samples out of Prometheus: range queries in pieces that it answers and that fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from egovctl.errors import CannotMeasure
from egovctl.i18n import told
from egovctl.prometheus import ask, evaluated_each, result_of

Labels = dict[str, str]
MOST_POINTS = 2880  # a series and answer: Prometheus gives 11,000 at most; so many of a whole city fit into memory
SECONDS = 300.0


@dataclass(frozen=True)
class Source:
    """A Prometheus, and how often its rules are evaluated (seconds): recorded signals have a sample so often."""

    url: str
    step: int

    @classmethod
    def at(cls, url: str) -> Source:
        """The one at `url`, asked how often it evaluates; CannotMeasure without an answer that fits."""
        url = url.rstrip("/")
        every, step = evaluated_each(ask(url, "status/config", {}))
        if step is None or step < 1 or step % 1 or 3600 % step:
            raise CannotMeasure(
                told(
                    f"{url} 的 Prometheus 每 {every} 计算一次规则；报表要求它能整除一小时",
                    f"Prometheus at {url} evaluates rules every {every}; a report needs a whole part of an hour",
                )
            )
        return cls(url, int(step))

    def range(
        self, expression: str, begin: int, end: int, step: int
    ) -> Iterator[tuple[Labels, list[tuple[int, float]]]]:
        """(labels, [(second, value)]) of each series at begin, begin + step ... end; a long range in several pieces."""
        while begin <= end:
            last = min(end, begin + (MOST_POINTS - 1) * step)
            fields = {"query": expression, "start": str(begin), "end": str(last), "step": str(step)}
            for series in result_of(self.url, ask(self.url, "query_range", fields, timeout=SECONDS), "matrix"):
                values = [(int(at), float(text)) for at, text in series["values"]]
                yield series["metric"], [item for item in values if math.isfinite(item[1])]
            begin = last + step


def within(metric: str, seconds: int) -> str:
    """A range of exactly this length: Prometheus counts both its ends, so that a millisecond is taken off."""
    return f"{metric}[{seconds * 1000 - 1}ms]"
