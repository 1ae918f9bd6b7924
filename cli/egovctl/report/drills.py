"""Runs of drills as tables for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby, zip_longest
from typing import Any

from rich.markup import escape
from rich.table import Table

from egovctl.drill.model import Drill, Item, Run, Target
from egovctl.drill.past import Covered
from egovctl.evidence import Record
from egovctl.i18n import pick, tr
from egovctl.report.tables import plain_table, short_time
from egovctl.report.words import OUTCOME, VERDICT, VERDICT_STYLE, duration, word

PHASES = {
    "fetch": {"zh": "取回", "en": "fetch"},
    "find": {"zh": "查找", "en": "find"},
    "restore": {"zh": "恢复", "en": "restore"},
    "wal": {"zh": "取日志", "en": "WAL"},
    "check": {"zh": "检查", "en": "check"},
    "start": {"zh": "启动", "en": "start"},
    "load": {"zh": "加载", "en": "load"},
    "boot": {"zh": "引导", "en": "boot"},
    "ask": {"zh": "询问", "en": "ask"},
    "verify": {"zh": "核对", "en": "verify"},
}
PROMISES = {
    "rto": {"zh": "RTO", "en": "RTO"},
    "rpo": {"zh": "RPO", "en": "RPO"},
    "restore": {"zh": "恢复", "en": "restore"},
}
DETAILS_SHOWN = 20
WIDE = 116  # columns in which a line of the plan's table has room
COMMON = "restore-"  # with which most drills' names begin


def as_json(run: Run) -> dict[str, Any]:
    """All of a run."""
    return {
        **asdict(run),
        "head": str(run.head) if run.head else None,
        "outcome": run.outcome,
        "verdict": run.verdict,
        "exit_code": run.exit_code,
    }


def table(run: Run) -> Table:
    """One row a target: did it run, was it good, how long, how old, and why not."""
    headings = (
        tr("对象", "target"),
        tr("执行", "outcome"),
        tr("结论", "verdict"),
        tr("比对", "compared"),
        tr("RTO（承诺）", "RTO (promise)"),
        tr("RPO（承诺）", "RPO (promise)"),
    )
    shown = plain_table(*headings, wrap=(4, 5))
    for item in run.items:
        shown.add_row(
            f"{item.service}\n[dim]{item.host}[/]",
            word(OUTCOME, item.outcome),
            f"[{VERDICT_STYLE[item.verdict]}]{word(VERDICT, item.verdict)}[/]",
            _compared(item.files_compared, item.unit),
            f"{duration(item.rto_seconds)} ({duration(item.rto_promised_seconds)})\n[dim]{_phases(item)}[/]",
            f"{duration(item.rpo_seconds)} ({duration(item.rpo_promised_seconds)})",
        )
    return shown


def reasons(run: Run) -> list[str]:
    """Why not, one line each, a reason that all share once."""
    lines = [pick(reason) for reason in run.reasons]
    shared = set(lines)
    for item in run.items:
        for reason in item.reasons:
            if pick(reason) not in shared:
                lines.append(f"{item.service}@{item.host}: {pick(reason)}")
    return lines


def _compared(count: int, unit: str) -> str:
    return f"{count} {tr('行', 'rows') if unit == 'rows' else tr('个文件', 'files')}"


def _phases(item: Item) -> str:
    return escape(", ".join(f"{_phase(name)} {value:.1f}" for name, value in item.phases.items()))


def _phase(name: str) -> str:
    return pick(PHASES[name]) if name in PHASES else name


def summary(run: Run) -> str:
    """The last line."""
    compared = ", ".join(
        _compared(sum(item.files_compared for item in run.items if item.unit == unit), unit)
        for unit in dict.fromkeys(item.unit for item in run.items)
    )
    return tr(
        f"执行：{word(OUTCOME, run.outcome)}；结论：{word(VERDICT, run.verdict)}；"
        f"比对 {compared or 0}，用时 {run.seconds:.1f} 秒，临时目录{'已清理' if run.cleaned else '未清理干净'}",
        f"outcome {word(OUTCOME, run.outcome)}, verdict {word(VERDICT, run.verdict)}; "
        f"{compared or 0} compared in {run.seconds:.1f} s, scratch {'removed' if run.cleaned else 'NOT removed'}",
    )


def history_table(records: list[Record]) -> Table:
    """One row a run."""
    shown = plain_table(
        tr("时间 (UTC+8)", "time (UTC+8)"),
        tr("演练", "drill"),
        tr("编号", "run"),
        tr("执行", "outcome"),
        tr("结论", "verdict"),
        tr("数", "n"),
        tr("最长 RTO", "worst RTO"),
    )
    for record in records:
        body = record.body
        longest = max((item["rto_seconds"] or 0.0 for item in body["items"]), default=0.0)
        verdict = body["verdict"]
        shown.add_row(
            short_time(record.at)[:16],
            body["drill"],
            body["run"][:8],
            word(OUTCOME, body["outcome"]),
            f"[{VERDICT_STYLE[verdict]}]{word(VERDICT, verdict)}[/]",
            str(len(body["items"])),
            duration(longest or None),
        )
    return shown


def drills_table(drills: list[Drill]) -> Table:
    """What can be rehearsed, and why."""
    shown = plain_table(tr("编号", "id"), tr("演练", "drill"), tr("理由", "why"), wrap=(1, 2))
    for drill in drills:
        shown.add_row(drill.id, str(drill.title), str(drill.why))
    return shown


def plan_table(rows: list[Covered], width: int = WIDE) -> Table:
    """One row a service, host and drill: when last proven, how long it takes, which promise would break.

    A line each on a terminal of `WIDE` columns. On a narrower one the drills of a service on a host stand beside its
    two names, without what all drills' names begin with.
    """
    headings = (tr("演练", "drill"), tr("最近证明", "proven"), tr("最近/中位/最长 (n)", "last/median/worst (n)"))
    breaks = tr("不兑现", "breaks")
    if width >= WIDE:
        shown = plain_table(tr("服务", "service"), tr("主机", "host"), *headings, "RTO", breaks)
        for row in rows:
            *parts, broken = _covered(row)
            shown.add_row(row.service, row.host, *parts, duration(row.rto), broken)
        return shown
    shown = plain_table(tr("对象 (RTO)", "target (RTO)"), *headings, breaks, wrap=(3,))
    for (service, host), group in groupby(rows, key=lambda row: (row.service, row.host)):
        some = list(group)
        names = [service, f"[dim]{host} ({duration(some[0].rto)})[/]"]
        for name, row in zip_longest(names, some):
            drill, *others = _covered(row) if row else [""] * 4
            shown.add_row(name or "", drill.removeprefix(COMMON), *others)
    return shown


def _covered(row: Covered) -> list[str]:
    """What the plan's table says of a row beside its names."""
    past = row.past
    when = short_time(past.drilled_at)[:10] if past.drilled_at else tr("从未", "never")
    seconds = "/".join(duration(value) for value in (past.last, past.middle, past.worst)) if past.rto else "—"
    return [
        row.drill or tr("没有演练", "no drill"),
        f"[bold red]{when}[/]" if row.overdue else when,
        f"{seconds} ({len(past.rto)})",
        f"[bold red]{_broken(row)}[/]" if row.breaks else "—",
    ]


