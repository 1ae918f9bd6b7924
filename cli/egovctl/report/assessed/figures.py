"""What a self-assessment comes to: the score between its bounds, what would narrow it, areas, and the trend."""

from __future__ import annotations

from collections import Counter

from egovctl.assess.run import ORDER
from egovctl.assess.score import Interval
from egovctl.assess.verdict import BAD, OPEN, Verdict
from egovctl.i18n import tr
from egovctl.report.assessed.gather import Assessed, Point
from egovctl.report.assessed.items import record_link, verdict
from egovctl.report.assessment import CONCLUSIONS, VERDICTS, percent, span
from egovctl.report.document import Bar, BarChart, Block, Cell, Column, Links, Mark, Paragraph, Section, Table
from egovctl.report.monthly.month import ZONE
from egovctl.report.words import word


def summary(found: Assessed) -> str:
    """One sentence that an office can quote."""
    score = found.score
    bad = sum(score.counts[name.value] for name in BAD)
    opened = sum(score.counts[name.value] for name in OPEN)
    said = tr(
        f"自查：适用 {score.applicable} 项要求，符合 {score.counts['met']} 项，不符合或部分符合 {bad} 项，"
        f"待定 {opened} 项；"
        f"符合率 {percent(score.rate_partial_0)}。",
        f"Self-assessment: of {score.applicable} requirements that apply {score.counts['met']} are met, {bad} are not "
        f"met or in part, {opened} are open; the rate is {percent(score.rate_partial_0)}.",
    )
    if found.past.run.results is not None:
        return said
    lost = (
        tr("结果文件与证据链中的散列不符", "The file of results is not the one whose hash is in the chain")
        if found.past.run.found
        else tr("结果文件缺失", "The file of results is gone")
    )
    return (
        lost + tr("，以下只有链中的判定，没有依据。", ": only the verdicts in the chain are left, no reasons. ") + said
    )


def conclusion(found: Assessed, *, charts: bool) -> Section:
    """The score by both templates, and the areas."""
    blocks: list[Block] = [
        Paragraph(
            tr(
                "每个数都是区间：下限把一切未知算作不符合，上限把一切未知算作符合。只有有资质的测评机构才能出具等级测评结论，本报告是自查。",
                "Each figure is an interval: at least, were all that is unknown not met; at most, were all of it met. "
                "Only licensed bodies assess; this is a self-assessment.",
            )
        ),
        _scores(found),
    ]
    if charts:
        blocks.append(_area_chart(found))
    return Section(tr("结论", "Conclusion"), (*blocks, _areas(found)))


def _scores(found: Assessed) -> Table:
    score = found.score
    rows = [
        (tr("符合率，部分符合计 0", "rate, partly counts 0"), *_ends(score.rate_partial_0)),
        (tr("符合率，部分符合计 ½", "rate, partly counts ½"), *_ends(score.rate_partial_half)),
        (tr("符合率，不计已接受的风险", "rate, accepted risks left out"), *_ends(score.without_accepted)),
    ]
    if found.past.standard.scored:
        worst, best = (word(CONCLUSIONS, name) for name in score.conclusion)
        poor, good = (word(CONCLUSIONS, name) for name in score.grade)
        hazards, points = score.hazards, score.deducted
        rows += [
            (tr("重大风险隐患（项）", "major hazards"), f"{hazards.low:.0f}", f"{hazards.high:.0f}"),
            (tr("新模板结论（2025-03-20 后）", "newer template (after 2025-03-20)"), worst, best),
            (
                tr("旧模板得分（公式凭记忆）", "older template, points (formula from memory)"),
                f"{points.low:.1f}",
                f"{points.high:.1f}",
            ),
            (tr("旧模板结论", "older template"), poor, good),
        ]
    return Table(
        tr("得分", "score"),
        tr("得分区间", "The score between its bounds"),
        (Column(tr("指标", "measure")), Column(tr("最差", "at worst")), Column(tr("最好", "at best"))),
        tuple(rows),
        tr("没有", "none"),
    )


def _ends(interval: Interval) -> tuple[str, str]:
    return f"{100 * interval.low:.1f} %", f"{100 * interval.high:.1f} %"


def _areas(found: Assessed) -> Table:
    verdicts = {one.item: one.verdict for one in found.judged}
    rows: list[tuple[Cell, ...]] = []
    for area in found.past.standard.areas:
        counts = Counter(verdicts.get(item.id) for point in area.points for item in point.items)
        rows.append((str(area), *(float(counts[name]) for name in Verdict), float(area.items)))
    names = [Column(word(VERDICTS, name.value), "number") for name in Verdict]
    return Table(
        tr("方面", "areas"),
        tr("各方面的判定", "Verdicts by area"),
        (Column(tr("方面", "area")), *names, Column(tr("合计", "all"), "number")),
        tuple(rows),
        tr("没有", "none"),
    )


