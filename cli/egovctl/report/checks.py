"""A run of checks as a table for people and as JSON for programs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from egovctl.checks.context import Context
from egovctl.checks.engine import NO_SUBJECT, Run
from egovctl.checks.model import Check, Result, Status
from egovctl.i18n import tr
from egovctl.paths import project_root
from egovctl.report.tables import plain_table
from egovctl.report.words import STATUS, STYLE, word

MENDED = (Status.FAIL, Status.PARTIAL)


def as_json(run: Run) -> dict[str, Any]:
    """All of a run; the exit code too, so that a reader of the file needs nothing else."""
    return {
        "run": run.id,
        "checklist": run.checklist,
        "started_at": run.started_at,
        "seconds": run.seconds,
        "totals": run.totals,
        "exit_code": run.exit_code,
        "head": str(run.head) if run.head else None,
        "results": [asdict(result) for result in run.results],
    }


def table(run: Run, checks: Mapping[str, Check]) -> Table:
    """One row a check when all its subjects pass; else one row each for those that do not, with what to do."""
    headings = (tr("检查", "check"), tr("对象", "subject"), tr("结果", "result"), tr("所见", "seen"))
    shown = plain_table(*headings, wrap=(0, 3))
    for name in dict.fromkeys(result.check for result in run.results):
        results = [result for result in run.results if result.check == name]
        check = checks.get(name)
        title = f"{check.title}\n[dim]{name}[/]" if check else name
        good = [result for result in results if result.status is Status.PASS]
        if good:
            shown.add_row(title, _subjects(good), _status(Status.PASS), escape(_shared_text(good)))
            title = ""
        bad: dict[tuple[Status, str], list[Result]] = {}
        for result in results:
            if result.status is not Status.PASS:
                bad.setdefault((result.status, result.text), []).append(result)
        for (status, _), alike in bad.items():
            subjects = ", ".join(result.subject for result in alike)
            shown.add_row(title, subjects, _status(status), _with_fix(alike[0], check))
            title = ""
        shown.add_section()
    return shown


def commands(run: Run, checks: Mapping[str, Check], context: Context) -> list[str]:
    """What to run to apply again what the failed checks name, one whole command line a check."""
    root = context.inventory.root
    shown = root.relative_to(project_root()) if root.is_relative_to(project_root()) else root
    lines = []
    for name in dict.fromkeys(result.check for result in run.results if result.status in MENDED):
        check = checks.get(name)
        if check is None or check.fix.tag is None:
            continue
        subjects = [result.subject for result in run.results if result.check == name and result.status in MENDED]
        limit = limit_of(check, subjects, context)
        words = ["ansible-playbook", "-i", str(shown), "playbooks/site.yml", "--tags", check.fix.tag]
        lines.append(shlex.join([*words, "--limit", limit] if limit else words))
    return list(dict.fromkeys(lines))


def limit_of(check: Check, subjects: list[str], context: Context) -> str:
    """An Ansible pattern for where the fix is applied; "" for every host."""
    if check.fix.limit != "subject":
        return "" if check.fix.limit == "all" else check.fix.limit
    hosts: list[str] = []
    for subject in subjects:
        match check.subject:
            case "host":
                hosts.append(subject)
            case "service":
                hosts += context.service(subject).hosts
            case "lan":
                hosts += [lan.hosts[0] for lan in context.city.lans if lan.site == subject]
            case "city" | "website":
                return ""
    return ",".join(dict.fromkeys(host for host in hosts if host != NO_SUBJECT))


def summary(run: Run) -> str:
    """The last line: how many of each, and how long it took."""
    parts = [f"{word(STATUS, name)} {count}" for name, count in run.totals.items() if count]
    return (
        tr(f"共 {len(run.results)} 项：", f"{len(run.results)} results: ")
        + ", ".join(parts)
        + f" ({run.seconds:.1f} s)"
    )


def _shared_text(results: list[Result]) -> str:
    """What all say; where they differ, what the last one says, with its name."""
    last = results[-1]
    if all(result.text == last.text for result in results):
        return last.text
    return tr(f"如 {last.subject}：{last.text}", f"such as {last.subject}: {last.text}")


def _subjects(results: list[Result]) -> str:
    names = [result.subject for result in results]
    return names[0] if len(names) == 1 else tr(f"{len(names)} 个", f"{len(names)}")


def _status(status: Status) -> str:
    return f"[{STYLE[status.value]}]{word(STATUS, status.value)}[/]"


def _with_fix(result: Result, check: Check | None) -> str:
    text = escape(result.text)
    if result.status in MENDED and check is not None:
        text += f"\n[dim]{tr('处理：', 'to mend: ')}{escape(str(check.fix))}[/]"
    return text
