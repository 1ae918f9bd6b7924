"""egovctl report assessment: a self-assessment as a document, of the city or of a part of it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click

from egovctl.checks import open_context
from egovctl.checks.context import Context
from egovctl.commands.options import inventory_option
from egovctl.errors import UsageError
from egovctl.evidence import open_chain
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.report.assessed.gather import Past, assessed, read_past
from egovctl.report.assessed.made import items_table, made
from egovctl.report.assessed.oscal import oscal
from egovctl.report.assessed.packs import FORMS, refuse_folder, worst, write_packs
from egovctl.report.assessed.scope import MANY, Kind, Scope, scope_of
from egovctl.report.document import FORMATS, content, refuse_existing, write
from egovctl.report.document.write import csv_of

DATA = ("json", "oscal")  # for programs: to standard output when no file is named


@click.command()
@click.argument("standard")
@inventory_option
@click.option("--run", help="This assessment, not the last one.")
@click.option("--county", help="Only what belongs to this county. / 只报此县区。")
@click.option("--department", metavar="SITE", help="Only what belongs to this site. / 只报此单位。")
@click.option("--service", help="Only what belongs to this service. / 只报此业务。")
@click.option("--all", "many", type=click.Choice(list(MANY)), help="A pack for each of them. / 每个各出一包。")
@click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS, "csv", *DATA]),
    help="Else as --out ends, else html; of packs html, docx and xlsx. / 格式。",
)
@click.option("--out", type=click.Path(path_type=Path), help="File, or folder of packs. / 输出文件或目录。")
@click.option("--force", is_flag=True, help="Replace what is there. / 替换已有文件。")
def assessment(
    standard: str,
    inventory: Inventory,
    run: str | None,
    county: str | None,
    department: str | None,
    service: str | None,
    many: str | None,
    form: str | None,
    out: Path | None,
    force: bool,
) -> None:
    """The last self-assessment against STANDARD, from the evidence. Exit 1 something is not met, 3 something is open.

    Also 3 when the file of results is not the one that the evidence chain names.
    """
    now = datetime.now(UTC)
    named = {"county": county, "department": department, "service": service}
    given = [(kind, name) for kind, name in named.items() if name is not None]
    if len(given) + (many is not None) > 1:
        raise UsageError(
            tr(
                "--county、--department、--service、--all 只能给一个",
                "give only one of --county, --department, --service and --all",
            )
        )
    context = open_context(inventory)
    kind, name = given[0] if given else ("city", "")
    scope = scope_of(context, cast("Kind", kind), name)
    if many is not None:
        _packs(context, standard, run, many, form, out, force, now)
    form = form or _form_of(out)
    path = out
    if path is not None:
        refuse_existing(path, force=force)
    past = read_past(context, standard, open_chain(inventory), run)
    if path is None and form not in DATA:
        path = inventory.build / "reports" / f"{_name(past, scope)}.{form}"
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_existing(path, force=force)
    found = assessed(past, scope)
    report = made(context, found, now)
    if form in DATA:
        data = report.data if form == "json" else oscal(context, found, now)
        text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
        if path is None:
            click.echo(text, nl=False)
            sys.exit(report.exit_code)
        made_bytes = text.encode()
    else:
        made_bytes = csv_of(items_table(report.document)) if form == "csv" else content(report.document, form)
    assert path is not None  # noqa: S101 - only data go without one
    write(path, made_bytes, force=force)
    click.echo(report.document.summary)
    click.echo(tr(f"已写入 {path}", f"written to {path}"))
    sys.exit(report.exit_code)


def _packs(
    context: Context,
    standard: str,
    run: str | None,
    many: str,
    form: str | None,
    out: Path | None,
    force: bool,
    now: datetime,
) -> None:
    forms = (form,) if form else FORMS
    if not set(forms) <= set(FORMATS):
        names = " ".join(FORMATS)
        raise UsageError(tr(f"报告包的格式只能是 {names} 之一", f"packs have one of the formats {names}"))
    if out is not None:
        refuse_folder(out, force=force)
    past = read_past(context, standard, open_chain(context.inventory), run)
    folder = out
    if folder is None:
        folder = context.inventory.build / "reports" / f"assessment-{standard}-{past.run.name}-{many}"
        folder.parent.mkdir(parents=True, exist_ok=True)
    codes = write_packs(context, past, MANY[many], folder, forms, now, force=force)
    bad = sum(code == 1 for code in codes.values())
    click.echo(
        tr(
            f"{len(codes)} 包，其中 {bad} 包有不符合项；已写入 {folder}",
            f"{len(codes)} packs, {bad} of them with something that is not met; written to {folder}",
        )
    )
    sys.exit(worst(codes))


def _name(past: Past, scope: Scope) -> str:
    part = "" if scope.whole else f"-{scope.kind}-{scope.name}"
    return f"assessment-{past.standard.id}-{past.run.name}{part}"


def _form_of(out: Path | None) -> str:
    """The format that the file's name asks for."""
    if out is None:
        return "html"
    if out.name.lower().endswith(".oscal.json"):
        return "oscal"
    suffix = out.suffix.lower().removeprefix(".")
    if suffix in (*FORMATS, "csv", "json"):
        return suffix
    known = " ".join(f".{name}" for name in (*FORMATS, "csv", "json", "oscal.json"))
    raise UsageError(
        tr(
            f"{out.name} 看不出格式：请加 --format，或让文件名以 {known} 之一结尾",
            f"{out.name} does not say a format: give --format, or end the name in one of {known}",
        )
    )
