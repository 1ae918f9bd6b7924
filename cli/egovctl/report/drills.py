"""Runs of drills as tables for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from egovctl.drill.model import Drill, Item, Run, Target
from egovctl.evidence import Record
from egovctl.i18n import pick, tr
from egovctl.report.tables import plain_table, short_time
from egovctl.report.words import OUTCOME, VERDICT, VERDICT_STYLE, duration, word

PHASES = {
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
        tr("文件", "files"),
        tr("RTO（承诺）", "RTO (promise)"),
        tr("RPO（承诺）", "RPO (promise)"),
    )
    shown = plain_table(*headings, wrap=(0, 4, 5))
    for item in run.items:
        shown.add_row(
            f"{item.service}\n[dim]{item.host}[/]",
            word(OUTCOME, item.outcome),
            f"[{VERDICT_STYLE[item.verdict]}]{word(VERDICT, item.verdict)}[/]",
            str(item.files_compared),
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


def _phases(item: Item) -> str:
    return escape(", ".join(f"{pick(PHASES[name])} {value:.1f}" for name, value in item.phases.items()))


def summary(run: Run) -> str:
    """The last line."""
    files = sum(item.files_compared for item in run.items)
    return tr(
        f"执行：{word(OUTCOME, run.outcome)}；结论：{word(VERDICT, run.verdict)}；"
        f"比对 {files} 个文件，用时 {run.seconds:.1f} 秒，临时目录{'已清理' if run.cleaned else '未清理干净'}",
        f"outcome {word(OUTCOME, run.outcome)}, verdict {word(VERDICT, run.verdict)}; "
        f"{files} files compared in {run.seconds:.1f} s, scratch {'removed' if run.cleaned else 'NOT removed'}",
    )


def history_table(records: list[Record]) -> Table:
    """One row a run."""
    shown = plain_table(
        tr("时间", "time"),
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


def plan_lines(planned: list[tuple[Target, list[dict[str, str]]]]) -> list[str]:
    """What a run would do, as text."""
    lines = []
    for target, steps in planned:
        lines.append(str(target))
        lines += [f"  {number}. {pick(step)}" for number, step in enumerate(steps, start=1)]
    return lines
