"""egovctl drill: rehearse, measure against the promise, clean up, record."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from pathlib import Path

import click

from egovctl.commands.calibrate import calibrate
from egovctl.commands.options import format_option, inventory_option
from egovctl.errors import UsageError
from egovctl.i18n import pick, tr
from egovctl.paths import Inventory


@click.group()
def drill() -> None:
    """Rehearse restores and compare with what was promised. / 演练恢复，与承诺比较。"""


drill.add_command(calibrate)


@drill.command()
@click.argument("name", metavar="DRILL")
@click.option("--service", "services", multiple=True, help="Only this service; may be given again. / 只演练此服务。")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False),
    help="Existing folder to restore into; what the run makes there is removed. / 临时目录。",
)
@click.option("--at", help="Restore to this moment, as 2026-03-01T09:59:59+08:00. / 恢复到此时刻。")
@click.option("--dry-run", is_flag=True, help="Say what would be done; contact nobody. / 只说明，不执行。")
@inventory_option
@format_option
def run(
    name: str,
    services: tuple[str, ...],
    scratch: Path | None,
    at: str | None,
    dry_run: bool,
    inventory: Inventory,
    output: str,
) -> None:
    """Run DRILL, such as restore-files. Exit 0 promise met, 1 not met, 3 could not be said."""
    from rich.console import Console

    from egovctl.checks import open_context, require_network
    from egovctl.commands.assess import publish_or_say
    from egovctl.drill import plan_run, run_drill
    from egovctl.drill.model import Options
    from egovctl.evidence import open_chain
    from egovctl.report import drills as report

    context = open_context(inventory)
    options = Options(scratch, services, _moment(at))
    if dry_run:
        click.echo("\n".join(report.plan_lines(plan_run(context, name, options))))
        return
    require_network(inventory)
    chain = open_chain(inventory, context.city.plan_revision)
    with Console(stderr=True).status(tr("演练中", "drill under way")) as status:
        result = run_drill(context, name, chain, options, lambda text: status.update(_progress(text)))
    if output == "json":
        click.echo(json.dumps(report.as_json(result), ensure_ascii=False))
    else:
        out = Console(highlight=False)
        out.print(report.table(result))
        for line in report.reasons(result):
            out.print(f"· {line}", markup=False, soft_wrap=True)
        out.print(report.summary(result))
        out.print(tr(f"证据链头 {result.head}", f"evidence head {result.head}"), soft_wrap=True)
    publish_or_say(context, chain)
    sys.exit(result.exit_code)


def _moment(text: str | None) -> float | None:
    """Unix time of an ISO 8601 moment with its zone; UsageError for another text."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError(
            tr(
                f"--at {text}：须写成带时区的时刻，如 2026-03-01T09:59:59+08:00",
                f"--at {text}: a moment with its zone is wanted, as 2026-03-01T09:59:59+08:00",
            )
        )
    if found.timestamp() > time.time():
        raise UsageError(tr(f"--at {text}：那一时刻还没有到", f"--at {text}: that moment is still to come"))
    return found.timestamp()


def _progress(text: str) -> str:
    return tr("检查演练前状态", "looking at the steady state") if text == "steady" else text


@drill.command("list")
@inventory_option
def list_(inventory: Inventory) -> None:
    """List the drills, and why each is there. / 列出演练。"""
    from rich.console import Console

    from egovctl.checks import open_context
    from egovctl.drill.engine import drills
    from egovctl.report.drills import drills_table

    shelf = drills(open_context(inventory))
    Console().print(drills_table(list(shelf.entries.values())))
    for reason in shelf.broken.values():
        click.echo(pick(reason), err=True)


@drill.command()
@inventory_option
@format_option
def history(inventory: Inventory, output: str) -> None:
    """List past runs; clean up after one that was killed, and record it. / 历次演练。"""
    from rich.console import Console

    from egovctl.checks import open_context
    from egovctl.drill import history as past
    from egovctl.drill import recover
    from egovctl.evidence import open_chain
    from egovctl.report.drills import history_table

    context = open_context(inventory)
    chain = open_chain(inventory, context.city.plan_revision)
    recover(context, chain)
    records = past(chain)
    if output == "json":
        click.echo(json.dumps([{"seq": item.seq, "at": item.at, **item.body} for item in records], ensure_ascii=False))
    else:
        Console().print(history_table(records))


@drill.command()
@click.argument("run_id", metavar="RUN")
@inventory_option
@format_option
def show(run_id: str, inventory: Inventory, output: str) -> None:
    """Show all of one run; the beginning of its id is enough. / 显示一次演练的全部内容。"""
    from rich.console import Console

    from egovctl.drill.past import one_run
    from egovctl.evidence import open_chain
    from egovctl.report import drills as report

    planned, result = one_run(open_chain(inventory).records(), run_id)
    if output == "json":
        parts = {"planned": planned, "result": result}
        click.echo(
            json.dumps(
                {name: {"seq": one.seq, "at": one.at, **one.body} for name, one in parts.items() if one},
                ensure_ascii=False,
            )
        )
        return
    console = Console(highlight=False)
    for line in report.run_lines(planned, result):
        console.print(line, markup=False, soft_wrap=True)


@drill.command()
@inventory_option
@format_option
def plan(inventory: Inventory, output: str) -> None:
    """Which drill covers which service, when it was last proven, which promise would break.

    Exit 1 when a set is overdue (90 days) or not covered, or when a promise would break. / 演练覆盖与到期。
    """
    from rich.console import Console

    from egovctl.checks import open_context
    from egovctl.drill import coverage
    from egovctl.evidence import open_chain
    from egovctl.report import drills as report

    context = open_context(inventory)
    rows = coverage(context, open_chain(inventory, context.city.plan_revision))
    if output == "json":
        click.echo(json.dumps([report.covered_json(row) for row in rows], ensure_ascii=False))
    else:
        console = Console(highlight=False)
        console.print(report.plan_table(rows, console.width))
        console.print(report.plan_summary(rows))
    sys.exit(1 if any(row.overdue or row.breaks for row in rows) else 0)