def _area_chart(found: Assessed) -> BarChart:
    verdicts = {one.item: one.verdict for one in found.judged}
    bars = []
    for area in found.past.standard.areas:
        counts = Counter(verdicts.get(item.id) for point in area.points for item in point.items)
        applicable = sum(counts.values()) - counts[Verdict.NOT_APPLICABLE] or 1
        met = 100 * counts[Verdict.MET] / applicable
        most = met + 100 * sum(counts[name] for name in OPEN) / applicable
        bars.append(Bar(str(area), met, span(f"{met:.0f}", f"{most:.0f}"), most))
    return BarChart(
        tr("各方面的符合率（斜线：待定）", "Rate by area (hatched: open)"),
        tr("数值见下表", "the figures are in the table below"),
        tuple(bars),
        "%",
        100,
    )


def narrowing(found: Assessed) -> Section:
    """What is missing most."""
    rows = []
    for name, items in found.wanting:
        check = found.past.checks.get(name)
        if not name:
            city = found.past.inventory.name
            what = tr(
                f"由人说明：egovctl assess answer 编号 -i {city}", f"statements: egovctl assess answer ITEM -i {city}"
            )
        else:
            what = tr("未测得的检查", "a check that did not measure") + f": {check.title if check else name} ({name})"
        rows.append((what, float(items)))
    table = Table(
        tr("待补证据", "missing"),
        tr("缺少的证据，影响最多的在前", "What is missing, the most wanted first"),
        (Column(tr("证据", "evidence")), Column(tr("因此待定的要求", "requirements open for it"), "number")),
        tuple(rows),
        tr("没有待定的要求。", "no requirement is open"),
    )
    return Section(tr("怎样缩小区间", "What would narrow the interval"), (table,))


def trend(found: Assessed, *, charts: bool) -> Section:
    """The assessments so far, and what the last one judges differently from the one before."""
    columns = [Column(tr("时间", "time"), "moment"), Column(tr("测评", "run"))]
    columns += [Column(word(VERDICTS, name), "number") for name in ("met", "partly", "not_met")]
    columns += [Column(tr("待定", "open"), "number"), Column(tr("符合率", "rate")), Column(tr("隐患", "hazards"))]
    columns.append(Column(tr("证据", "evidence")))
    table = Table(
        tr("趋势", "trend"),
        tr("历次自查", "The self-assessments so far"),
        tuple(columns),
        tuple(_row(point) for point in found.trend),
        tr("没有", "none"),
    )
    blocks: list[Block] = [table]
    if charts and len(found.trend) > 1:
        blocks.insert(0, _trend_chart(found))
    return Section(tr("趋势", "Trend"), (*blocks, _changes(found)))


def _row(point: Point) -> tuple[Cell, ...]:
    score = point.score
    return (
        point.run.at.astimezone(ZONE),
        f"{point.run.name} ({graded})" if (graded := point.run.record.body.get("graded")) else point.run.name,
        *(float(score.counts[name]) for name in ("met", "partly", "not_met")),
        float(score.counts["unknown"] + score.counts["needs_statement"]),
        percent(score.rate_partial_0),
        span(f"{score.hazards.low:.0f}", f"{score.hazards.high:.0f}"),
        Links((record_link(point.run.record),)),
    )


def _trend_chart(found: Assessed) -> BarChart:
    bars = []
    for point in found.trend:
        rate = point.score.rate_partial_0
        low, high = 100 * rate.low, 100 * rate.high
        day = f"{point.run.at.astimezone(ZONE):%Y-%m-%d %H:%M}"
        bars.append(Bar(day, low, span(f"{low:.0f}", f"{high:.0f}"), high))
    return BarChart(
        tr("历次符合率（斜线：待定）", "The rate over time (hatched: open)"),
        tr("数值见下表", "the figures are in the table below"),
        tuple(bars),
        "%",
        100,
    )


def _changes(found: Assessed) -> Table:
    rows = []
    if len(found.trend) > 1:
        old, new = found.trend[-2].verdicts, found.trend[-1].verdicts
        reasons = {one.item: one.text for one in (*found.judged, *found.hazards)}
        changed = [name for name in new if name in old and old[name] is not new[name]]
        for name in sorted(changed, key=lambda name: (_better(old, new, name), -ORDER.index(new[name].value))):
            better = _better(old, new, name)
            sign = Mark(tr("变好", "better"), "good") if better else Mark(tr("变差", "worse"), "bad")
            rows.append((name, sign, verdict(old[name]), verdict(new[name]), reasons.get(name, "")))
    return Table(
        tr("变化", "changes"),
        tr("与上一次相比", "Against the one before"),
        (
            Column(tr("编号", "id")),
            Column(tr("变化", "change"), "mark"),
            Column(tr("上次", "before"), "mark"),
            Column(tr("这次", "now"), "mark"),
            Column(tr("依据", "why")),
        ),
        tuple(rows),
        tr("判定没有变化。", "no verdict has changed"),
    )


def _better(old: dict[str, Verdict], new: dict[str, Verdict], name: str) -> bool:
    return ORDER.index(new[name].value) < ORDER.index(old[name].value)
