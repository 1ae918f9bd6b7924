"""Grading objects as tables: how each is graded, what applies to it, what its last self-assessment came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from egovctl.assess.objects import LISTS, Graded
from egovctl.assess.score import Interval
from egovctl.i18n import tr
from egovctl.plan.grades import Levels
from egovctl.report.assessment import CONCLUSIONS, percent, span
from egovctl.report.tables import plain_table, short_time
from egovctl.report.words import word


@dataclass(frozen=True)
class Row:
    """One grading object and what its assessment came to; `at` where it is told when that was."""

    standard: Graded
    score: Mapping[str, Any]
    at: str = ""


def object_table(rows: Sequence[Row]) -> Table:
    """One row a grading object, as it is graded and judged."""
    columns = [tr("定级对象", "object"), tr("定级", "graded"), tr("适用", "apply"), tr("符合", "met")]
    columns += [tr("部分", "partly"), tr("不符合", "not met"), tr("待定", "open"), tr("符合率", "rate")]
    columns += [tr("隐患", "hazards"), tr("结论", "conclusion")]
    when = [tr("时间 (UTC+8)", "time (UTC+8)")] if any(row.at for row in rows) else []
    table = plain_table(
        *columns, *when, wrap=(0, 9), title=tr("自查 · 各定级对象", "Self-assessment of each grading object")
    )
    for row in rows:
        score, counts = row.score, row.score["counts"]
        ends = [word(CONCLUSIONS, name) for name in score["conclusion"]]
        table.add_row(
            row.standard.service,
            row.standard.graded,
            str(score["applicable"]),
            *(str(counts[name]) for name in ("met", "partly", "not_met")),
            str(counts["unknown"] + counts["needs_statement"]),
            percent(Interval(**score["rate_partial_0"])),
            span(*(f"{score['hazards'][end]:.0f}" for end in ("low", "high"))),
            span(ends[0], ends[1]),
            *([short_time(row.at)] if row.at else []),
        )
    return table


def graded_table(found: Sequence[Graded], left: Mapping[str, Levels]) -> Table:
    """The grading objects, and from which list how many requirements apply."""
    lists = [tr(f"第{'二' if level == 2 else '三'}级", f"level {level}") for level in LISTS]
    table = plain_table(
        tr("定级对象", "object"),
        tr("定级", "graded"),
        *lists,
        tr("合计", "all"),
        title=tr("定级对象", "Grading objects"),
    )
    for one in found:
        counts = Counter(item.id[:2] for _, _, item in one.walk())
        table.add_row(one.service, one.graded, *(str(counts[f"L{level}"] or "·") for level in LISTS), str(one.items))
    for service, levels in left.items():
        table.add_row(service, str(levels), *("·" for _ in LISTS), tr("没有清单", "no list"))
    return table
