"""The requirements one by one: what is not met and what mends it, accepted risks, hazards, checks, and the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from egovctl.assess.standards import Item
from egovctl.assess.verdict import BAD, Judged, Verdict
from egovctl.checks.context import Context
from egovctl.checks.model import Check, Result, Status
from egovctl.evidence import Record
from egovctl.i18n import pick, tr
from egovctl.report.assessed.gather import Assessed
from egovctl.report.assessment import VERDICTS
from egovctl.report.checks import MENDED, limit_of
from egovctl.report.document import Cell, Column, Links, Mark, Paragraph, Section, Table
from egovctl.report.document.model import Tone
from egovctl.report.monthly.month import ZONE
from egovctl.report.words import STATUS, word

SUBJECTS_SHOWN = 4
HASH_SHOWN = 12
VERDICT_TONES: dict[Verdict, Tone] = {
    Verdict.MET: "good",
    Verdict.PARTLY: "bad",
    Verdict.NOT_MET: "bad",
    Verdict.NOT_APPLICABLE: "quiet",
    Verdict.UNKNOWN: "unknown",
    Verdict.NEEDS_STATEMENT: "unknown",
}
KINDS = {
    "assess.facts": {"zh": "采集：主机的配置事实", "en": "collected: how a host is set up"},
    "assess.answers": {
        "zh": "采集：监测数据、连接尝试、配置偏差、运行状态",
        "en": "collected: measurements, flows tried, drift, units",
    },
    "assess.standard": {"zh": "判定与结果文件的散列", "en": "verdicts, and the hash of the file of results"},
    "assess.statement": {"zh": "人的说明", "en": "a statement"},
    "assess.accepted": {"zh": "接受的风险", "en": "an accepted risk"},
}


def verdict(value: Verdict) -> Mark:
    """The word for it, with its tone."""
    return Mark(word(VERDICTS, value.value), VERDICT_TONES[value])


def record_link(record: Record) -> tuple[str, str]:
    """The number of a record and the beginning of its hash, and where it is listed."""
    return f"{record.seq}:{record.hash[:HASH_SHOWN]}", f"record-{record.seq}"


def evidence(found: Assessed, one: Judged) -> Links:
    """What a verdict rests on: checks, a statement, an accepted risk, and the record that has the verdict."""
    parts = [(name, f"check-{name}") for name in one.checks if name in found.by_check]
    for seq in (one.statement, one.accepted):
        if seq is not None and seq in found.past.records:
            parts.append(record_link(found.past.records[seq]))
    return Links((*parts, record_link(found.past.run.record)))


def not_met(found: Assessed, context: Context) -> Section:
    """What is not met or in part: why, what mends it, with which tag of which playbook."""
    bad = [one for one in found.judged if one.verdict in BAD]
    table = Table(
        tr("不符合项", "not met"),
        tr("不符合与部分符合的要求", "Requirements that are not met, or in part"),
        (
            Column(tr("编号", "id")),
            Column(tr("要求（自拟标题）", "requirement (our title)")),
            Column(tr("判定", "verdict"), "mark"),
            Column(tr("依据", "why")),
            Column(tr("处理", "to mend")),
            Column(tr("剧本标签", "playbook tag")),
            Column(tr("证据", "evidence")),
        ),
        tuple(_bad_row(found, context, one, found.past.standard.by_id[one.item]) for one in bad),
        tr("没有。", "none"),
    )
    return Section(tr("不符合项", "Not met"), (table,))


def _bad_row(found: Assessed, context: Context, one: Judged, item: Item) -> tuple[Cell, ...]:
    checks = _failed(found, one)
    if checks:
        mend = " ".join(dict.fromkeys(str(check.fix) for check, _ in checks))
    elif item.unmet is not None:
        mend = tr("本套件所用的组件不能满足，须另配", "what the suite uses cannot meet it: other means are needed")
    else:
        mend = tr("如说明所述", "as the statement says")
    tags = dict.fromkeys(tag for check, subjects in checks if (tag := _tag(context, check, subjects)))
    mark = verdict(one.verdict)
    if one.accepted is not None:
        mark = Mark(mark.text + tr("（风险已接受）", " (risk accepted)"), mark.tone)
    return one.item, str(item), mark, one.text, mend, "; ".join(tags) or None, evidence(found, one)


def _failed(found: Assessed, one: Judged) -> list[tuple[Check, list[str]]]:
    """The checks that make it so, each with the subjects of which it is not true."""
    failed = []
    for name in one.checks:
        check = found.past.checks.get(name)
        subjects = [result.subject for result in found.by_check.get(name, ()) if result.status in MENDED]
        if check is not None and subjects:
            failed.append((check, subjects))
    return failed


def _tag(context: Context, check: Check, subjects: list[str]) -> str:
    if check.fix.tag is None:
        return ""
    known = [name for name in subjects if name in context.subjects(check.subject)]
    limit = limit_of(check, known, context).split(",")
    shown = ",".join(limit[:SUBJECTS_SHOWN]) + (
        f",+{len(limit) - SUBJECTS_SHOWN}" if len(limit) > SUBJECTS_SHOWN else ""
    )
    return f"--tags {check.fix.tag}" + (f" --limit {shown}" if shown else "")


def accepted(found: Assessed, now: datetime) -> Section:
    """Risks that were accepted when it was judged, and whether they still are."""
    titles = _titles(found)
    rows = []
    for one in (*found.judged, *found.hazards):
        risk = None if one.accepted is None else found.past.acceptances.get(one.accepted)
        if risk is None:
            continue
        over = risk.until < now.date().isoformat()
        state = Mark(tr("已过期", "has run out"), "bad") if over else Mark(tr("有效", "holds"), "good")
        people = (risk.reason, risk.owner, risk.approver, risk.until, state)
        links = Links((record_link(found.past.records[risk.seq]),))
        rows.append((one.item, str(titles[one.item]), *people, links))
    table = Table(
        tr("接受的风险", "accepted risks"),
        tr("接受的风险，不改变判定，也不提高符合率", "Accepted risks; they change no verdict and raise no rate"),
        (
            Column(tr("编号", "id")),
            Column(tr("要求", "requirement")),
            Column(tr("理由", "reason")),
            Column(tr("责任人", "owner")),
            Column(tr("批准人", "approver")),
            Column(tr("至", "until")),
            Column(tr("状态", "state"), "mark"),
            Column(tr("证据", "evidence")),
        ),
        tuple(rows),
        tr("没有。", "none"),
    )
    return Section(tr("接受的风险", "Accepted risks"), (table,))


def hazards(found: Assessed) -> Iterable[Section]:
    """The general high-risk cases, those that are present first."""
    if found.past.hazards is None:
        return
    ranked = sorted(found.hazards, key=lambda one: (one.verdict not in BAD, VERDICT_TONES[one.verdict] != "unknown"))
    yield Section(
        tr("高风险情形", "High-risk cases"),
        (
            Paragraph(
                tr(
                    "列出的是“没有这种情形”这一要求的判定：不符合即存在隐患。",
                    "The verdict is on there being no such case: not met means that the hazard is there.",
                )
            ),
            _all(found, ranked, tr("高风险情形", "high-risk"), tr("各情形的判定", "The verdict on each case")),
        ),
    )


def requirements(found: Assessed) -> Section:
    """All requirements in the standard's order."""
    title = tr("全部要求", "All requirements")
    return Section(title, (_all(found, found.judged, title, tr("各项要求的判定", "The verdict on each requirement")),))


