"""A self-assessment as tables for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from egovctl.assess.run import Assessment, Change
from egovctl.assess.score import Interval
from egovctl.assess.standards import Item, Standard
from egovctl.assess.verdict import BAD, Judged, Verdict
from egovctl.checks.context import Context
from egovctl.checks.engine import Run
from egovctl.checks.model import Check, Result
from egovctl.evidence import Record
from egovctl.i18n import pick, tr
from egovctl.report.checks import MENDED, commands
from egovctl.report.tables import plain_table, short_time
from egovctl.report.words import STATUS, word

SUBJECTS_SHOWN = 6  # of subjects that are alike

VERDICTS = {
    "met": {"zh": "符合", "en": "met"},
    "partly": {"zh": "部分符合", "en": "partly"},
    "not_met": {"zh": "不符合", "en": "NOT MET"},
    "not_applicable": {"zh": "不适用", "en": "not applicable"},
    "unknown": {"zh": "未知", "en": "unknown"},
    "needs_statement": {"zh": "待说明", "en": "needs a statement"},
}
COLOURS = {"met": "green", "partly": "yellow", "not_met": "bold red", "not_applicable": "dim"}
CONCLUSIONS = {
    "conforms": {"zh": "符合", "en": "conforms"},
    "basically": {"zh": "基本符合", "en": "basically conforms"},
    "does_not": {"zh": "不符合", "en": "does not conform"},
    "excellent": {"zh": "优", "en": "excellent"},
    "good": {"zh": "良", "en": "good"},
    "medium": {"zh": "中", "en": "medium"},
    "poor": {"zh": "差", "en": "poor"},
}
WAYS = {
    "H": {"zh": "主机", "en": "hosts"},
    "P": {"zh": "监测", "en": "measurements"},
    "N": {"zh": "网络配置", "en": "network configuration"},
    "R": {"zh": "登记与记录", "en": "registers and journals"},
    "M": {"zh": "人", "en": "people"},
}
SETTLES = {
    "full": {"zh": "可由机器证据确定", "en": "machine evidence can settle it"},
    "partial": {"zh": "机器证据只能说明一部分", "en": "machine evidence settles a part"},
    "none": {"zh": "只能由人说明", "en": "only people can tell"},
}
SOURCES = {
    "verified": {"zh": "条目已与标准目录核对", "en": "entry compared with a list of the standard"},
    "from-memory": {"zh": "条目凭记忆写成，未核对", "en": "entry from memory, not compared"},
}


def as_json(assessment: Assessment) -> dict[str, Any]:
    """All of it; says itself that it is a self-assessment."""
    return {
        "kind": "self-assessment",
        "run": assessment.run,
        "standard": assessment.standard,
        **({"graded": assessment.graded} if assessment.graded else {}),
        "started_at": assessment.started_at,
        "seconds": assessment.seconds,
        "cpu_seconds": assessment.cpu_seconds,
        "reused": assessment.reused,
        "recalled": assessment.recalled,
        "score": asdict(assessment.score),
        "wanting": [{"what": what or "statements", "items": count} for what, count in assessment.wanting],
        "items": [asdict(one) for one in assessment.judged],
        "hazards": [asdict(one) for one in assessment.hazards],
        "exit_code": assessment.exit_code,
        "head": str(assessment.head) if assessment.head else None,
    }


def title(standard: Standard) -> str:
    """What it is, of what, and that it is no licensed body's."""
    return tr(
        f"自查 · {standard.title}（{standard.document}）",
        f"Self-assessment: {standard.title} ({standard.document})",
    )


def area_table(assessment: Assessment, standard: Standard) -> Table:
    """How many requirements of each area have which verdict."""
    names = [word(VERDICTS, verdict.value) for verdict in Verdict]
    table = plain_table(
        tr("方面", "area"), *names, tr("合计", "all"), wrap=(0, *range(1, len(names) + 1)), title=title(standard)
    )
    verdicts = {one.item: one.verdict for one in assessment.judged}
    totals: Counter[Verdict] = Counter()
    for area in standard.areas:
        counts = Counter(verdicts[item.id] for point in area.points for item in point.items)
        totals += counts
        table.add_row(str(area), *(_count(counts[verdict]) for verdict in Verdict), str(area.items))
    table.add_section()
    table.add_row(tr("合计", "all"), *(_count(totals[verdict]) for verdict in Verdict), str(standard.items))
    return table


def item_table(judged: list[Judged], items: dict[str, Item], heading: str) -> Table:
    """One row a requirement, with the reason."""
    table = plain_table(
        tr("编号", "id"),
        tr("要求（本套件自拟标题）", "requirement (our title)"),
        tr("判定", "verdict"),
        tr("依据", "why"),
        wrap=(1, 3),
        title=heading,
    )
    for one in judged:
        mark = tr("（风险已接受）", " (accepted)") if one.accepted is not None else ""
        colour = COLOURS.get(one.verdict.value, "yellow")
        table.add_row(
            one.item,
            escape(str(items[one.item])),
            f"[{colour}]{word(VERDICTS, one.verdict.value)}[/]{mark}",
            escape(one.text),
        )
    return table


