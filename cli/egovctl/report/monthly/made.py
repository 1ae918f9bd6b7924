"""Each monthly report whole: measured, put into words, and with the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from egovctl.checks.context import Context
from egovctl.errors import CannotMeasure
from egovctl.evidence import Verdict
from egovctl.i18n import told, tr
from egovctl.report.document import Document, Section
from egovctl.report.monthly import (
    availability_document,
    bandwidth_document,
    capacity_document,
    checks_document,
    drills_document,
)
from egovctl.report.monthly.availability import Availability, availability
from egovctl.report.monthly.bandwidth import Bandwidth, bandwidth
from egovctl.report.monthly.capacity import capacity
from egovctl.report.monthly.month import Month
from egovctl.report.monthly.on_record import assessed, rehearsed
from egovctl.report.monthly.performance import performance
from egovctl.report.monthly.prometheus import Source
from egovctl.report.monthly.words import Names, document


@dataclass(frozen=True)
class Made:
    """A report: the document, the same for programs, and 0 good, 1 a promise not kept, 3 something not measured."""

    document: Document
    data: dict[str, Any]
    exit_code: int


def availability_report(context: Context, month: Month, source: Source, now: datetime) -> Made:
    """CannotMeasure when Prometheus does not answer, or has nothing of the whole month."""
    found = availability(context, month, source)
    _something(found, month)
    counts = found.verdicts
    return _made(
        context,
        month,
        _prometheus(source),
        now,
        kind="availability",
        title=availability_document.title(month.name),
        summary=availability_document.summary(found),
        sections=availability_document.sections(found, Names(context)),
        data=availability_document.as_json(found),
        exit_code=1 if counts["not_met"] else 3 if counts["unknown"] else 0,
    )


def bandwidth_report(context: Context, month: Month, source: Source, now: datetime) -> Made:
    """CannotMeasure when Prometheus does not answer, or knows of no link."""
    found = bandwidth(context, month, source)
    _some_link(found, month)
    return _made(
        context,
        month,
        _prometheus(source),
        now,
        kind="bandwidth",
        title=bandwidth_document.title(month.name),
        summary=bandwidth_document.summary(found),
        sections=bandwidth_document.sections(found, Names(context)),
        data=bandwidth_document.as_json(found),
        exit_code=_measured(found),
    )


def capacity_report(context: Context, month: Month, source: Source, now: datetime) -> Made:
    """CannotMeasure when Prometheus does not answer, or knows of no link."""
    carried = bandwidth(context, month, source)
    _some_link(carried, month)
    outlooks = capacity(context, month, source)
    counties = performance(availability(context, month, source), carried, month, source)
    return _made(
        context,
        month,
        _prometheus(source),
        now,
        kind="capacity",
        title=capacity_document.title(month.name),
        summary=capacity_document.summary(outlooks),
        sections=capacity_document.sections(outlooks, counties, Names(context)),
        data=capacity_document.as_json(outlooks, counties),
        exit_code=_measured(carried),
    )


def drills_report(context: Context, month: Month, now: datetime) -> Made:
    """From the evidence alone; CannotMeasure when nothing was rehearsed in the month."""
    found = rehearsed(context, month)
    if not found.items:
        raise _no_evidence(month, "drill run")
    return _made(
        context,
        month,
        _evidence(found.chain),
        now,
        kind="drills",
        title=drills_document.title(month.name),
        summary=drills_document.summary(found),
        sections=drills_document.sections(found, Names(context)),
        data=drills_document.as_json(found),
        exit_code=found.exit_code,
    )


def checks_report(context: Context, month: Month, now: datetime) -> Made:
    """From the evidence alone; CannotMeasure when nothing was assessed in the month."""
    found = assessed(context, month)
    if not found.results:
        raise _no_evidence(month, "assess run as-planned")
    return _made(
        context,
        month,
        _evidence(found.chain),
        now,
        kind="checks",
        title=checks_document.title(month.name),
        summary=checks_document.summary(found),
        sections=checks_document.sections(found),
        data=checks_document.as_json(found),
        exit_code=found.exit_code,
    )


# Of what the NOC measured, and of what control wrote down.
MEASURED: Mapping[str, Callable[[Context, Month, Source, datetime], Made]] = {
    "availability": availability_report,
    "bandwidth": bandwidth_report,
    "capacity": capacity_report,
}
RECORDED: Mapping[str, Callable[[Context, Month, datetime], Made]] = {"drills": drills_report, "checks": checks_report}


def _prometheus(source: Source) -> str:
    return tr(f"网管 Prometheus，每 {source.step} 秒一次", f"the NOC's Prometheus, every {source.step} s")


def _evidence(chain: Verdict) -> str:
    if chain.ok:
        return tr("证据链，完整", "the evidence chain, which is whole")
    return tr(
        f"证据链，第 {chain.line} 行起不可信：{chain.reason}",
        f"the evidence chain, broken at line {chain.line}: {chain.reason}",
    )


def _made(
    context: Context,
    month: Month,
    data_source: str,
    now: datetime,
    *,
    kind: str,
    title: str,
    summary: str,
    sections: Iterable[Section],
    data: dict[str, Any],
    exit_code: int,
) -> Made:
    head = {
        "report": kind,
        "inventory": context.inventory.name,
        "plan_revision": context.plan.revision,
        "month": month.name,
        "begin": month.begin.isoformat(),
        "until": month.until.isoformat(),
        "month_over": month.over,
        "made_at": now.isoformat(timespec="seconds"),
    }
    shown = document(context, month, data_source, title=title, summary=summary, sections=sections, made_at=now)
    return Made(shown, {**head, **data, "exit_code": exit_code}, exit_code)


def _something(found: Availability, month: Month) -> None:
    if not any(row.share.up + row.share.down for row in found.sites):
        raise _nothing(month)


def _some_link(found: Bandwidth, month: Month) -> None:
    if not any(load.measured for link in found.links for load in link.loads):
        raise _nothing(month)


def _measured(found: Bandwidth) -> int:
    return 0 if all(load.measured for link in found.links for load in link.loads) else 3


def _nothing(month: Month) -> CannotMeasure:
    name = month.name
    return CannotMeasure(
        told(
            f"Prometheus 没有 {name} 的数据：那时网管尚未运行，或数据已过保存期",
            f"Prometheus has nothing of {name}: the NOC was not there yet, or its retention is over",
        )
    )


def _no_evidence(month: Month, command: str) -> CannotMeasure:
    name = month.name
    return CannotMeasure(
        told(
            f"证据中没有 {name} 的记录：那个月没有运行过 egovctl {command}",
            f"the evidence has nothing of {name}: egovctl {command} was not run in that month",
        )
    )
