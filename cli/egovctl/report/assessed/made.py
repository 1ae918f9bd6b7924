"""The report of a self-assessment whole: document, data for programs, and the exit code that follows from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Any

from egovctl.assess.objects import Graded
from egovctl.assess.scope import KINDS
from egovctl.checks.context import Context
from egovctl.evidence.signing import fingerprint
from egovctl.i18n import language, pick, tr
from egovctl.report.assessed import figures, items
from egovctl.report.assessed.gather import Assessed
from egovctl.report.document import Document, Table
from egovctl.report.monthly.made import Made
from egovctl.report.monthly.month import ZONE
from egovctl.report.monthly.words import Names


def made(context: Context, found: Assessed, now: datetime, *, charts: bool = True) -> Made:
    """The document and its data; without `charts` no pictures are drawn, which takes most of a DOCX's time."""
    sections = (
        figures.conclusion(found, charts=charts),
        figures.narrowing(found),
        items.not_met(found, context),
        items.accepted(found, now),
        *items.hazards(found),
        figures.trend(found, charts=charts),
        items.requirements(found),
        items.checks(found),
        items.records(found),
    )
    document = Document(
        language(),
        title(context, found),
        figures.summary(found),
        tuple(facts(context, found, now)),
        sections,
        banner(found),
        official=True,
    )
    return Made(document, as_json(context, found, now), found.exit_code)


def banner(found: Assessed) -> str:
    """What stands on the cover and on every page."""
    return tr(
        f"自查报告（非测评机构出具） · {found.past.standard.document}",
        f"SELF-ASSESSMENT, not by a licensed body · {found.past.standard.document}",
    )


def title(context: Context, found: Assessed) -> str:
    city = pick(context.plan.city.name.model_dump())
    # The name of a grading object's standard says whose it is.
    part = "" if found.scope.whole or isinstance(found.past.standard, Graded) else found.scope.title
    standard = found.past.standard.title
    return tr(
        f"{city}{part}{standard}自查报告",
        f"{city}: {part + ', ' if part else ''}self-assessment against {standard}",
    )


def facts(context: Context, found: Assessed, now: datetime) -> list[tuple[str, str]]:
    """The head: of what, by which run, whether what it rests on is as it was recorded."""
    past, run = found.past, found.past.run
    names = Names(context)
    scope = pick(KINDS[found.scope.kind])
    part = "" if found.scope.whole else f" {found.scope.title} ({found.scope.name})"
    hosts = tr(f"，{len(found.scope.hosts)} 台主机", f", hosts: {len(found.scope.hosts)}")
    said = [
        (tr("网络", "Network"), f"{names.city} {names.plane}"),
        (tr("范围", "Part"), scope + part + hosts),
        (tr("标准", "Standard"), f"{past.standard.title} ({past.standard.document}, {past.standard.items})"),
        (tr("测评", "Assessment"), f"{run.name}, {run.at.astimezone(ZONE):%Y-%m-%d %H:%M} (UTC+8)"),
        (tr("判定所在的记录", "Record of the verdicts"), f"{run.record.seq}, SHA-256 {run.record.hash}"),
        (tr("结果文件", "File of results"), _file(found)),
        (tr("证据链", "Evidence chain"), _chain(found)),
        (tr("证据链头", "Evidence head"), str(past.head)),
        (tr("规划与套件版本", "Plan and suite"), f"{run.record.plan_revision}, egov-suite {run.record.suite_version}"),
        (tr("生成时间", "Made at"), f"{now.astimezone(ZONE):%Y-%m-%d %H:%M} (UTC+8)"),
    ]
    if not found.scope.whole:
        said.insert(2, (tr("说明", "Note"), _part(found)))
    if isinstance(past.standard, Graded):
        said.insert(3, (tr("定级", "Graded"), _graded(past.standard)))
    return said


