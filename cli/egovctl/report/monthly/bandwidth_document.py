"""The bandwidth report in words, tables and charts, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from egovctl.i18n import tr
from egovctl.report.document import Bar, BarChart, Block, Cell, Column, Paragraph, Section, Table
from egovctl.report.document.model import Tone
from egovctl.report.monthly.bandwidth import FULL, HOUR, Bandwidth, Direction, LinkLoad
from egovctl.report.monthly.words import Names, moment, per_second

BUSIEST = 20
COVERED = 0.95  # of the month; of a link that was measured less, the share is shown to be little


def title(month: str) -> str:
    return tr(f"带宽月报 {month}", f"bandwidth report {month}")


def summary(found: Bandwidth) -> str:
    """One sentence: how many links, how many of them full, how many not measured."""
    full = sum(link.full > 0 for link in found.links)
    silent = sum(link.used is None for link in found.links)
    return tr(
        f"链路 {len(found.links)} 条：{full} 条曾超过合同带宽的 {FULL:.0%}，{silent} 条没有数据。",
        f"{len(found.links)} links: {full} were above {FULL:.0%} of their contract at some time, {silent} have no "
        "data.",
    )


def direction_word(direction: Direction) -> str:
    return tr("下行", "down") if direction == "receive" else tr("上行", "up")


def sections(found: Bandwidth, names: Names) -> Iterable[Section]:
    """The whole report."""
    links = sorted(found.links, key=lambda link: (-(link.used or -1.0), link.name))
    yield Section(tr("最忙的链路", "The busiest links"), tuple(_busiest(links, names)))
    yield Section(tr("全部链路", "All links"), (_table(links, names), *_left_out(found)))
    yield Section(tr("口径", "How it is reckoned"), (Paragraph(_method()),))


def _busiest(links: list[LinkLoad], names: Names) -> Iterable[Block]:
    chosen = [link for link in links if link.used is not None][:BUSIEST]
    if not chosen:
        yield Paragraph(tr("没有链路有数据。", "No link has data."))
        return
    bars = tuple(
        Bar(
            names.line(link.name, link.site),
            100 * (link.used or 0.0),
            f"{100 * (link.used or 0.0):.1f}",
            tick=_peak(link),
            tone=_tone(link),
        )
        for link in chosen
    )
    highest = max(100.0, *(max(bar.value, bar.tick or 0.0) for bar in bars))
    yield BarChart(
        tr(
            f"95 百分位占合同带宽的比例，最忙的 {len(bars)} 条；竖线为峰值，虚线为 {FULL:.0%}",
            f"95th percentile as a share of the contract, the {len(bars)} busiest links; tick: the peak; dashed: "
            f"{FULL:.0%}",
        ),
        "; ".join(f"{names.line(link.name, link.site)} {link.used:.0%}" for link in chosen),
        bars,
        "%",
        highest,
        100 * FULL,
    )


def _tone(link: LinkLoad) -> Tone:
    return "bad" if (link.used or 0.0) > FULL else "good"


def _peak(link: LinkLoad) -> float | None:
    peaks = [load.peak for load in link.loads if load.peak is not None]
    return 100 * max(peaks) / link.contract if peaks else None


def _table(links: list[LinkLoad], names: Names) -> Table:
    return Table(
        tr("链路", "links"),
        tr("各链路与方向，最忙在前（Mbit/s）", "Links and directions, the busiest first (Mbit/s)"),
        (
            Column(tr("链路", "link")),
            Column(tr("接口", "interface")),
            Column(tr("方向", "direction")),
            Column(tr("合同", "contract"), "number"),
            Column(tr("95 百分位", "95th percentile"), "number", 2),
            Column(tr("占合同", "of contract"), "percent", 1),
            Column(tr("平均", "mean"), "number", 2),
            Column(tr("峰值", "peak"), "number", 2),
            Column(tr("峰值所在小时止于", "peak, in the hour to"), "moment"),
            Column(tr(f"超 {FULL:.0%}（小时）", f"hours above {FULL:.0%}"), "number", 2),
            Column(tr("有数据", "measured"), "percent", 1),
        ),
        tuple(row for link in links for row in _rows(link, names)),
        tr("没有链路", "there is no link"),
    )


def _rows(link: LinkLoad, names: Names) -> Iterable[tuple[Cell, ...]]:
    for load in link.loads:
        yield (
            names.link(link.site, link.peer_site),
            link.name,
            direction_word(load.direction),
            link.contract / 1e6,
            per_second(load.p95),
            None if load.p95 is None else 100 * load.p95 / link.contract,
            per_second(load.mean),
            per_second(load.peak),
            None if load.peak_at is None else moment(load.peak_at),
            load.full / HOUR if load.measured else None,
            100 * load.measured / link.expected if link.expected else 0.0,
        )


def _left_out(found: Bandwidth) -> Iterable[Block]:
    thin = [link.name for link in found.links if 0 < link.coverage < COVERED]
    if thin:
        listed = ", ".join(thin)
        yield Paragraph(
            tr(
                f"数据不足全月 {COVERED:.0%} 的链路，其百分位只说明有数据的时段：{listed}。",
                f"Links that were measured for less than {COVERED:.0%} of the time; their percentile speaks of "
                f"that time alone: {listed}.",
            )
        )
    if found.unmeasured:
        listed = ", ".join(found.unmeasured)
        yield Paragraph(
            tr(
                f"两端都不受监测、因而不在本报表中的链路：{listed}。",
                f"Links neither end of which is measured, and that are not in this report: {listed}.",
            )
        )


def _method() -> str:
    return tr(
        "下行为进入下级站点的方向，上行为离开它的方向。全月每 5 分钟一个平均值（由接口计数器得出），从小到大排列，"
        "95 百分位为去掉最高 5 % 后的最大值；缺数据的 5 分钟不参与，“有数据”一列说明其比例。峰值为 2 分钟平均值中"
        "的最大者。合同带宽取自规划，不是端口速率。",
        "Down is towards the lower site, up away from it. Of the month's means of 5 minutes, made from the "
        "interface's counters, the 95th percentile is the largest once the highest 5 % are left out; minutes "
        "without data take no part, and the last column says how many had data. The peak is the highest mean of 2 "
        "minutes. The contract is the plan's, not the port's speed.",
    )


def as_json(found: Bandwidth) -> dict[str, Any]:
    """For programs; bits per second, seconds, seconds since 1970."""
    return {
        "full_from_ratio": FULL,
        "links": [
            {
                "name": link.name,
                "site": link.site,
                "peer_site": link.peer_site,
                "county": link.county,
                "medium": link.medium,
                "contract_bits_per_second": link.contract,
                "used_ratio": link.used,
                "measured_ratio": link.coverage,
                "directions": [_load(asdict(load)) for load in link.loads],
            }
            for link in found.links
        ],
        "not_measured": list(found.unmeasured),
    }


def _load(load: dict[str, Any]) -> dict[str, Any]:
    return {
        "direction": load["direction"],
        "p95_bits_per_second": load["p95"],
        "mean_bits_per_second": load["mean"],
        "peak_bits_per_second": load["peak"],
        "peak_in_hour_to": load["peak_at"] and moment(load["peak_at"]).isoformat(),
        "full_seconds": load["full"],
        "measured_seconds": load["measured"],
    }
