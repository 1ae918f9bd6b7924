"""Grades of classified protection (等保): of information, S, and of service, A; the larger of both is the grade, G."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass

from egovctl.i18n import tr

WRITTEN = re.compile(r"S([1-4])A([1-4])(?:G([1-4]))?")


@dataclass(frozen=True)
class Levels:
    """What a service is graded as. A plain 3 is S3A3G3: what nobody set apart is as the whole."""

    information: int
    service: int

    @property
    def general(self) -> int:
        return max(self.information, self.service)

    def of(self, mark: str) -> int:
        """The level at which control points with this mark (S, A or G) apply."""
        return {"S": self.information, "A": self.service}.get(mark, self.general)

    def __str__(self) -> str:
        return f"S{self.information}A{self.service}G{self.general}"


def levels(grade: int | str) -> Levels:
    """What a grade that was accepted, 3 or S3A2G3, says."""
    if isinstance(grade, int):
        return Levels(grade, grade)
    match = WRITTEN.fullmatch(grade)
    assert match is not None  # noqa: S101 - accepted is what fits
    return Levels(int(match[1]), int(match[2]))


def written_grade(value: object) -> object:
    """A grade as plans and registers hold it: a number as it is, S3A2 as S3A2G3. ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 4:
        return value
    match = WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        shown = reprlib.repr(value)
        raise ValueError(
            tr(
                f"{shown} 不是等级：请写 1 至 4，或分别写出业务信息和系统服务的等级，例如 S3A2",
                f"{shown} is no grade: write 1 to 4, or the grades of information and of service, as in S3A2",
            )
        )
    found = Levels(int(match[1]), int(match[2]))
    if match[3] is not None and int(match[3]) != found.general:
        raise ValueError(
            tr(
                f"{value}：G 应是 S 与 A 中较高的一个，即 {found}",
                f"{value}: G is the larger of S and A, so it is {found}",
            )
        )
    return str(found)
