"""Computed registers as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from egovctl.assess.recovery import Consistency, Levels
from egovctl.assess.risk import Business, Coverage, Frequency, Risk, Tables
from egovctl.assess.software import TARGETS, Line, Rate
from egovctl.checks.model import Check
from egovctl.evidence import Record
from egovctl.i18n import pick, tr
from egovctl.report.tables import plain_table, short_time
from egovctl.report.words import STATUS, STYLE, word

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


def _level(level: int, before: str = "") -> str:
    colour = COLOURS.get(level)
    return f"[{colour}]{before}{level}[/]" if colour else f"{before}{level}"


def business_table(rows: Iterable[Business]) -> Table:
    """A line a service: its risk, or the least that it can be, and how many of its checks were not measured."""
    table = plain_table(
        tr("业务", "service"),
        tr("等级", "grade"),
        tr("业务风险", "business risk"),
        tr("该级条数", "lines so bad"),
        tr("未测到的检查", "checks not measured"),
    )
    for row in rows:
        if row.level is None:
            level = f"[{STYLE['unknown']}]{word(STATUS, 'unknown')}[/]"
        else:
            level = _level(row.level, ">= " if row.least else "")
        table.add_row(row.service, str(row.grade), level, str(row.worst), _of(row.not_measured, row.checks))
    return table


def _of(part: int, whole: int) -> str:
    return tr(f"{whole} 项中 {part} 项", f"{part} of {whole}")


def risk_notes(
    known: Tables, records: Sequence[Record], rows: Sequence[Risk], measured: Coverage, *, graded: bool
) -> list[str]:
    """What the register rests on, and what in it is not the standard's. `records` are those of the assessments, oldest
    first; `graded`: they are of grading objects."""
    lines = [
        _rests_on(records, len(rows)),
        tr(
            "L、F、R 三张表的单元格均为本套件自定（未见标准原文），单调递增；等级 1 至 5。",
            "All cells of the tables L, F and R are ours, the standard's text was not at hand; levels 1 to 5.",
        ),
    ]
    assumed = [row.frequency for row in rows if row.frequency.assumed]
    if any(one.incidents is None for one in assumed):
        lines.append(
            tr(
                f"T 带 ? 的是假定值 {known.assumed}：没有登记事件（registers/incidents.yml）。",
                f"T with ? is assumed to be {known.assumed}: nobody keeps registers/incidents.yml.",
            )
        )
    if any(one.outages is None for one in assumed):
        lines.append(
            tr(
                f"T 带 ? 的是假定值 {known.assumed}：主机的中断次数未知（Prometheus 没有应答，或没有该主机的数据）。",
                f"T with ? is assumed to be {known.assumed}: how often the host was down is not known, as Prometheus "
                "does not answer or has no data of it.",
            )
        )
    if missed := measured.not_measured.total():
        share = _of(missed, measured.checks.total())
        lines.append(
            tr(
                f"{share}检查没有测到，因此没有列出；业务风险带 >= 的是下限，“未知”的业务自身没有测到任何一项。",
                f"{share} checks were not measured and give no line: a business risk with >= is the least that it can "
                "be, and of an unknown one nothing of the service's own was measured.",
            )
        )
    if graded:
        lines.append(
            tr(
                "按定级对象测评：只含各对象自己的主机和全市共有的检查，其他主机不在其中。",
                "Assessed by grading object: of their own hosts and what is the city's; other hosts are not in it.",
            )
        )
    return lines


def _rests_on(records: Sequence[Record], count: int) -> str:
    """Which assessment, or which several."""
    runs = {record.body["run"] for record in records}
    run, at, first = records[-1].body["run"], short_time(records[-1].at), short_time(records[0].at)
    if len(runs) == 1:
        return tr(
            f"自查。脆弱性来自测评 {run}（{at}），共 {count} 条。",
            f"Self-assessment. Weaknesses are those of assessment {run} ({at}); {count} lines.",
        )
    return tr(
        f"自查。脆弱性来自 {len(runs)} 次测评（{first} 至 {at}），共 {count} 条。",
        f"Self-assessment. Weaknesses are those of {len(runs)} assessments ({first} to {at}); {count} lines.",
    )


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


def software_notes(hosts: int, others: int, unreached: int, *, recorded: bool) -> list[str]:
    """Who was counted, what the bounds mean, and whether the count is on record."""
    lines = [
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
    if not recorded:
        lines.append(
            tr(
                "没有主机报告其软件包，因此未记入证据：自查仍以上一次记录的统计为准。",
                "No host told its packages, so this is not put on record: self-assessments go by the last count there.",
            )
        )
    return lines
