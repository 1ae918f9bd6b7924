"""egovctl assess register: what follows from the plan, the evidence and the registers, worked out anew each time."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from egovctl import transport
from egovctl.assess import recovery, risk
from egovctl.assess import software as genuine
from egovctl.assess.objects import OBJECTS, Graded
from egovctl.assess.run import last_run
from egovctl.assess.standards import Standard
from egovctl.checks import content, open_context, require_network
from egovctl.checks.collect import facts
from egovctl.checks.collect.registers import FOLDER, gathered
from egovctl.checks.context import Context
from egovctl.checks.facts.answers import Answers, settings
from egovctl.checks.registers.entries import Incident, registers
from egovctl.commands.assess_objects import asked
from egovctl.commands.options import format_option, inventory_option
from egovctl.errors import CannotMeasure, EgovError, UsageError
from egovctl.evidence import Chain, Record, open_chain
from egovctl.evidence.record import now
from egovctl.i18n import pick, tr
from egovctl.paths import Inventory
from egovctl.prometheus import prometheus_url, query
from egovctl.report import registers as report

OUTAGES = "max by (host) (changes(host:up:max[30d:5m])) / 2"
SHOWN = 20


@click.group()
def register() -> None:
    """Work out a register: risks, recovery, software. / 计算登记册：风险、灾难恢复等级、软件正版化。"""


@register.command()
@click.option(
    "--standard",
    default="mlps-level-3",
    show_default=True,
    help=f"Whose last assessment tells weaknesses; {OBJECTS}: of all grading objects, {OBJECTS}:SERVICE: of one. / "
    f"弱点取自此标准的上次测评；{OBJECTS}：全部定级对象，{OBJECTS}:业务：其中一个。",
)
@click.option("--all", "every", is_flag=True, help="Every line, not only the worst.")
@inventory_option
@format_option
def risks(standard: str, every: bool, inventory: Inventory, output: str) -> None:
    """List what may happen to what, in the manner of GB/T 20984-2022. Asks no host; of Prometheus the outages."""
    context = open_context(inventory)
    found = _assessed(context, open_chain(inventory, context.city.plan_revision), standard)
    records = [record for _, record, _ in found]
    # What several objects share counts as the last of their assessments saw it.
    results = {(one["check"], one["subject"]): one for _, _, seen in found for one in seen}.values()
    graded = {one.service for one, _, _ in found if isinstance(one, Graded)}
    known, checks = risk.tables(), content.checks(inventory).entries
    today, incidents, outages = datetime.now(UTC).date(), _incidents(inventory), _outages(context)
    rows = risk.register(context, known, checks, results, incidents, outages, today)
    measured = risk.coverage(known, checks, results)
    services = risk.business(context, rows, measured, graded or None)
    notes = report.risk_notes(known, records, rows, measured, graded=bool(graded))
    if output == "json":
        body = {
            "document": known.document,
            "source": known.source,
            "run": records[-1].body["run"],
            "runs": {one.id: record.body["run"] for one, record, _ in found},
            "checks": measured.checks.total(),
            "not_measured": measured.not_measured.total(),
            "risks": [asdict(one) for one in rows],
            "services": [asdict(one) for one in services],
            "notes": notes,
        }
        click.echo(json.dumps(body, ensure_ascii=False))
        return
    out = Console()
    out.print(report.risk_table(known, rows if every else rows[:SHOWN], checks))
    if len(rows) > SHOWN and not every:
        click.echo(tr(f"另有 {len(rows) - SHOWN} 条，见 --all", f"{len(rows) - SHOWN} more with --all"))
    out.print(report.business_table(services))
    for line in notes:
        click.echo(line)


def _assessed(context: Context, chain: Chain, name: str) -> list[tuple[Standard, Record, list[dict[str, Any]]]]:
    """The last assessment of the standard with this name, or of each grading object, oldest first, with its results.

    UsageError when there is none with results; grading objects that have none are named.
    """
    found, without = [], []
    for standard in asked(context, name):
        last = last_run(context.inventory, chain, standard)
        if last is None or last[1] is None:
            without.append(standard.id)
        else:
            found.append((standard, last[0], last[1]["results"]))
    run = f"egovctl assess run {name} -i {context.inventory.name}"
    if not found:
        raise UsageError(
            tr(f"没有可用的测评结果；请先运行 {run}", f"there are no results of an assessment; run {run} first")
        )
    if without:
        shown = ", ".join(without)
        click.echo(
            tr(
                f"注意：没有可用的测评结果，未计入：{shown}；请运行 {run}",
                f"note: left out, there are no results of an assessment: {shown}; run {run}",
            ),
            err=True,
        )
    return sorted(found, key=lambda one: one[1].seq)


@register.command("recovery")
@inventory_option
@format_option
def recovery_(inventory: Inventory, output: str) -> None:
    """Say which level of GB/T 20988 each service's times are consistent with, and what is missing. Asks no host."""
    known = recovery.levels()
    rows = recovery.consistent(gathered(open_context(inventory)), known)
    if output == "json":
        body = {"document": known.document, "source": known.source, "services": [asdict(one) for one in rows]}
        click.echo(json.dumps(body, ensure_ascii=False))
        return
    Console().print(report.recovery_table(known, rows))
    for line in (*report.recovery_lines(known, rows), *report.recovery_notes(known)):
        click.echo(line)


