"""egovctl assess, for grading objects: which there are, what all came to in one table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.console import Console

from egovctl.assess.objects import OBJECTS, Graded, named, objects, of_record
from egovctl.assess.run import Assessment, history
from egovctl.assess.standards import Standard
from egovctl.checks import open_context
from egovctl.checks.context import Context
from egovctl.errors import UsageError
from egovctl.evidence import Chain
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.report import objects as report
from egovctl.report.assessment import past_as_json


def asked(context: Context, name: str) -> list[Standard]:
    """The standard with this name; of mlps all grading objects, and a note of those that there is no list for."""
    if name != OBJECTS:
        return [named(context, name)]
    found, left = objects(context)
    if left:
        shown = ", ".join(f"{service} ({levels})" for service, levels in left.items())
        click.echo(
            tr(f"注意：没有该级清单，未测评：{shown}", f"note: not assessed, no list is for their grade: {shown}"),
            err=True,
        )
    return [*found]


def print_objects(inventory: Inventory, found: Sequence[Assessment], graded: Sequence[Graded]) -> None:
    """All of them in one table, and how to see one."""
    out = Console()
    rows = [report.Row(one, asdict(done.score)) for one, done in zip(graded, found, strict=True)]
    out.print(report.object_table(rows))
    how = tr(
        f"一个对象的详情：egovctl report assessment {OBJECTS} --service 业务 -i {inventory.name}",
        f"one of them as a whole: egovctl report assessment {OBJECTS} --service NAME -i {inventory.name}",
    )
    out.print(how, highlight=False, soft_wrap=True)
    out.print(tr(f"证据链头 {found[-1].head}", f"evidence head {found[-1].head}"), highlight=False, soft_wrap=True)


def list_objects(inventory: Inventory, output: str) -> None:
    """The grading objects of the plan: their grades, and how many requirements of which list each has."""
    found, left = objects(open_context(inventory))
    if output == "json":
        rows = [{"service": one.service, "graded": one.graded, "items": one.items} for one in found]
        rows += [{"service": name, "graded": str(levels), "items": 0} for name, levels in left.items()]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    Console().print(report.graded_table(found, left))


def status_of_objects(inventory: Inventory, chain: Chain, output: str) -> None:
    """The last assessment of each object, with the grades that it had then."""
    context = open_context(inventory)
    last = {}
    for one in objects(context)[0]:
        if records := history(chain, one):
            last[one.service] = records[-1]
    if not last:
        raise UsageError(tr(f"还没有按 {OBJECTS} 测评过", f"nothing was assessed against {OBJECTS} yet"))
    if output == "json":
        click.echo(json.dumps([past_as_json(record) for record in last.values()], ensure_ascii=False))
        return
    rows = []
    for record in last.values():
        standard = of_record(context, record)
        assert isinstance(standard, Graded)  # noqa: S101 - its record is of an object
        rows.append(report.Row(standard, record.body["score"], record.at))
    Console().print(report.object_table(rows))
