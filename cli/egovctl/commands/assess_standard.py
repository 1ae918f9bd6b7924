"""egovctl assess, for standards: their lists, what a run came to, and what a verdict rests on."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import timedelta

import click
from rich.console import Console

from egovctl.assess import effect
from egovctl.assess.cache import RULINGS
from egovctl.assess.objects import OBJECTS, Graded, is_object, named
from egovctl.assess.run import Assessment, changes, history, last_run, regraded, run_objects, run_standard
from egovctl.assess.standards import Standard, standard_of, standards
from egovctl.checks import content, open_context, require_network
from egovctl.commands.assess_objects import asked, list_objects, print_objects, status_of_objects
from egovctl.commands.options import format_option, inventory_option
from egovctl.errors import UsageError
from egovctl.evidence import Chain, open_chain
from egovctl.i18n import pick, tr
from egovctl.paths import Inventory
from egovctl.report import assessment as report
from egovctl.report.tables import plain_table, short_time


def run_and_print(
    inventory: Inventory,
    name: str,
    output: str,
    every: bool,
    words: dict[str, tuple[str, str]],
    max_age: timedelta | None = None,
) -> int:
    """Assess against a standard, or grading objects by their grades; print it and show what it came to on the NOC.

    Returns the exit code: of several objects the worst.
    """
    from egovctl.commands.assess import publish_or_say

    context = open_context(inventory)
    require_network(inventory)
    wanted = asked(context, name)
    chain = open_chain(inventory, context.city.plan_revision)
    with Console(stderr=True).status(tr("测评中", "assessing")) as status:
        told = lambda step: status.update(tr(*words.get(step, (step, step))))  # noqa: E731 - one line of it
        if graded := [one for one in wanted if isinstance(one, Graded)]:
            found = run_objects(context, graded, chain, told, max_age)
        else:
            found = (run_standard(context, name, chain, told, max_age),)
    if found[0].odd:
        whose = ", ".join(tr("判定", "rulings") if one == RULINGS else one for one in found[0].odd)
        click.echo(
            tr(
                f"注意：{whose} 的留存结果与证据不符，已重做",
                f"note: what was kept of {whose} is not what the evidence says; done again",
            ),
            err=True,
        )
    for reason in content.checks(inventory).broken.values():
        click.echo(tr(f"注意：检查没有运行：{pick(reason)}", f"note: a check was not run: {pick(reason)}"), err=True)
    if output == "json":
        told_all = [report.as_json(done) for done in found]
        click.echo(json.dumps(told_all if name == OBJECTS else told_all[0], ensure_ascii=False))
    elif name == OBJECTS:
        print_objects(inventory, found, graded)
    else:
        _print(inventory, found[0], wanted[0], every, words)
    publish_or_say(context, chain)
    codes = {done.exit_code for done in found}
    return next((code for code in (1, 3) if code in codes), 0)


def _print(
    inventory: Inventory, done: Assessment, standard: Standard, every: bool, words: dict[str, tuple[str, str]]
) -> None:
    out = Console()
    out.print(report.area_table(done, standard))
    shown = list(done.judged) if every else report.bad(done.judged)
    if shown:
        heading = tr("全部要求", "all requirements") if every else tr("不符合与部分符合", "not met, and partly met")
        out.print(report.item_table(shown, standard.by_id, heading))
    if dangers := report.bad(done.hazards):
        hazards = standards(inventory).get(standard.hazards or "").by_id
        out.print(report.item_table(dangers, hazards, tr("重大风险隐患", "major hazards")))
    if report.bad(done.judged) or dangers:
        service = f" --service {standard.service}" if isinstance(standard, Graded) else ""
        ask = tr("egovctl assess explain 编号", "egovctl assess explain ITEM") + f"{service} -i {inventory.name}"
        out.print(
            tr(f"依据与处理办法：{ask}", f"what each rests on, and what mends it: {ask}"),
            highlight=False,
            soft_wrap=True,
        )
    if done.reused:
        oldest, count = short_time(min(done.reused.values())), len(done.reused)
        out.print(
            tr(
                f"{count} 台主机沿用留存结果，最早采集于 {oldest}",
                f"{count} hosts were not asked again: as they were observed, the earliest at {oldest}",
            ),
            highlight=False,
            soft_wrap=True,
        )
    if done.recalled:
        oldest = short_time(min(done.recalled.values()))
        ways = sorted(words.get(by, (by, by)) for by in done.recalled)
        out.print(
            tr(
                f"未重做、沿用留存结果（最早为 {oldest}）：{'、'.join(zh for zh, _ in ways)}",
                f"not done again, what was kept counts (the earliest of {oldest}): {', '.join(en for _, en in ways)}",
            ),
            highlight=False,
            soft_wrap=True,
        )
    for line in report.score_lines(done, standard, inventory.name):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(tr(f"证据链头 {done.head}", f"evidence head {done.head}"), highlight=False, soft_wrap=True)


@click.command("standard")
@click.argument("name", required=False)
@inventory_option
@format_option
def standard_(name: str | None, inventory: Inventory, output: str) -> None:
    """List the standards, or the requirements of NAME and the checks that are evidence for each."""
    shelf = standards(inventory)
    if name == OBJECTS:
        list_objects(inventory, output)
        return
    if name is None:
        table = plain_table(
            tr("编号", "id"), tr("标准", "standard"), tr("文号", "document"), tr("条", "items"), wrap=(1,)
        )
        for entry in shelf.entries.values():
            table.add_row(entry.id, str(entry.title), entry.document, str(entry.items))
        Console().print(table)
        click.echo(
            tr(
                f"{OBJECTS}：每项业务作为一个定级对象，按各自的 S、A 等级取第二、三级的要求；{OBJECTS}:业务 为其中一个",
                f"{OBJECTS}: each service as a grading object, by the lists of its grades of S and A; "
                f"{OBJECTS}:SERVICE is one of them",
            )
        )
        return
    chosen = named(open_context(inventory), name) if is_object(name) else shelf.get(name)
    evidence: dict[str, list[str]] = {}
    for check in content.checks(inventory).entries.values():
        for entry_id in check.items:
            evidence.setdefault(entry_id, []).append(check.id)
        for entry_id in check.supports:
            evidence.setdefault(entry_id, []).append(f"({check.id})")
    if output == "json":
        rows = [{**item.model_dump(), "checks": evidence.get(item.id, [])} for _, _, item in chosen.walk()]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    heads = (
        tr("编号", "id"),
        tr("条款", "clause"),
        tr("要求", "requirement"),
        tr("检查（旁证）", "checks (supporting)"),
    )
    table = plain_table(*heads, wrap=(2, 3), title=f"{chosen.title} ({chosen.document})")
    for _, _, item in chosen.walk():
        table.add_row(item.id, item.clause, str(item), ", ".join(evidence.get(item.id, [])) or "·")
    Console().print(table)


@click.command()
@click.argument("item")
@click.option("--service", help="Its verdict for this grading object. / 对此定级对象的判定。")
@inventory_option
@format_option
def explain(item: str, service: str | None, inventory: Inventory, output: str) -> None:
    """Say what ITEM asks, what its verdict in the last assessment rests on, and what mends it. Asks no host.

    某项要求问什么、上次判定依据什么、如何处理；不访问主机。
    """
    standard = of = standard_of(item, inventory)
    context = open_context(inventory)
    if service is not None:
        of = named(context, f"{OBJECTS}:{service}")
        if isinstance(of, Graded) and item not in of.by_id and standard.id != of.hazards:
            raise UsageError(
                tr(
                    f"{item} 不适用于 {service}（{of.graded}）",
                    f"{item} does not apply to {service}, which is {of.graded}",
                )
            )
    found = last_run(inventory, _chain(inventory), of)
    record, whole = found if found is not None else (None, None)
    if record is not None and whole is None:
        raise UsageError(
            tr(
                f"测评 {record.body['run']} 的结果文件缺失或被改动，请重新测评",
                f"the results of assessment {record.body['run']} are gone or were changed; assess again",
            )
        )
    asks, checks = standard.by_id[item], content.checks(inventory).entries
    one = next((entry for entry in (whole or {}).get("judged", []) if entry["item"] == item), None)
    asked = set(one["checks"]) if one else set()
    results = [entry for entry in (whole or {}).get("results", []) if entry["check"] in asked]
    seen = effect.read_results({"results": results}, asked)
    counted = None
    if one is not None and one["statement"] is not None:
        counted = effect.alone(asks, checks, seen).reason != one["reason"]
    fixes = report.fixes(seen, checks, context)
    if output == "json":
        told = {
            "item": asks.model_dump(),
            "judged": one,
            "statement_counted": counted,
            "results": results,
            "fix": fixes,
            "record": None if record is None else record.seq,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    out = Console()
    lines = report.explained(standard, asks, one, counted)
    if record is not None:
        at = short_time(record.at)
        lines.append(
            tr(
                f"  测评 {record.body['run']}，证据记录 {record.seq}，{at} (UTC+8)",
                f"  assessment {record.body['run']}, evidence record {record.seq}, {at} (UTC+8)",
            )
        )
    for line in (*lines, *report.check_lines(results, checks, item, fixes)):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


@click.command()
@click.argument("name")
@inventory_option
@format_option
def status(name: str, inventory: Inventory, output: str) -> None:
    """List the assessments against a standard, with what each came to. Asks no host.

    mlps: the last one of each grading object.
    """
    if name == OBJECTS:
        status_of_objects(inventory, _chain(inventory), output)
        return
    standard = named(open_context(inventory), name)
    records = history(_chain(inventory), standard)
    if not records:
        raise UsageError(tr(f"还没有按 {name} 测评过", f"nothing was assessed against {name} yet"))
    if output == "json":
        click.echo(json.dumps([report.past_as_json(record) for record in records], ensure_ascii=False))
        return
    Console().print(report.history_table(records, standard))


@click.command()
@click.argument("name")
@inventory_option
@format_option
def diff(name: str, inventory: Inventory, output: str) -> None:
    """Say what the last assessment judges differently from the one before. Exit 1 when something became worse."""
    shelf = standards(inventory)
    context, chain = open_context(inventory), _chain(inventory)
    standard = named(context, name)
    records = history(chain, standard)
    if len(records) < 2:
        raise UsageError(tr(f"按 {name} 至少要测评过两次", f"it takes two assessments against {name}"))
    found = last_run(inventory, chain, standard)
    changed = changes(records[-2], records[-1], None if found is None else found[1])
    grades = regraded(records[-2], records[-1])
    if output == "json":
        before, after = (record.body["run"] for record in records[-2:])
        listed = [{**asdict(one), "worse": one.worse} for one in changed]
        body = {"standard": standard.id, "before": before, "after": after, "regraded": grades, "changes": listed}
        click.echo(json.dumps(body, ensure_ascii=False))
    else:
        if grades:
            old, new = grades
            click.echo(
                tr(
                    f"定级由 {old} 改为 {new}：只比较两次都有的要求",
                    f"graded {new} now and {old} before: only requirements of both are compared",
                )
            )
        titles = standard.by_id | (shelf.get(standard.hazards).by_id if standard.hazards else {})
        for line in report.change_lines(changed, titles):
            click.echo(line)
        if not changed:
            click.echo(tr("判定没有变化", "no verdict has changed"))
    sys.exit(1 if any(one.worse for one in changed) else 0)


def _chain(inventory: Inventory) -> Chain:
    return open_chain(inventory, open_context(inventory).city.plan_revision)


COMMANDS = (standard_, explain, status, diff)