@register.command()
@click.option(
    "--hosts/--no-hosts",
    default=True,
    help="Ask the managed hosts for their packages, or count them as not reached and put nothing on record. / "
    "查询受管主机的软件包；不查询则按未查到计，且不记入证据。",
)
@click.option("--cyclonedx", "target", type=click.Path(path_type=Path), help="Write a bill of materials to this file.")
@inventory_option
@format_option
def software(hosts: bool, target: Path | None, inventory: Inventory, output: str) -> None:
    """Say which share of systems, office and anti-virus software is genuine, between two bounds.

    Debian hosts are asked; other computers stand in inventories/CITY/software/*.csv. What it came to is put on record
    when a host told its packages: self-assessments go by it. Exit 1 when a class is sure to miss 100 %, 3 when it
    cannot be said.
    """
    context = open_context(inventory)
    folder = inventory.root / "software"
    held = genuine.entitlements(folder)
    found = [one for path in sorted(folder.glob("*.csv")) for one in genuine.read_csv(path)]
    others = {one.computer for one in found}
    managed = [host.name for host in context.city.hosts.values() if "managed" in host.groups]
    seen, silent = _packages(context, managed) if hosts else ([], managed)
    unreached = len(silent) + max(0, held.computers - len(others))
    rows = genuine.lines([*found, *seen], held, datetime.now(UTC).date())
    rates = genuine.rates(rows, unreached)
    # A count without any host would stand in the place of the last real one.
    recorded = len(silent) < len(managed)
    if recorded:
        chain = open_chain(inventory, context.city.plan_revision)
        chain.append("software.counted", {"unreached": unreached, "classes": list(map(asdict, rates))})
    if target is not None:
        bill = genuine.cyclonedx([*found, *seen], inventory.name, now())
        _write(target, json.dumps(bill, ensure_ascii=False, indent=1))
    if output == "json":
        body = {
            "unreached": unreached,
            "recorded": recorded,
            "products": list(map(asdict, rows)),
            "classes": list(map(asdict, rates)),
        }
        click.echo(json.dumps(body, ensure_ascii=False))
    else:
        Console().print(report.software_table(rates))
        Console().print(report.product_table(rows))
        for line in report.software_notes(len(managed) - len(silent), len(others), unreached, recorded=recorded):
            click.echo(line)
    known = [rate.reaches(1.0) for rate in rates if rate.low is not None]
    sys.exit(1 if False in known else 3 if None in known or not known else 0)


def _packages(context: Context, managed: list[str]) -> tuple[list[genuine.Installed], list[str]]:
    """What the hosts have installed, and which of them did not say."""
    require_network(context.inventory)
    found: list[genuine.Installed] = []
    silent = []
    answers = transport.each(managed, lambda host: facts.look(context, host, ["packages", "system"]))
    for host, answer in answers.items():
        try:
            if isinstance(answer, Exception):
                raise answer
            said = {name: Answers(group["answers"], group["at"]) for name, group in answer.groups.items()}
            release = settings(said["system"].text("/etc/os-release")).get("PRETTY_NAME", "").strip('"')
            found += genuine.debian(host, said["packages"].text("installed"), release)
        except (EgovError, ValueError, TypeError, KeyError) as error:
            silent.append(host)
            click.echo(tr(f"注意：{host} 没有应答：{error}", f"note: {host} does not tell: {error}"), err=True)
    return found, silent


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            tr(f"无法写入 {target}：{error.strerror}", f"{target} cannot be written: {error.strerror}")
        ) from None


def _incidents(inventory: Inventory) -> list[Incident] | None:
    """The register of incidents; None when it is not kept. UsageError with file and line when it cannot be read."""
    kept = registers(inventory.root / FOLDER)
    if reason := kept.broken.get("incidents"):
        raise UsageError(pick(reason))
    found = kept.entries.get("incidents")
    return None if found is None else [entry for entry in found.entries if isinstance(entry, Incident)]


def _outages(context: Context) -> dict[str, int]:
    """How often each host was down in the last 30 days, of those that Prometheus knows; nobody when it is silent."""
    try:
        samples = query(prometheus_url(context.inventory, context.city), OUTAGES)
    except CannotMeasure as error:
        click.echo(tr(f"注意：中断次数未知：{error}", f"note: outages are not known: {error}"), err=True)
        return {}
    return {sample["metric"].get("host", ""): round(float(sample["value"][1])) for sample in samples}