def bad(judged: tuple[Judged, ...]) -> list[Judged]:
    """Those that are not met, or in part."""
    return [one for one in judged if one.verdict in BAD]


def score_lines(assessment: Assessment, standard: Standard, city: str) -> list[str]:
    """Rates, hazards and conclusions, each as an interval, and what would narrow it. `city` is the inventory's name."""
    score = assessment.score
    lines = [
        tr(
            f"符合率 {percent(score.rate_partial_0)}（部分符合计 0）",
            f"rate {percent(score.rate_partial_0)} (partly counts 0)",
        )
        + tr(f"，{percent(score.rate_partial_half)}（计 ½）", f", {percent(score.rate_partial_half)} (counts ½)")
        + tr(f"；适用 {score.applicable} 项", f"; {score.applicable} apply"),
        tr(
            f"不计已接受的风险：{percent(score.without_accepted)}",
            f"leaving accepted risks out: {percent(score.without_accepted)}",
        ),
    ]
    if standard.scored:
        low, high = (word(CONCLUSIONS, name) for name in score.conclusion)
        worst, best = (word(CONCLUSIONS, name) for name in score.grade)
        hazards = span(f"{score.hazards.low:.0f}", f"{score.hazards.high:.0f}")
        points = span(f"{score.deducted.low:.1f}", f"{score.deducted.high:.1f}")
        lines += [
            tr(
                f"重大风险隐患 {hazards} 项；新模板结论：{span(low, high)}",
                f"major hazards {hazards}; newer template: {span(low, high)}",
            ),
            tr(
                f"旧模板得分 {points}，{span(worst, best)}（公式凭记忆，权重未知）",
                f"older template {points} points, {span(worst, best)} (formula from memory, weights unknown)",
            ),
        ]
    lines.append(
        tr("区间：下限把未知全算不符合，上限全算符合", "intervals: from all unknown failing to all unknown passing")
    )
    for what, count in assessment.wanting:
        if what:
            lines.append(tr(f"未测得 {what}，{count} 项因此未知", f"{what} did not measure: {count} are open for it"))
        else:
            lines.append(
                tr(
                    f"{count} 项待说明：egovctl assess answer 编号 … -i {city}",
                    f"{count} wait for a statement: egovctl assess answer ITEM ... -i {city}",
                )
            )
    return lines


def history_table(records: list[Record], standard: Standard) -> Table:
    """One row an assessment: when, what was met and what not, the rate, the hazards."""
    columns = [
        tr("时间 (UTC+8)", "time (UTC+8)"),
        tr("测评", "run"),
        tr("符合", "met"),
        tr("部分", "partly"),
        tr("不符合", "not met"),
    ]
    columns += [tr("待定", "open"), tr("符合率", "rate"), tr("隐患", "hazards")]
    table = plain_table(*columns, title=title(standard))
    for record in records:
        score, counts = record.body["score"], record.body["score"]["counts"]
        hazards = span(*(f"{score['hazards'][end]:.0f}" for end in ("low", "high")))
        table.add_row(
            short_time(record.at),
            record.body["run"],
            *(str(counts[name]) for name in ("met", "partly", "not_met")),
            str(counts["unknown"] + counts["needs_statement"]),
            percent(Interval(**score["rate_partial_0"])),
            hazards,
        )
    return table


def past_as_json(record: Record) -> dict[str, Any]:
    """The same of one assessment, for programs."""
    return {name: record.body[name] for name in ("run", "standard", "score")} | {"record": record.seq, "at": record.at}


def change_lines(changed: list[Change], titles: dict[str, Item]) -> list[str]:
    """What became worse with its reason, then what became better."""
    lines = []
    for one in changed:
        sign = tr("变差", "worse") if one.worse else tr("变好", "better")
        verdicts = f"{word(VERDICTS, one.before)} → {word(VERDICTS, one.after)}"
        lines.append(f"{sign}  {one.item}  {titles.get(one.item, '')}  {verdicts}  {pick(one.reason)}")
    return lines