def _graded(standard: Graded) -> str:
    """Its grades, and how many requirements are of which level."""
    counts = Counter(item.id[1:2] for _, _, item in standard.walk())
    parts = [
        tr(f"第{'二' if level == '2' else '三'}级 {counts[level]} 项", f"{counts[level]} of level {level}")
        for level in sorted(counts)
    ]
    return tr(
        f"{standard.graded}（业务信息安全 S，系统服务安全 A，通用 G；各控制点的标记凭记忆）：{'，'.join(parts)}",
        f"{standard.graded} (S: security of information, A: of service, G: general; which point has which mark is from "
        f"memory): {', '.join(parts)}",
    )


def _part(found: Assessed) -> str:
    text = tr(
        "判定只依据本部分的主机、业务和全市性的检查结果；说明是全市的",
        "verdicts rest on this part's hosts and services and on what is of the whole city; statements are the city's",
    )
    if found.past.differs:
        text += tr(
            "；清单或检查在测评后有变化，此处按现行的判定",
            "; lists or checks have changed since the assessment, and today's are used here",
        )
    return text


def _file(found: Assessed) -> str:
    run = found.past.run
    recorded = run.record.body["results_sha256"]
    if run.results is not None:
        return tr(f"SHA-256 {recorded}，与记录相符", f"SHA-256 {recorded}, as on record")
    if not run.found:
        return tr(f"缺失；记录的 SHA-256 为 {recorded}", f"gone; on record is SHA-256 {recorded}")
    return tr(
        f"被改动：现为 SHA-256 {run.found}，记录的是 {recorded}",
        f"changed: it is SHA-256 {run.found} now, and {recorded} on record",
    )


def _chain(found: Assessed) -> str:
    chain = found.past.chain
    if chain.ok and not chain.key:
        return tr("完整，没有签名", "whole, not signed")
    if chain.ok:
        key = fingerprint(chain.key)
        return tr(
            f"完整，已签名至记录 {chain.signed}，密钥 {key}", f"whole, signed up to record {chain.signed} with {key}"
        )
    return tr(f"第 {chain.line} 行起不可信：{chain.reason}", f"broken at line {chain.line}: {chain.reason}")


def items_table(document: Document) -> Table:
    """The table of all requirements, which CSV has."""
    return next(table for table in document.tables if table.name == tr("全部要求", "All requirements"))


def as_json(context: Context, found: Assessed, now: datetime) -> dict[str, Any]:
    """The same for programs; it says itself that it is a self-assessment."""
    past, run = found.past, found.past.run
    return {
        "report": "assessment",
        "kind": "self-assessment",
        "inventory": context.inventory.name,
        "scope": {"kind": found.scope.kind, "name": found.scope.name, "hosts": sorted(found.scope.hosts)},
        "standard": past.standard.id,
        **({"graded": past.standard.graded} if isinstance(past.standard, Graded) else {}),
        "run": run.name,
        "at": run.record.at,
        "record": {"seq": run.record.seq, "sha256": run.record.hash},
        "results": {
            "as_on_record": run.results is not None,
            "sha256": run.found,
            "recorded_sha256": run.record.body["results_sha256"],
        },
        "chain": {"whole": past.chain.ok, "head": str(past.head)},
        "lists_changed_since": past.differs,
        "score": asdict(found.score),
        "wanting": [{"what": name or "statements", "items": count} for name, count in found.wanting],
        "items": [{**asdict(one), "evidence": _records(found, one)} for one in found.judged],
        "hazards": [{**asdict(one), "evidence": _records(found, one)} for one in found.hazards],
        "trend": [
            {"run": point.run.name, "at": point.run.record.at, "score": asdict(point.score)} for point in found.trend
        ],
        "made_at": now.isoformat(timespec="seconds"),
        "exit_code": found.exit_code,
    }


def _records(found: Assessed, one: Any) -> list[dict[str, Any]]:
    """The records that a verdict is in and rests on, by number and hash."""
    known = found.past.records
    chosen = [known[seq] for seq in (one.statement, one.accepted) if seq in known]
    return [{"seq": record.seq, "sha256": record.hash} for record in (*chosen, found.past.run.record)]
