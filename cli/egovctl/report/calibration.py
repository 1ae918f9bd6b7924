"""A calibration as a table for people."""

from __future__ import annotations

from rich.table import Table

from egovctl.drill.calibration.score import Score, Share
from egovctl.i18n import tr
from egovctl.report.tables import plain_table


def table(result: Score) -> Table:
    """One row a kind of fault: how many were found, and how often the cause was named."""
    shown = plain_table(
        tr("故障", "fault"),
        tr("发现", "found"),
        tr("原因正确", "cause named"),
        tr("误判为", "named instead"),
        wrap=(3,),
    )
    for row in result.rows:
        instead = ", ".join(f"{cause} {count}" for cause, count in row.instead.items())
        shown.add_row(row.kind, _share(row.found), _share(row.named), instead or "-")
    if result.rows:
        shown.add_row(tr("合计", "all"), _share(result.found), _share(result.named), "")
    return shown


def summary(result: Score, blind: int) -> str:
    """The last line: false alarms, and how many verdicts are proven to be blind."""
    low, high = result.alarms.interval
    return tr(
        f"无故障 {result.alarms.of} 次，误报 {result.alarms.count} 次（95 %：{low:.1%}-{high:.1%}）；"
        f"{blind} 个结论在揭示前已记录",
        f"{result.alarms.of} clean runs, {result.alarms.count} false alarms (95 %: {low:.1%}-{high:.1%}); "
        f"{blind} verdicts on record before the seal was opened",
    )


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.count}/{share.of} [{low:.0%}-{high:.0%}]"