def _broken(row: Covered) -> str:
    return ", ".join(pick(PROMISES[name]) for name in row.breaks)


def plan_summary(rows: list[Covered]) -> str:
    """The last line."""
    overdue, breaks = sum(row.overdue for row in rows), sum(bool(row.breaks) for row in rows)
    return tr(
        f"{len(rows)} 项，超过 90 天未演练 {overdue} 项，将不兑现承诺 {breaks} 项",
        f"{len(rows)} sets, {overdue} not proven within 90 days, {breaks} that would break a promise",
    )


def covered_json(row: Covered) -> dict[str, Any]:
    """A row for programs; seconds."""
    past = row.past
    return {
        "service": row.service,
        "host": row.host,
        "drill": row.drill or None,
        "last_proven_at": past.drilled_at,
        "verdict": past.verdict,
        "overdue": row.overdue,
        "restores": len(past.rto),
        "restore_seconds": {"last": past.last, "median": past.middle, "worst": past.worst},
        "rpo_seconds": past.rpo,
        "promised": {"rto": row.rto, "rpo": row.rpo},
        "would_break": row.breaks,
    }


def run_lines(planned: Record | None, result: Record | None) -> list[str]:
    """All of one run, as text: what was planned, and for each target how it went, why not, and what was found."""
    lines = []
    if planned:
        targets = ", ".join(f"{one['service']}@{one['host']}" for one in planned.body["targets"])
        lines.append(
            tr(
                f"{planned.at} 计划 {planned.body['drill']}：{targets}",
                f"{planned.at} planned {planned.body['drill']}: {targets}",
            )
        )
    if result is None:
        return [*lines, tr("没有结果：仍在进行，或被终止", "no result: it is under way, or was killed")]
    body = result.body
    run, words = body["run"], f"{word(OUTCOME, body['outcome'])}, {word(VERDICT, body['verdict'])}"
    lines.append(
        tr(
            f"{result.at} 演练 {run}：{words}，{body['seconds']:.1f} 秒",
            f"{result.at} run {run}: {words}, {body['seconds']:.1f} s",
        )
    )
    lines += [f"· {pick(reason)}" for reason in body["reasons"]]
    for item in body["items"]:
        lines += _item_lines(item)
    lines.append(tr(f"证据 {result.seq}:{result.hash}", f"evidence {result.seq}:{result.hash}"))
    return lines


def _item_lines(item: dict[str, Any]) -> list[str]:
    phases = ", ".join(f"{_phase(name)} {seconds:.1f}" for name, seconds in item["phases"].items())
    took = f"{duration(item['rto_seconds'])} ({duration(item['rto_promised_seconds'])})"
    age = f"{duration(item['rpo_seconds'])} ({duration(item['rpo_promised_seconds'])})"
    lines = [
        f"{item['service']}@{item['host']}: {word(OUTCOME, item['outcome'])}, {word(VERDICT, item['verdict'])}",
        f"  RTO {took}  {phases}",
        f"  RPO {age}",
        tr("  比对 ", "  compared: ") + _compared(item["files_compared"], item.get("unit", "files")),
    ]
    lines += [f"  · {pick(reason)}" for reason in item["reasons"]]
    if causes := item.get("causes"):
        lines.append(tr("  原因：", "  causes: ") + ", ".join(causes))
    return [*lines, *(f"  {name}: {_short(value)}" for name, value in item["details"].items() if value)]


def _short(value: Any) -> str:
    """A detail on one line; of a long list its beginning."""
    if isinstance(value, dict):
        value = [f"{name} ({how})" for name, how in value.items()]
    if isinstance(value, list):
        more = f" … ({len(value)})" if len(value) > DETAILS_SHOWN else ""
        return ", ".join(map(str, value[:DETAILS_SHOWN])) + more
    return str(value)


def plan_lines(planned: list[tuple[Target, list[dict[str, str]]]]) -> list[str]:
    """What a run would do, as text."""
    lines = []
    for target, steps in planned:
        lines.append(str(target))
        lines += [f"  {number}. {pick(step)}" for number, step in enumerate(steps, start=1)]
    return lines