def _all(found: Assessed, judged: Iterable[Judged], name: str, caption: str) -> Table:
    titles = _titles(found)
    rows = tuple(
        (one.item, titles[one.item].clause or None, str(titles[one.item]), verdict(one.verdict), one.text, links)
        for one in judged
        for links in (evidence(found, one),)
    )
    return Table(
        name,
        caption,
        (
            Column(tr("编号", "id")),
            Column(tr("条款", "clause")),
            Column(tr("要求（自拟标题）", "requirement (our title)")),
            Column(tr("判定", "verdict"), "mark"),
            Column(tr("依据", "why")),
            Column(tr("证据", "evidence")),
        ),
        rows,
        tr("没有。", "none"),
    )


def _titles(found: Assessed) -> dict[str, Item]:
    return found.past.standard.by_id | ({} if found.past.hazards is None else found.past.hazards.by_id)


def checks(found: Assessed) -> Section:
    """What each check saw: how many subjects have which status, and the first that do not pass."""
    shown = (Status.PASS, Status.PARTIAL, Status.FAIL)
    rows: list[tuple[Cell, ...]] = []
    for name, results in found.by_check.items():
        check = found.past.checks.get(name)
        counts = Counter(result.status for result in results)
        others = float(len(results) - sum(counts[status] for status in shown))
        numbers = (*(float(counts[status]) for status in shown), others)
        rows.append(
            (name, str(check.title) if check else "", *numbers, _seen(results), _looked_at(found, check, results))
        )
    table = Table(
        tr("检查", "checks"),
        tr("各项检查所见", "What each check saw"),
        (
            Column(tr("编号", "id")),
            Column(tr("检查", "check")),
            *(Column(word(STATUS, status.value), "number") for status in shown),
            Column(tr("其他", "other"), "number"),
            Column(tr("未通过的", "not passed")),
            Column(tr("证据", "evidence")),
        ),
        tuple(rows),
        tr("没有结果。", "there are no results"),
        anchors=tuple(f"check-{name}" for name in found.by_check),
    )
    return Section(tr("检查", "Checks"), (table,))


