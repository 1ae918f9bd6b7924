"""egovctl report assessment: a self-assessment as a document, of the city or of a part of it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click

from egovctl.assess.objects import OBJECTS, is_object, service_of
from egovctl.assess.scope import MANY, Kind, Scope, scope_of
from egovctl.checks import open_context
from egovctl.checks.context import Context
from egovctl.commands.assess_objects import asked
from egovctl.commands.options import inventory_option
from egovctl.errors import CannotMeasure, UsageError
from egovctl.evidence import open_chain
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.report.assessed.gather import Past, assessed, read_past
from egovctl.report.assessed.made import items_table, made
from egovctl.report.assessed.oscal import oscal
from egovctl.report.assessed.packs import FORMS, parts, refuse_folder, worst, write_packs
from egovctl.report.document import FORMATS, Document, content, refuse_existing, write
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

    mlps with --service: of that service as a grading object, by its own grades; with --all services: of each.

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
    if is_object(standard):
        standard, given = _object(standard, given, many)
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
        made_bytes = _csv(report.document) if form == "csv" else content(report.document, form)
    assert path is not None  # noqa: S101 - only data go without one
    write(path, made_bytes, force=force)
    click.echo(report.document.summary)
    click.echo(tr(f"已写入 {path}", f"written to {path}"))
    sys.exit(report.exit_code)


def _csv(document: Document) -> bytes:
    """The table of requirements. It has no head that could say what it is and of which run: a column says it."""
    run = dict(document.facts)[tr("测评", "Assessment")]
    return csv_of(items_table(document), (tr("自查（非测评机构出具）", "self-assessment, not by a licensed body"), run))


def _object(standard: str, given: list[tuple[str, str]], many: str | None) -> tuple[str, list[tuple[str, str]]]:
    """A grading object is a service: mlps --service NAME is mlps:NAME, and its part of the city is that service."""
    kinds = {kind for kind, _ in given} - {"service"}
    if kinds or many not in (None, "services"):
        raise UsageError(
            tr(
                f"{OBJECTS} 按业务（定级对象）出报告：只能用 --service 或 --all services",
                f"{OBJECTS} is reported by service, as graded: give --service or --all services",
            )
        )
    if many is not None:
        return OBJECTS, []
    service = given[0][1] if given else service_of(standard)
    return (f"{OBJECTS}:{service}", [("service", service)]) if service else (OBJECTS, [])


def _pasts(context: Context, run: str | None) -> dict[str, Past]:
    """The last assessment of every grading object; those that have none are named in a note."""
    chain, found = open_chain(context.inventory), {}
    without: dict[str, CannotMeasure] = {}
    for one in asked(context, OBJECTS):
        service = service_of(one.id)
        try:
            found[service] = read_past(context, one.id, chain, run)
        except CannotMeasure as error:
            without[service] = error
    if without and not found:
        raise next(reversed(without.values()))
    if without:
        names = ", ".join(without)
        command = f"egovctl assess run {OBJECTS} -i {context.inventory.name}"
        if len(without) == 1:
            command += f" --service {names}"
        click.echo(
            tr(
                f"注意：从未测评，没有报告包：{names}；请运行 {command}",
                f"note: never assessed, so without a pack: {names}; run {command}",
            ),
            err=True,
        )
    return found


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
    if standard == OBJECTS:
        pasts = _pasts(context, run)
    else:
        pasts = parts(context, read_past(context, standard, open_chain(context.inventory), run), MANY[many])
    folder = out
    if folder is None:
        name = next(iter(pasts.values())).run.name
        folder = context.inventory.build / "reports" / f"assessment-{standard}-{name}-{many}"
        folder.parent.mkdir(parents=True, exist_ok=True)
    codes = write_packs(context, pasts, MANY[many], folder, forms, now, force=force)
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
    return f"assessment-{OBJECTS if is_object(past.standard.id) else past.standard.id}-{past.run.name}{part}"


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
