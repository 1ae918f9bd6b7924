"""egovctl assess: is the city as it should be? Measure, judge, record."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import timedelta

import click
from rich.console import Console

from egovctl.assess.objects import OBJECTS, is_object
from egovctl.assess.standards import standards
from egovctl.backups import witness
from egovctl.checks import content, open_context, require_network, run_checklist
from egovctl.checks.context import Context
from egovctl.checks.metrics import publish
from egovctl.commands.assess_answer import accept, answer
from egovctl.commands.assess_register import register
from egovctl.commands.assess_standard import COMMANDS, run_and_print
from egovctl.commands.options import format_option, inventory_option
from egovctl.errors import EgovError, UsageError
from egovctl.evidence import Chain, open_chain
from egovctl.evidence.keys import chains
from egovctl.i18n import pick, tr
from egovctl.paths import Inventory
from egovctl.plan.models import DURATION, SECONDS
from egovctl.report import checks as report
from egovctl.report.reachability import zone_table
from egovctl.report.tables import plain_table

COLLECTOR_WORDS = {
    "alerts": ("查询告警规则", "asking for the alert rules"),
    "drift": ("逐台比对配置", "comparing hosts with what is rendered"),
    "facts": ("采集各主机的配置事实", "gathering how the hosts are set up"),
    "host": ("查看各主机", "looking at the hosts"),
    "prometheus": ("查询 Prometheus", "asking Prometheus"),
    "reach-from-lan": ("从用户局域网试探流量", "trying flows from the users' LANs"),
    "reachability": ("试探全部流量", "trying every flow of the matrix"),
    "registers": ("查阅规划、登记和记录", "reading the plan, registers and journals"),
    "reach-from-router": ("从单位路由器试探流量", "trying flows from the departments' routers"),
}


@click.group()
def assess() -> None:
    """Run checklists and record what was seen as evidence. / 按清单核查，所见记为证据。"""


@assess.command()
@click.argument("checklist")
@click.option("--only", multiple=True, metavar="ID", help="Only this check; may be given again.")
@click.option("--all", "every", is_flag=True, help="Of a standard: every requirement, not only those not met.")
@click.option(
    "--max-age",
    "max_age",
    metavar="30m|2h|1d",
    help="Of a standard: neither a host nor another source, such as Prometheus, is asked again for what it said within "
    "this time. / 测评标准时，主机和其他来源（如 Prometheus）在此时间内的结果沿用，不再询问。",
)
@click.option("--service", help="With mlps: this grading object only. / 只测评这个定级对象。")
@inventory_option
@format_option
def run(
    checklist: str,
    only: tuple[str, ...],
    every: bool,
    max_age: str | None,
    service: str | None,
    inventory: Inventory,
    output: str,
) -> None:
    """Run CHECKLIST, such as as-planned, or assess against a standard, such as mlps-level-3.

    mlps: every service as a grading object, each by the lists of its own grades. Exit 0 all well, 1 something is not,
    3 something could not be measured.
    """
    if service is not None:
        if checklist != OBJECTS:
            raise UsageError(tr(f"--service 只用于 {OBJECTS}", f"--service goes with {OBJECTS}"))
        checklist = f"{OBJECTS}:{service}"
    if is_object(checklist) or checklist in standards(inventory).entries:
        if only:
            raise UsageError(tr("测评标准时不能用 --only", "--only goes with a checklist, not with a standard"))
        sys.exit(run_and_print(inventory, checklist, output, every, COLLECTOR_WORDS, _age(max_age)))
    _require_known(checklist, inventory)
    if max_age is not None:
        raise UsageError(tr("--max-age 只用于标准", "--max-age goes with a standard, not with a checklist"))
    context = open_context(inventory)
    require_network(inventory)
    chain = open_chain(context.inventory, context.city.plan_revision)
    console = Console(stderr=True)
    with console.status(tr("检查中", "checking")) as status:
        result = run_checklist(
            context,
            checklist,
            chain,
            only,
            lambda name: status.update(tr(*COLLECTOR_WORDS.get(name, (name, name)))),
        )
    if output == "json":
        click.echo(json.dumps(report.as_json(result), ensure_ascii=False))
    else:
        out = Console()
        out.print(report.table(result, content.checks(context.inventory).entries))
        for item in result.results:
            if zones := item.shown.get("zones"):
                out.print(zone_table(zones))
        if lines := report.commands(result, content.checks(context.inventory).entries, context):
            out.print(tr("重新应用：", "to apply again:"))
        for line in lines:
            out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
        out.print(report.summary(result), highlight=False)
        out.print(tr(f"证据链头 {result.head}", f"evidence head {result.head}"), highlight=False, soft_wrap=True)
    publish_or_say(context, chain)
    sys.exit(result.exit_code)


def _require_known(name: str, inventory: Inventory) -> None:
    """What is no checklist may have been meant as a standard: both are named. A file with a fault says that itself."""
    listed, judged = content.checklists(inventory), standards(inventory)
    if name in judged.broken:
        judged.get(name)
    if name not in listed.entries and name not in listed.broken:
        lists, known = ", ".join(sorted(listed.entries)), ", ".join(sorted([*judged.entries, OBJECTS]))
        raise UsageError(
            tr(
                f"没有名为 {name} 的清单或标准；清单：{lists}；标准：{known}",
                f"there is no checklist and no standard {name}; checklists: {lists}; standards: {known}",
            )
        )


def _age(text: str | None) -> timedelta | None:
    """As the plan writes durations; UsageError for another text."""
    if text is None:
        return None
    if (match := DURATION.match(text)) is None:
        raise UsageError(tr(f"--max-age {text}：请写成 30m、2h 或 1d", f"--max-age {text}: write 30m, 2h or 1d"))
    return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def publish_or_say(context: Context, chain: Chain) -> None:
    """Show the results on the NOC, and leave the heads of the evidence in its logs.

    When its host does not answer say so: the results stand all the same.
    """
    try:
        publish(context, chain)
        witness.tell(context, {item.writer: item.head() for item in chains(context.inventory)})
    except EgovError as error:
        click.echo(
            tr(f"注意：结果未能写入监测：{error}", f"note: the results are not in the metrics: {error}"),
            err=True,
        )


@assess.command("list")
@inventory_option
def list_(inventory: Inventory) -> None:
    """List the checklists, their checks, and why each is there."""
    checks = content.checks(inventory)
    console = Console()
    for checklist in content.checklists(inventory).entries.values():
        title = f"{checklist.id}: {checklist.title}"
        table = plain_table(tr("编号", "id"), tr("检查", "check"), tr("理由", "why"), wrap=(1, 2), title=title)
        for name in checklist.checks:
            entry = checks.entries.get(name)
            row = (name, str(entry.title), str(entry.why)) if entry else _broken_row(name, checks.broken)
            table.add_row(*row)
        console.print(table)
    for reason in content.checklists(inventory).broken.values():
        click.echo(pick(reason), err=True)


def _broken_row(name: str, broken: Mapping[str, Mapping[str, str]]) -> tuple[str, str, str]:
    return name, "?", pick(broken[name]) if name in broken else "?"


for command in (*COMMANDS, answer, accept, register):
    assess.add_command(command)
