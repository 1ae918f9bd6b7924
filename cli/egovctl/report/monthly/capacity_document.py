"""The capacity report: which links to widen and when, and the network's performance by county. Words, charts, JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from egovctl.i18n import pick, tr
from egovctl.report.document import Block, Cell, Column, Line, LineChart, Mark, Paragraph, Section, Table
from egovctl.report.document.model import Tone
from egovctl.report.monthly.bandwidth import FULL, HOUR
from egovctl.report.monthly.bandwidth_document import direction_word
from egovctl.report.monthly.capacity import AHEAD, ORDER, SOON, WEEK, WEEKS, Advice, Outlook
from egovctl.report.monthly.performance import CountyPerformance
from egovctl.report.monthly.trend import CONFIDENCE, LEAST
from egovctl.report.monthly.words import OFFSET, Names, interval, per_second

DRAWN = 8
TO_DRAW: tuple[Advice, ...] = ("widen", "watch", "full")
DRAWN_WEEKS = 26  # of what is to come
ADVICE: dict[Advice, dict[str, str]] = {
    "full": {"zh": "已满，应扩容", "en": "full: widen now"},
    "widen": {"zh": "将满，安排扩容", "en": "plan to widen"},
    "watch": {"zh": "关注", "en": "watch"},
    "enough": {"zh": "够用", "en": "enough"},
    "too-short": {"zh": "数据不足", "en": "too little data"},
}
TONES: dict[Advice, Tone] = {
    "full": "bad",
    "widen": "bad",
    "watch": "unknown",
    "enough": "good",
    "too-short": "unknown",
}


def title(month: str) -> str:
    return tr(f"容量与应用绩效评估 {month}", f"capacity and network performance {month}")


def summary(outlooks: Sequence[Outlook]) -> str:
    """One sentence: how many to widen."""
    counts = {advice: sum(item.advice == advice for item in outlooks) for advice in ORDER}
    return tr(
        f"链路 {len(outlooks)} 条：已满 {counts['full']}，一年内将满 {counts['widen']}，关注 {counts['watch']}，"
        f"够用 {counts['enough']}，数据不足 {counts['too-short']}。",
        f"{len(outlooks)} links: {counts['full']} full, {counts['widen']} will be within a year, {counts['watch']} "
        f"to watch, {counts['enough']} enough, {counts['too-short']} with too little data.",
    )


def sections(outlooks: Sequence[Outlook], counties: Sequence[CountyPerformance], names: Names) -> Iterable[Section]:
    """The whole report."""
    ordered = sorted(outlooks, key=_urgency)
    yield Section(
        tr("扩容建议", "What to widen"),
        (_table(ordered, names), *_chart(ordered, names)),
    )
    yield Section(
        tr("应用绩效评估", "Performance of the network"),
        (_performance(counties, names), Paragraph(_unmeasured())),
    )
    yield Section(tr("口径", "How it is reckoned"), (Paragraph(_method()),))


def _urgency(item: Outlook) -> tuple[int, float, float, str]:
    used = (item.now or 0.0) / item.contract
    return ORDER.index(item.advice), item.passes.toordinal() if item.passes else 0.0, -used, item.name


def _table(outlooks: Sequence[Outlook], names: Names) -> Table:
    return Table(
        tr("扩容", "capacity"),
        tr("各链路的较忙方向，最急在前（Mbit/s）", "The busier direction of each link, the most urgent first (Mbit/s)"),
        (
            Column(tr("链路", "link")),
            Column(tr("接口", "interface")),
            Column(tr("方向", "direction")),
            Column(tr("合同", "contract"), "number"),
            Column(tr("目前 95 百分位", "95th percentile now"), "number", 2),
            Column(tr("占合同", "of contract"), "percent", 1),
            Column(tr("年增", "growth a year"), "number", 2),
            Column(tr("周数", "weeks"), "number"),
            Column(tr("建议", "advice"), "mark"),
            Column(tr(f"达到 {FULL:.0%}", f"passes {FULL:.0%}")),
            Column(tr("最早", "earliest")),
            Column(tr("最晚", "latest")),
        ),
        tuple(_row(item, names) for item in outlooks),
        tr("没有链路", "there is no link"),
    )


def _row(item: Outlook, names: Names) -> tuple[Cell, ...]:
    return (
        names.link(item.site, item.peer_site),
        item.name,
        direction_word(item.direction),
        item.contract / 1e6,
        per_second(item.now),
        None if item.now is None else 100 * item.now / item.contract,
        per_second(item.a_year),
        float(len(item.weeks)),
        Mark(pick(ADVICE[item.advice]), TONES[item.advice]),
        item.passes.isoformat() if item.passes else None,
        item.earliest.isoformat() if item.earliest else None,
        (item.latest.isoformat() if item.latest else tr("一年以后", "after a year")) if item.passes else None,
    )


def _chart(outlooks: Sequence[Outlook], names: Names) -> Iterable[Block]:
    drawn = [item for item in outlooks if item.trend is not None]
    # Where the line leads matters most for those that are not there yet.
    chosen = [item for advice in TO_DRAW for item in drawn if item.advice == advice][:DRAWN] or drawn[:2]
    if not chosen:
        return
    yield LineChart(
        tr(
            f"每周 95 百分位占合同的比例（%），趋势及其 {CONFIDENCE:.0%} 预测区间；虚线为 {FULL:.0%}",
            f"Weekly 95th percentile as a share of the contract (%), its trend and the {CONFIDENCE:.0%} interval "
            f"of a new week; dashed: {FULL:.0%}",
        ),
        "; ".join(
            f"{names.line(item.name, item.site)}: {pick(ADVICE[item.advice])}"
            + (f" {item.passes.isoformat()}" if item.passes else "")
            for item in chosen
        ),
        tuple(_line(item, names) for item in chosen),
        "%",
        OFFSET,
        (100 * FULL,),
    )


def _line(item: Outlook, names: Names) -> Line:
    share = 100 / item.contract
    trend, end = item.trend, item.weeks[-1][0]
    assert trend is not None  # noqa: S101 - only such are drawn
    weeks = [round((at - end) / WEEK) for at, _ in item.weeks] + list(range(1, DRAWN_WEEKS + 1))
    return Line(
        names.line(item.name, item.site),
        tuple((at, value * share) for at, value in item.weeks),
        tuple((end + week * WEEK, trend.at(week) * share) for week in weeks),
        tuple(
            (end + week * WEEK, trend.interval(week)[0] * share, trend.interval(week)[1] * share)
            for week in weeks
            if week >= 0
        ),
    )


def _performance(counties: Sequence[CountyPerformance], names: Names) -> Table:
    nothing = tr("未测量", "not measured")
    return Table(
        tr("应用绩效评估", "performance"),
        tr("各区县，本月", "Counties, this month"),
        (
            Column(tr("区县", "county")),
            Column(tr("站点", "sites"), "number"),
            Column(tr("可用率", "availability")),
            Column(tr("兑现 / 未兑现 / 未知", "met / not met / unknown")),
            Column(tr("链路（有数据）", "links (with data)")),
            Column(tr("平均利用率", "mean use"), "percent", 1),
            Column(tr("最忙链路", "busiest link")),
            Column(tr(f"超 {FULL:.0%}（小时）", f"hours above {FULL:.0%}"), "number", 2),
            Column(tr("错包率", "packets with errors"), "percent", 4),
            Column(tr("丢包", "loss")),
            Column(tr("时延", "latency")),
        ),
        tuple(
            (
                names.county(county.name),
                float(county.sites),
                interval(county.share),
                " / ".join(str(county.verdicts[key]) for key in ("met", "not_met", "unknown")),
                f"{county.links} ({county.measured})",
                None if county.used is None else 100 * county.used,
                _busiest(county, names),
                county.full / HOUR if county.measured else None,
                None if county.errors is None else 100 * county.errors,
                nothing,
                nothing,
            )
            for county in counties
        ),
        tr("没有站点", "there is no site"),
    )


def _busiest(county: CountyPerformance, names: Names) -> str | None:
    link = county.busiest
    return None if link is None else f"{names.site(link.site)} {link.used:.0%}"


def _unmeasured() -> str:
    return tr(
        "丢包与时延：本套件没有持续探测端到端丢包和时延的程序，因此不给出数字；错包率是接口计数器所见，不等于丢包。",
        "Loss and latency: nothing in this suite probes them from end to end all the time, so that no figure is given; "
        "packets with errors are what interfaces count, which is not loss.",
    )


def _method() -> str:
    return tr(
        f"取到报表时段末为止的最近 {WEEKS} 周，每周一个 95 百分位（5 分钟平均值，至少有半周数据），以最小二乘作直线；"
        f"预测区间为 {CONFIDENCE:.0%}（学生 t 分布），少于 {LEAST} 周不预测。"
        f"“已满”：直线现已高于合同的 {FULL:.0%}；“将满”：增长超出偶然，且直线在 {AHEAD} 周内越过；"
        f"“最早”“最晚”为区间上、下沿越过之日；“关注”：只有上沿在 {SOON} 周内越过。更远的将来不作判断。"
        "平均利用率是各链路较忙方向 95 百分位占合同比例的平均。",
        f"Of the last {WEEKS} weeks before the end of the period, each with the 95th percentile of its means of 5 "
        "minutes (if half of them are there), a straight line by least squares; the interval is that of a new "
        f"week, {CONFIDENCE:.0%} by Student's t; with fewer than {LEAST} weeks nothing is predicted. Full: the "
        f"line is above {FULL:.0%} of the contract now. To widen: it grows by more than chance explains and passes "
        f"that within {AHEAD} weeks; earliest and latest are when the ends of the interval do. Watch: only the "
        f"upper end does, within {SOON} weeks. Nothing is said of later. Mean use is that of the links' busier "
        "directions, 95th percentile by contract.",
    )


def as_json(outlooks: Sequence[Outlook], counties: Sequence[CountyPerformance]) -> dict[str, Any]:
    """For programs; bits per second, ratios, dates."""
    return {
        "full_from_ratio": FULL,
        "confidence": CONFIDENCE,
        "links": [
            {
                "name": item.name,
                "site": item.site,
                "peer_site": item.peer_site,
                "county": item.county,
                "contract_bits_per_second": item.contract,
                "direction": item.direction,
                "weeks": [{"end": at, "p95_bits_per_second": value} for at, value in item.weeks],
                "now_bits_per_second": item.now,
                "growth_bits_per_second_a_year": item.a_year,
                "advice": item.advice,
                "passes": item.passes and item.passes.isoformat(),
                "earliest": item.earliest and item.earliest.isoformat(),
                "latest": item.latest and item.latest.isoformat(),
            }
            for item in outlooks
        ],
        "counties": [
            {
                "name": county.name,
                "sites": county.sites,
                "availability_percent": {"low": county.share.low, "high": county.share.high},
                "verdicts": dict(county.verdicts),
                "links": county.links,
                "links_measured": county.measured,
                "used_ratio": county.used,
                "busiest_link": county.busiest and county.busiest.name,
                "full_seconds": county.full,
                "packet_errors_ratio": county.errors,
                "loss_ratio": None,
                "latency_seconds": None,
            }
            for county in counties
        ],
    }