def explained(standard: Standard, item: Item, one: dict[str, Any] | None, counted: bool | None) -> list[str]:
    """What a requirement is, and its last verdict with the reason; `one` is None when it has none. `counted`: whether
    the verdict went by the statement."""
    area, point = next((area, point) for area, point, entry in standard.walk() if entry.id == item.id)
    lines = [
        f"{item.id}  {item}",
        f"  {standard.document} {item.clause}  {area} / {point}" + (f"  ({point.class_})" if point.class_ else ""),
        "  " + "; ".join((word(WAYS, item.by), word(SETTLES, item.settles), word(SOURCES, item.source))),
    ]
    if item.like:
        lines.append(tr(f"  参见 {', '.join(item.like)}", f"  like {', '.join(item.like)}"))
    if one is None:
        return [*lines, tr("  尚无判定", "  no verdict yet")]
    reason = pick(one["reason"])
    lines.append(tr("  自查判定：", "  self-assessed: ") + f"{word(VERDICTS, one['verdict'])} · {reason}")
    if one["statement"] is not None:
        said = tr(f"  说明：证据记录 {one['statement']}", f"  statement: evidence record {one['statement']}")
        lines.append(said if counted else said + _not_counted(item))
    if one["accepted"] is not None:
        lines.append(
            tr(f"  风险已接受：证据记录 {one['accepted']}", f"  accepted risk: evidence record {one['accepted']}")
        )
    return lines


def _not_counted(item: Item) -> str:
    if item.unmet is not None:
        return tr(
            "（未计入：本套件所用的不能满足此项）", " (it did not count: what the suite itself uses cannot meet this)"
        )
    return tr("（未计入：判定以检查为准）", " (it did not count: the verdict is what the checks say)")


def idle_line(item: Item, judged: Judged) -> str:
    """A note that a statement changes nothing, and by what the verdict goes instead."""
    if item.unmet is not None:
        return tr(
            f"注意：{item.id} 的判定不因说明而变，总是不符合：{judged.text}",
            f"note: {item.id} is not met whatever is stated: {judged.text}",
        )
    verdict = word(VERDICTS, judged.verdict.value)
    return tr(
        f"注意：按上次测评，这条说明不改变 {item.id} 的判定：{verdict} · {judged.text}",
        f"note: by the last assessment this statement changes nothing; {item.id}: {verdict} · {judged.text}",
    )


def settled_line(item: Item) -> str:
    """A note that checks may say all there is to say, where nothing was assessed yet."""
    return tr(
        f"注意：检查能判定 {item.id}：只有检查留给人的（如没有登记），这条说明才计入",
        f"note: checks can settle {item.id}: this statement counts only if they leave it to people, "
        "as where a register is not kept",
    )


def fixes(results: Sequence[Result], checks: Mapping[str, Check], context: Context) -> list[dict[str, Any]]:
    """What mends each check that failed: its text in both languages, and the whole command line, None where its fix has
    no tag or what it failed of is not in the plan any more."""
    found = []
    for name in dict.fromkeys(result.check for result in results if result.status in MENDED):
        if (check := checks.get(name)) is None:
            continue
        known = context.subjects(check.subject)
        failed = tuple(result for result in results if result.check == name and result.subject in known)
        lines = commands(Run("", "", failed, "", 0.0), checks, context)
        text = {"zh": check.fix.zh, "en": check.fix.en}
        found.append({"check": name, "text": text, "command": lines[0] if lines else None})
    return found


def check_lines(
    results: list[dict[str, Any]], checks: Mapping[str, Check], item: str, mending: Sequence[dict[str, Any]]
) -> list[str]:
    """What each check said: subjects that are alike in one line, with the facts' hash where theirs is the same; then
    what mends it, as `fixes` says."""
    by_check = {fix["check"]: fix for fix in mending}
    alike: dict[str, dict[tuple[str, str], list[dict[str, Any]]]] = {}
    for result in results:
        text = pick(result["detail"])
        alike.setdefault(result["check"], {}).setdefault((result["status"], text), []).append(result)
    lines = []
    for name, groups in alike.items():
        check = checks.get(name)
        support = check is not None and item in check.supports
        lines.append(f"  {name}" + (tr("（旁证）", " (supports)") if support else ""))
        for (status, text), group in groups.items():
            subjects = ", ".join(one["subject"] for one in group[:SUBJECTS_SHOWN])
            more = f" +{len(group) - SUBJECTS_SHOWN}" if len(group) > SUBJECTS_SHOWN else ""
            hashes = {one["facts_sha256"][:12] for one in group}
            facts = f" · {hashes.pop()}" if len(hashes) == 1 and hashes != {""} else ""
            lines.append(f"    {word(STATUS, status)} · {subjects}{more} · {text}{facts}")
        if (fix := by_check.get(name)) is not None:
            lines.append(f"    {tr('处理：', 'to mend: ')}{pick(fix['text'])}")
            if fix["command"] is not None:
                lines.append(f"    {tr('重新应用：', 'to apply again: ')}{fix['command']}")
    return lines


def _count(number: int) -> str:
    return str(number) if number else "·"


def percent(interval: Interval) -> str:
    """Per cent, from the least to the most."""
    return span(f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}") + " %"


def span(low: str, high: str) -> str:
    """Both ends, or the one that they are."""
    return low if low == high else f"{low} – {high}"
