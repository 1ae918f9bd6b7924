"""Computed registers as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from egovctl.assess.recovery import Consistency, Levels
from egovctl.assess.risk import Business, Frequency, Risk, Tables
from egovctl.assess.software import TARGETS, Line, Rate
from egovctl.checks.model import Check
from egovctl.evidence import Record
from egovctl.i18n import pick, tr
from egovctl.report.tables import plain_table, short_time

COLOURS = {5: "bold red", 4: "red", 3: "yellow"}
CLASSES = {
    "system": {"zh": "操作系统", "en": "operating systems"},
    "office": {"zh": "办公软件", "en": "office software"},
    "anti-virus": {"zh": "杀毒软件", "en": "anti-virus software"},
}
REACHED = {
    True: {"zh": "达到", "en": "reached"},
    False: {"zh": "未达到", "en": "MISSED"},
    None: {"zh": "不能确定", "en": "cannot be said"},
}
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def risk_table(known: Tables, rows: Iterable[Risk], checks: Mapping[str, Check]) -> Table:
    """A line a risk, worst first; the levels behind it in the order in which they are worked out."""
    heads = (
        tr("资产", "asset"),
        tr("威胁", "threat"),
        tr("脆弱性", "weakness"),
        "T",
        "Av",
        "L",
        "Vc",
        "Di",
        "F",
        tr("风险", "risk"),
    )
    table = plain_table(*heads, wrap=(1, 2), title=f"{known.title} ({known.document})")
    for row in rows:
        check = checks.get(row.check)
        what = tr("不成立：", "not so: ") + f"{check.title if check else row.check}\n{row.check}"
        numbers = (_often(row.frequency), row.easy, row.likelihood, row.value, row.damage, row.loss)
        words = (row.asset, str(known.threats[row.threat]), what, *map(str, numbers))
        table.add_row(*map(escape, words), _level(row.level))
    return table


def _often(frequency: Frequency) -> str:
    return f"{frequency.level}?" if frequency.assumed else str(frequency.level)


def _level(level: int) -> str:
    colour = COLOURS.get(level)
    return f"[{colour}]{level}[/]" if colour else str(level)


def business_table(rows: Iterable[Business]) -> Table:
    """A line a service."""
    table = plain_table(
        tr("业务", "service"), tr("等级", "grade"), tr("业务风险", "business risk"), tr("该级条数", "lines so bad")
    )
    for row in rows:
        table.add_row(row.service, str(row.grade), _level(row.level), str(row.worst))
    return table


def risk_notes(known: Tables, record: Record, rows: Sequence[Risk]) -> list[str]:
    """What the register rests on, and what in it is not the standard's."""
    run, at = record.body["run"], short_time(record.at)
    lines = [
        tr(
            f"自查。脆弱性来自测评 {run}（{at}），共 {len(rows)} 条。",
            f"Self-assessment. Weaknesses are those of assessment {run} ({at}); {len(rows)} lines.",
        ),
        tr(
            "L、F、R 三张表的单元格均为本套件自定（未见标准原文），单调递增；等级 1 至 5。",
            "All cells of the tables L, F and R are ours, the standard's text was not at hand; levels 1 to 5.",
        ),
    ]
    if any(row.frequency.assumed for row in rows):
        lines.append(
            tr(
                f"T 带 ? 的是假定值 {known.assumed}：没有登记事件（registers/incidents.yml）。",
                f"T with ? is assumed to be {known.assumed}: nobody keeps registers/incidents.yml.",
            )
        )
    return lines


def recovery_table(known: Levels, rows: Iterable[Consistency]) -> Table:
    """A line a service: times as promised and as measured, and the level that the worse of both are consistent with."""
    heads = (
        tr("业务", "service"),
        tr("RTO（实测）", "RTO (measured)"),
        tr("RPO（实测）", "RPO (measured)"),
        tr("等级", "level"),
    )
    table = plain_table(*heads, title=f"{known.title} ({known.document})")
    for row in rows:
        level = str(row.level or tr("无", "none")) + ("" if row.measured else tr(" 仅承诺", " promised"))
        rto, rpo = (f"{_span(a)} ({_span(b)})" for a, b in ((row.rto_promised, row.rto), (row.rpo_promised, row.rpo)))
        table.add_row(row.service, rto, rpo, level)
    return table


def recovery_lines(known: Levels, rows: Iterable[Consistency]) -> list[str]:
    """A sentence a service: what its level still needs."""
    lines = []
    for row in rows:
        missing = tr("、", ", ").join(str(known.elements[name]) for name in row.missing)
        missing = missing or tr("机器可见的都有", "none that a machine sees")
        if not row.level:
            lines.append(
                tr(f"{row.service}：RTO/RPO 不符合任何一级", f"{row.service}: RTO/RPO consistent with no level")
            )
            continue
        lines.append(
            tr(
                f"{row.service}：RTO/RPO 符合第 {row.level} 级，缺少的要素：{missing}",
                f"{row.service}: RTO/RPO consistent with level {row.level}, elements missing: {missing}",
            )
        )
    return lines


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def recovery_notes(known: Levels) -> list[str]:
    """What the table does not prove."""
    return [
        tr(
            "自查。时间一致不等于达到该级：还须具备全部要素；各级数值凭 2007 版记忆，未与标准核对。",
            "Self-assessment. Times alone prove no level: it needs all elements. Numbers are from memory of the "
            "edition of 2007 and were not compared with the standard.",
        )
    ]


def software_table(rates: Iterable[Rate]) -> Table:
    """A line a class: the bounds, and whether the targets are reached."""
    goals = [f"{target:.0%}" for target in TARGETS]
    heads = (tr("类别", "class"), tr("已装", "installed"), tr("有授权", "covered"), tr("正版率", "rate"), *goals)
    table = plain_table(*heads, title=tr("软件正版化（自查）", "Genuine software (self-assessment)"))
    for rate in rates:
        share = "-" if rate.low is None or rate.high is None else f"{rate.low:.1%} - {rate.high:.1%}"
        words = [pick(REACHED[rate.reaches(target)]) if rate.low is not None else "-" for target in TARGETS]
        table.add_row(pick(CLASSES[rate.kind]), str(rate.installed), str(rate.covered), share, *words)
    return table


def product_table(rows: Iterable[Line]) -> Table:
    """A line a product, those that lack most first within their class."""
    heads = (
        tr("产品", "product"),
        tr("类别", "class"),
        tr("已装", "installed"),
        tr("授权", "entitled"),
        tr("缺", "short"),
    )
    table = plain_table(*heads, wrap=(0,))
    for row in rows:
        held = tr("免费", "free") if row.held is None else str(row.held)
        table.add_row(
            escape(row.product), pick(CLASSES[row.kind]), str(row.installed), held, str(row.installed - row.covered)
        )
    return table


def software_notes(hosts: int, others: int, unreached: int) -> list[str]:
    """Who was counted, and what the bounds mean."""
    return [
        tr(
            f"{hosts} 台主机已查询，文件中有 {others} 台计算机，{unreached} 台未查到：下限按未授权计，上限按已授权计。",
            f"{hosts} hosts were asked, {others} computers stand in files, {unreached} were not reached: they "
            "count as not covered below, as covered above.",
        ),
        tr(
            "授权清单没有列出的产品不属于这三类，不计入。",
            "Products that the list of entitlements does not name are of none of the three classes and not counted.",
        ),
    ]
