"""The availability report in words, tables and charts, and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from egovctl.i18n import tr
from egovctl.report.document import (
    Bar,
    BarChart,
    Block,
    Cell,
    Column,
    Paragraph,
    Section,
    Strip,
    StripChart,
    Table,
)
from egovctl.report.document.model import Tone
from egovctl.report.monthly.availability import Availability, County, Row, Share, Span
from egovctl.report.monthly.words import OFFSET, Names, floor, minutes, moment, verdict

WORST = 20
STRIPS = 40
LISTED = 200
LONGEST_BAR = 300.0  # per cent


def title(month: str) -> str:
    return tr(f"可用性月报 {month}", f"availability report {month}")


def summary(found: Availability) -> str:
    """One sentence: how many kept their promise."""
    counts = found.verdicts
    total = sum(counts.values())
    text = tr(
        f"站点与服务共 {total} 项：兑现承诺 {counts['met']}，未兑现 {counts['not_met']}，因缺数据无法判定 "
        f"{counts['unknown']}。",
        f"{total} sites and services: {counts['met']} kept the promise, {counts['not_met']} did not, "
        f"{counts['unknown']} cannot be judged for want of data.",
    )
    blind = sum(span.minutes for span in found.blind)
    if blind:
        text += tr(f"网管自身无数据 {blind:,.0f} 分钟。", f" The NOC itself had no data for {blind:,.0f} minutes.")
    return text


def sections(found: Availability, names: Names) -> Iterable[Section]:
    """The whole report."""
    yield Section(tr("服务", "Services"), (_services(found, names),))
    yield Section(tr("区县", "Counties"), (_counties(found, names),))
    yield Section(tr("站点", "Sites"), tuple(_sites(found, names)))
    yield Section(
        tr("中断", "Outages"),
        (_outages(found, names), *_strips(found, names)),
    )
    yield Section(tr("检修与无数据时段", "Maintenance and time without data"), tuple(_not_counted(found, names)))
    yield Section(tr("口径", "How it is reckoned"), (Paragraph(_method(found)),))


def _share_columns(promise: bool = True) -> tuple[Column, ...]:
    columns = [Column(tr("承诺 %", "promise %"), "number", 2)] if promise else []
    return (
        *columns,
        Column(tr("可用率 % 低", "available %, low"), "number", 3),
        Column(tr("高", "high"), "number", 3),
        Column(tr("中断（分）", "down, min"), "number", 2),
        Column(tr("无数据（分）", "no data, min"), "number", 2),
        Column(tr("检修（分）", "maintenance, min"), "number", 2),
    )


def _share_cells(share: Share) -> tuple[Cell, ...]:
    return floor(share.low), floor(share.high), minutes(share.down), minutes(share.unknown), minutes(share.maintenance)


def _services(found: Availability, names: Names) -> Table:
    return Table(
        tr("服务", "services"),
        tr("各服务：所在主机的合计时间", "Services: the time of all their hosts together"),
        (
            Column(tr("服务", "service")),
            *_share_columns(),
            Column(tr("主机中断次数", "outages of hosts"), "number"),
            Column(tr("全部主机同时中断（分）", "all hosts down, min"), "number", 2),
            Column(tr("结论", "verdict"), "mark"),
        ),
        tuple(
            (
                names.service(row.name),
                row.promise,
                *_share_cells(row.share),
                float(row.outages),
                minutes(row.all_down),
                verdict(row.verdict),
            )
            for row in found.services
        ),
        tr("规划中没有可监测的服务", "the plan has no service whose hosts are measured"),
    )


def _counties(found: Availability, names: Names) -> Table:
    return Table(
        tr("区县", "counties"),
        tr("各区县：站点的合计时间", "Counties: the time of all their sites together"),
        (
            Column(tr("区县", "county")),
            Column(tr("站点", "sites"), "number"),
            *_share_columns(promise=False),
            Column(tr("兑现", "met"), "number"),
            Column(tr("未兑现", "not met"), "number"),
            Column(tr("未知", "unknown"), "number"),
        ),
        tuple(_county_row(county, names) for county in found.counties),
        tr("没有站点", "there is no site"),
    )


def _county_row(county: County, names: Names) -> tuple[Cell, ...]:
    counts = tuple(float(county.verdicts[key]) for key in ("met", "not_met", "unknown"))
    return names.county(county.name), float(len(county.sites)), *_share_cells(county.share), *counts


def _sites(found: Availability, names: Names) -> Iterable[Block]:
    rows = sorted(found.sites, key=_badness)
    yield _worst(rows, names)
    yield Table(
        tr("站点", "sites"),
        tr("各站点，最差在前", "Sites, the worst first"),
        (
            Column(tr("站点", "site")),
            Column(tr("区县", "county")),
            *_share_columns(),
            Column(tr("中断次数", "outages"), "number"),
            Column(tr("结论", "verdict"), "mark"),
        ),
        tuple(
            (
                names.site(row.name),
                names.county_of(row.name),
                row.promise,
                *_share_cells(row.share),
                float(row.outages),
                verdict(row.verdict),
            )
            for row in rows
        ),
        tr("没有可监测的站点", "no site is measured"),
    )
    if found.unmeasured:
        listed = ", ".join(names.site(name) for name in found.unmeasured)
        yield Paragraph(
            tr(
                f"规划中没有监测、因而不在本报表中的站点：{listed}。",
                f"Sites of which the plan has nothing measured, and that are not in this report: {listed}.",
            )
        )


def _badness(row: Row) -> tuple[int, float, str]:
    low = row.share.low
    return ("not_met", "unknown", "met").index(row.verdict), -1.0 if low is None else low, row.name


def _worst(rows: list[Row], names: Names) -> Block:
    """How much of the time that the promise leaves for outages is used up, and how much it could be."""
    used = [(row, *_budget(row)) for row in rows if row.share.low is not None and row.share.low < 100]
    chosen = sorted(used, key=lambda item: (-item[1], -item[2], item[0].name))[:WORST]
    if not chosen:
        return Paragraph(tr("没有站点中断或缺数据。", "No site was down or without data."))
    bars = tuple(
        Bar(
            names.site(row.name),
            down,
            f"{down:.0f}" if open_to - down < 1 else f"{down:.0f}–{open_to:.0f}",
            open_to,
            tone="bad" if down > 100 else "good",
        )
        for row, down, open_to in chosen
    )
    return BarChart(
        tr(
            f"已用去承诺所允许中断时间的百分比，最高的 {len(bars)} 个站点；斜纹为缺数据的区间，虚线为用尽",
            f"How much of the outage time that the promise allows is used, the {len(bars)} highest sites; hatched: "
            "what missing data leave open; dashed: all of it",
        ),
        "; ".join(f"{bar.label} {bar.text} %" for bar in bars),
        bars,
        "%",
        min(LONGEST_BAR, max(110.0, *(bar.until or 0.0 for bar in bars))),
        100.0,
    )


def _budget(row: Row) -> tuple[float, float]:
    """Per cent of the allowed time: what was down, and what that is with all that is not known."""
    share = row.share
    allowed = (share.up + share.down + share.unknown) * (100 - row.promise) / 100
    return 100 * share.down / allowed, 100 * (share.down + share.unknown) / allowed


def _outages(found: Availability, names: Names) -> Table:
    longest = sorted(found.outages, key=lambda span: (span.begin - span.end, span.begin))
    return Table(
        tr("中断", "outages"),
        tr("站点中断，最长在前（不含检修）", "Outages of sites, the longest first, without maintenance"),
        (
            Column(tr("站点", "site")),
            Column(tr("区县", "county")),
            *_span_columns(),
        ),
        tuple((names.site(span.name), names.county_of(span.name), *_span_cells(span)) for span in longest),
        tr("没有站点中断", "no site was down"),
        LISTED,
    )


def _span_columns() -> tuple[Column, ...]:
    return (
        Column(tr("起", "begin"), "moment"),
        Column(tr("止", "end"), "moment"),
        Column(tr("分钟", "minutes"), "number", 2),
    )


def _span_cells(span: Span) -> tuple[Cell, ...]:
    return moment(span.begin), moment(span.end), span.minutes


def _strips(found: Availability, names: Names) -> Iterable[Block]:
    pieces: dict[str, list[tuple[int, int, Tone]]] = defaultdict(list)
    lost: dict[str, int] = defaultdict(int)
    blind: tuple[tuple[int, int, Tone], ...] = tuple((span.begin, span.end, "unknown") for span in found.blind)
    kinds: tuple[tuple[tuple[Span, ...], Tone], ...] = (
        (found.worked_at, "quiet"),
        (found.gaps, "unknown"),
        (found.outages, "bad"),
    )
    for spans, tone in kinds:
        for span in spans:
            pieces[span.name].append((span.begin, span.end, tone))
            lost[span.name] += 0 if tone == "quiet" else span.end - span.begin
    worst = sorted((name for name in pieces if lost[name]), key=lambda name: (-lost[name], name))[:STRIPS]
    if not worst:
        return
    yield StripChart(
        tr(
            f"中断与缺数据最多的 {len(worst)} 个站点，按日",
            f"The {len(worst)} sites that were down or without data most, by day",
        ),
        "; ".join(f"{names.site(name)}: {minutes(lost[name]):,.0f} min" for name in worst),
        found.grid.begin,
        found.grid.end,
        OFFSET,
        tuple(Strip(names.site(name), (*blind, *pieces[name])) for name in worst),
        (("bad", tr("中断", "down")), ("unknown", tr("无数据", "no data")), ("quiet", tr("检修", "maintenance"))),
    )


def _not_counted(found: Availability, names: Names) -> Iterable[Block]:
    columns = (Column(tr("站点或服务", "site or service")), *_span_columns())

    def rows(spans: Iterable[Span]) -> tuple[tuple[Cell, ...], ...]:
        return tuple(
            (names.service(span.name) if span.name in services else names.site(span.name), *_span_cells(span))
            for span in spans
        )

    services = {row.name for row in found.services}
    yield Table(
        tr("检修", "maintenance"),
        tr("检修：不计入可用率", "Maintenance: not counted"),
        columns,
        rows(found.worked_at),
        tr("没有", "none"),
        LISTED,
    )
    yield Table(
        tr("事后登记的检修", "told too late"),
        tr(
            "网管当时不知道的检修：照常计入",
            "Maintenance that the NOC was not told of when it was: counted like any other time",
        ),
        columns,
        rows(found.untold),
        tr("没有", "none"),
        LISTED,
    )
    yield Table(
        tr("网管无数据", "NOC without data"),
        tr("网管自身没有任何数据的时段", "When the NOC had no data of anything"),
        _span_columns(),
        tuple(_span_cells(span) for span in found.blind),
        tr("没有", "none"),
        LISTED,
    )
    yield Table(
        tr("无数据", "no data"),
        tr(
            "网管有其他数据而该站点无数据的时段，最长在前",
            "Sites without data while the NOC had others', the longest first",
        ),
        columns,
        rows(sorted(found.gaps, key=lambda span: (span.begin - span.end, span.begin))),
        tr("没有", "none"),
        LISTED,
    )


def _method(found: Availability) -> str:
    step = found.grid.step
    return tr(
        f"每 {step} 秒判定一次。站点：任一受监测主机应答即为在线，全部不应答为中断，其余为无数据。无数据既不算在线"
        "也不算中断：可用率写成区间，两端分别为无数据全算中断、全算在线；下限不低于承诺为兑现，上限低于承诺为未兑"
        "现，否则未知。检修以网管当时记录的为准，上级站点检修且不应答时，只经它接入的站点同样不计；事后补登的检修"
        f"照常计入。每次中断的起止误差不超过 {step} 秒。服务的可用率是其各主机时间的合计，区县的是其各站点时间的合"
        "计。",
        f"Judged every {step} s. A site is up while any of its measured hosts answers, down while none does; else "
        "nothing is known. What is not known counts neither as up nor as down: availability is given from what it "
        "would be, were all of that down, to what it would be, were all of it up. The promise was kept if the "
        "lower end reaches it, not kept if the upper end does not, else unknown. Maintenance is what the NOC "
        "recorded when it was; sites that hang on one alone at which somebody works, and that does not answer, "
        f"are left out too. A window that was entered later excuses nothing. Outages are exact to {step} s at each "
        "end. A service's time is that of its hosts together, a county's that of its sites.",
    )


def as_json(found: Availability) -> dict[str, Any]:
    """For programs; seconds, and per cent."""

    def row(item: Row) -> dict[str, Any]:
        return {"name": item.name, "promised_percent": item.promise, **share(item.share), "outages": item.outages} | {
            "verdict": item.verdict
        }

    def share(item: Share) -> dict[str, Any]:
        return {
            "availability_percent": {"low": item.low, "high": item.high},
            "up_seconds": item.up,
            "down_seconds": item.down,
            "unknown_seconds": item.unknown,
            "maintenance_seconds": item.maintenance,
        }

    def spans(items: Iterable[Span]) -> list[dict[str, Any]]:
        return [
            {
                "name": item.name,
                "begin": moment(item.begin).isoformat(),
                "end": moment(item.end).isoformat(),
                "seconds": item.end - item.begin,
            }
            for item in items
        ]

    return {
        "step_seconds": found.grid.step,
        "verdicts": found.verdicts,
        "sites": [row(item) for item in found.sites],
        "services": [{**row(item), "all_hosts_down_seconds": item.all_down} for item in found.services],
        "counties": [
            {"name": item.name, "sites": list(item.sites), **share(item.share), "verdicts": dict(item.verdicts)}
            for item in found.counties
        ],
        "outages": spans(found.outages),
        "maintenance": spans(found.worked_at),
        "maintenance_told_too_late": spans(found.untold),
        "noc_without_data": spans(found.blind),
        "sites_without_data": spans(found.gaps),
        "not_measured": list(found.unmeasured),
    }
