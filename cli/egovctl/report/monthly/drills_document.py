"""The report of a month's drills in words and tables, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from egovctl.i18n import pick, tr
from egovctl.report.document import Cell, Column, Mark, Section, Table
from egovctl.report.document.model import Tone
from egovctl.report.monthly.month import ZONE
from egovctl.report.monthly.on_record import Rehearsal, Rehearsed
from egovctl.report.monthly.words import Names, verdict
from egovctl.report.words import OUTCOME, word

REASONS = 3
OUTCOMES: dict[str, Tone] = {"completed": "good", "aborted": "unknown", "error": "bad"}


def title(month: str) -> str:
    return tr(f"恢复演练月报 {month}", f"report of restore drills {month}")


def summary(found: Rehearsed) -> str:
    """One sentence: what the last run of each said, and what is not proven."""
    counts = Counter(one.item["verdict"] for one in found.last)
    return tr(
        f"演练 {len(found.items)} 次，对象 {len(found.last)} 个：兑现承诺 {counts['met']}，未兑现 {counts['not_met']}，"
        f"未知 {counts['unknown']}；月末超过 90 天未证明可恢复的备份 {len(found.unproven)} 个。",
        f"{len(found.items)} drills of {len(found.last)} targets: {counts['met']} met, {counts['not_met']} not met, "
        f"{counts['unknown']} unknown; {len(found.unproven)} backups not proven within 90 days when the month ended.",
    )


def sections(found: Rehearsed, names: Names) -> Iterable[Section]:
    """The whole report."""
    columns = (
        Column(tr("时间", "time"), "moment"),
        Column(tr("演练", "drill")),
        Column(tr("服务", "service")),
        Column(tr("主机", "host")),
        Column(tr("执行", "outcome"), "mark"),
        Column(tr("结论", "verdict"), "mark"),
        Column(tr("RTO（分）", "RTO, min"), "number", 1),
        Column(tr("承诺", "promise"), "number", 1),
        Column(tr("RPO（分）", "RPO, min"), "number", 1),
        Column(tr("承诺", "promise"), "number", 1),
        Column(tr("比对", "compared"), "number"),
        Column(tr("原因", "why")),
    )
    rows = tuple(_row(found, one, names) for one in found.items)
    yield Section(
        tr("演练", "Drills"),
        (Table(tr("演练", "drills"), tr("本月的演练", "Drills of the month"), columns, rows, tr("没有", "none")),),
    )
    unproven = Table(
        tr("未证明", "not proven"),
        tr("月末超过 90 天未证明可恢复", "Not proven within 90 days when the month ended"),
        (Column(tr("服务", "service")), Column(tr("主机", "host")), Column(tr("上次", "last"), "moment")),
        tuple((names.service(one.service), one.host, one.last and one.last.astimezone(ZONE)) for one in found.unproven),
        tr("没有", "none"),
    )
    yield Section(tr("未证明的备份", "Backups not proven"), (unproven,))


def _row(found: Rehearsed, one: Rehearsal, names: Names) -> tuple[Cell, ...]:
    item = one.item
    reasons = [pick(reason) for reason in item["reasons"]]
    return (
        one.at.astimezone(ZONE),
        pick(found.titles[one.drill]) if one.drill in found.titles else one.drill,
        names.service(item["service"]),
        item["host"],
        Mark(word(OUTCOME, item["outcome"]), OUTCOMES[item["outcome"]]),
        verdict(item["verdict"]),
        *(None if item[key] is None else item[key] / 60 for key in TIMES),
        float(item["files_compared"]),
        "; ".join(reasons[:REASONS]) + (" …" if len(reasons) > REASONS else ""),
    )


TIMES = ("rto_seconds", "rto_promised_seconds", "rpo_seconds", "rpo_promised_seconds")


def as_json(found: Rehearsed) -> dict[str, Any]:
    """For programs."""
    return {
        "chain": {"whole": found.chain.ok, "head": str(found.chain.head)},
        "drills": [
            {
                "at": one.at.isoformat(),
                "drill": one.drill,
                "run": one.run,
                **{key: one.item[key] for key in ("service", "host", "outcome", "verdict", *TIMES, "files_compared")},
                "reasons": list(one.item["reasons"]),
            }
            for one in found.items
        ],
        "not_proven": [
            {"service": one.service, "host": one.host, "last_proven_at": one.last and one.last.isoformat()}
            for one in found.unproven
        ],
    }
