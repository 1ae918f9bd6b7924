"""The report of a month's checks in words and tables, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from egovctl.checks.model import Status
from egovctl.i18n import pick, tr
from egovctl.report.document import Cell, Column, Mark, Section, Table
from egovctl.report.document.model import Tone
from egovctl.report.monthly.month import ZONE
from egovctl.report.monthly.on_record import Assessed
from egovctl.report.words import STATUS, word

LISTED = 200
TONES: dict[str, Tone] = {
    "pass": "good",
    "partial": "bad",
    "fail": "bad",
    "not_applicable": "quiet",
    "manual": "unknown",
    "unknown": "unknown",
    "error": "unknown",
}


def title(month: str) -> str:
    return tr(f"核查月报（自查）{month}", f"report of checks (self-assessment) {month}")


def summary(found: Assessed) -> str:
    """One sentence: how the last result of each check and subject stands."""
    parts = ", ".join(f"{word(STATUS, name)} {count}" for name, count in found.totals.items() if count)
    return tr(
        f"核查 {found.runs} 次；各项与各对象的最后结果共 {len(found.results)} 个：{parts}。",
        f"Assessments: {found.runs}; the last result of each check and subject, {len(found.results)} in all: {parts}.",
    )


def sections(found: Assessed) -> Iterable[Section]:
    """The whole report."""
    names = list(dict.fromkeys(result["check"] for result in found.results))
    counts = {name: Counter(item["status"] for item in found.results if item["check"] == name) for name in names}
    statuses = [status.value for status in Status]
    checks = Table(
        tr("检查", "checks"),
        tr("各项检查的最后结果", "The last results of each check"),
        (
            Column(tr("检查", "check")),
            Column(tr("编号", "id")),
            *(Column(word(STATUS, status), "number") for status in statuses),
        ),
        tuple((_title(found, name), name, *(float(counts[name][status]) for status in statuses)) for name in names),
        tr("没有", "none"),
    )
    yield Section(tr("检查", "Checks"), (checks,))
    bad = Table(
        tr("不通过", "not passed"),
        tr("最后结果不是通过的", "Where the last result is no pass"),
        (
            Column(tr("检查", "check")),
            Column(tr("对象", "subject")),
            Column(tr("结果", "result"), "mark"),
            Column(tr("所见", "seen")),
            Column(tr("时间", "time"), "moment"),
        ),
        tuple(_row(found, result) for result in found.results if result["status"] not in ("pass", "not_applicable")),
        tr("没有", "none"),
        LISTED,
    )
    yield Section(tr("未通过", "Not passed"), (bad,))


def _title(found: Assessed, name: str) -> str:
    return pick(found.titles[name]) if name in found.titles else name


def _row(found: Assessed, result: dict[str, Any]) -> tuple[Cell, ...]:
    return (
        _title(found, result["check"]),
        result["subject"],
        Mark(word(STATUS, result["status"]), TONES[result["status"]]),
        pick(result["detail"]),
        datetime.fromisoformat(result["at"]).astimezone(ZONE),
    )


def as_json(found: Assessed) -> dict[str, Any]:
    """For programs."""
    keys = ("check", "subject", "status", "detail", "at")
    return {
        "chain": {"whole": found.chain.ok, "head": str(found.chain.head)},
        "assessments": found.runs,
        "totals": found.totals,
        "results": [{key: result[key] for key in keys} for result in found.results],
    }