def _seen(results: list[Result]) -> str:
    """The first subjects of each status that is no pass, with what was seen of the first."""
    groups: dict[tuple[Status, str], list[str]] = {}
    for result in results:
        if result.status not in (Status.PASS, Status.NOT_APPLICABLE):
            groups.setdefault((result.status, result.text), []).append(result.subject)
    parts = []
    for (status, text), subjects in list(groups.items())[:SUBJECTS_SHOWN]:
        more = f" +{len(subjects) - SUBJECTS_SHOWN}" if len(subjects) > SUBJECTS_SHOWN else ""
        parts.append(f"{word(STATUS, status.value)} {', '.join(subjects[:SUBJECTS_SHOWN])}{more}: {text}")
    if len(groups) > SUBJECTS_SHOWN:
        parts.append(f"+{len(groups) - SUBJECTS_SHOWN}")
    return " / ".join(parts)


def _looked_at(found: Assessed, check: Check | None, results: list[Result]) -> Links:
    """The records of what was collected (of hosts: of those that do not pass, else the first), and of the results."""
    rests = (
        found.collected(check, [one for one in results if one.status in MENDED]) or found.collected(check, results)[:1]
    )
    return Links((*map(record_link, rests[:SUBJECTS_SHOWN]), record_link(found.past.run.record)))


def records(found: Assessed) -> Section:
    """Every record that something above leads to, with its whole hash."""
    collected = (*found.looks.values(), *found.answers.values())
    wanted = {record.seq: record for record in (*collected, *(point.run.record for point in found.trend))}
    for one in (*found.judged, *found.hazards):
        for seq in (one.statement, one.accepted):
            if seq is not None and seq in found.past.records:
                wanted[seq] = found.past.records[seq]
    wanted[found.past.run.record.seq] = found.past.run.record
    chosen = [wanted[seq] for seq in sorted(wanted)]
    table = Table(
        tr("证据记录", "records"),
        tr("证据链中的记录", "Records of the evidence chain"),
        (
            Column(tr("序号", "number")),
            Column(tr("时间", "time"), "moment"),
            Column(tr("内容", "what")),
            Column(tr("关于", "of")),
            Column("SHA-256"),
        ),
        tuple(
            (
                str(record.seq),
                datetime.fromisoformat(record.at).astimezone(ZONE),
                pick(KINDS.get(record.kind, {"zh": record.kind, "en": record.kind})),
                _of(record),
                record.hash,
            )
            for record in chosen
        ),
        tr("没有。", "none"),
        anchors=tuple(f"record-{record.seq}" for record in chosen),
    )
    city = found.past.inventory.name
    how = tr(
        f"核对一条记录：egovctl evidence show --seq 序号 -i {city}；"
        f"核对整条链：egovctl evidence verify --head 数量:散列 -i {city}。",
        f"To look at a record: egovctl evidence show --seq NUMBER -i {city}; at the chain: "
        f"egovctl evidence verify --head COUNT:HASH -i {city}.",
    )
    return Section(tr("证据", "Evidence"), (Paragraph(how), table))


def _of(record: Record) -> str:
    """What a record is of: a host, a requirement, a collector, or a run."""
    names = (record.body.get(name) for name in ("host", "item", "by", "run"))
    return next((str(name) for name in names if name), "")
