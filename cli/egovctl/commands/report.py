"""egovctl report: what a month was like, and what an assessment found, as a document for the office."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from egovctl.checks import open_context
from egovctl.commands.options import inventory_option
from egovctl.commands.report_assessment import assessment
from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.paths import Inventory
from egovctl.prometheus import prometheus_url
from egovctl.report.document import FORMATS, content, refuse_existing, write
from egovctl.report.monthly.made import MEASURED, RECORDED
from egovctl.report.monthly.month import read_month
from egovctl.report.monthly.prometheus import Source

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def report() -> None:
    """Monthly reports and self-assessments as HTML, PDF, DOCX, XLSX or JSON. / 月度报表与自查报告。"""


report.add_command(assessment)


def report_options(function: F) -> F:
    """What every report takes."""
    options = (
        click.option("--month", required=True, metavar="YYYY-MM", help="Such as 2026-10, in UTC+8. / 月份。"),
        inventory_option,
        click.option(
            "--format",
            "form",
            type=click.Choice([*FORMATS, "json"]),
            help="Else as --out ends, else html. / 格式。",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            help="File; else build/INVENTORY/reports/, and JSON to standard output. / 输出文件。",
        ),
        click.option("--force", is_flag=True, help="Replace the file when it is there. / 替换已有文件。"),
    )
    for option in reversed(options):
        function = option(function)
    return function


def measured_options(function: F) -> F:
    """Of reports on what the NOC measured."""
    option = click.option("--prometheus", metavar="URL", help="Ask this one, not the NOC's. / Prometheus 地址。")
    return report_options(option(function))


@report.command()
@measured_options
def availability(**options: Any) -> None:
    """Availability of sites, counties and services against the promise. Exit 1 not kept, 3 not known."""
    _run("availability", **options)


@report.command()
@measured_options
def bandwidth(**options: Any) -> None:
    """95th percentile and peak of each link against its contract. Exit 3 when some were not measured."""
    _run("bandwidth", **options)


@report.command()
@measured_options
def capacity(**options: Any) -> None:
    """Which links to widen and when, and the performance of the network by county. Exit 3: links not measured."""
    _run("capacity", **options)


@report.command()
@report_options
def drills(**options: Any) -> None:
    """Restores rehearsed, from the evidence. Exit 1 a promise broken or a backup not proven, 3 not known."""
    _run("drills", **options)


@report.command()
@report_options
def checks(**options: Any) -> None:
    """How the month's assessments ended, from the evidence. Exit 1 something is not as it should be, 3 not known."""
    _run("checks", **options)


def _run(
    kind: str,
    *,
    month: str,
    inventory: Inventory,
    form: str | None,
    out: Path | None,
    force: bool,
    prometheus: str | None = None,
) -> None:
    """Everything that can be wrong with the call is said before anything is measured; a file is written at the end."""
    now = datetime.now(UTC)
    wanted = read_month(month, now)
    form = form or _form_of(out)
    context = open_context(inventory)
    path = out
    if path is None and form != "json":
        path = inventory.build / "reports" / f"{kind}-{wanted.name}.{form}"
        path.parent.mkdir(parents=True, exist_ok=True)
    if path is not None:
        refuse_existing(path, force=force)
    if kind in RECORDED:
        made = RECORDED[kind](context, wanted, now)
    else:
        source = Source.at(_address(prometheus) if prometheus else prometheus_url(inventory, context.city))
        made = MEASURED[kind](context, wanted, source, now)
    if form == "json":
        text = json.dumps(made.data, ensure_ascii=False, indent=2) + "\n"
        if path is None:
            click.echo(text, nl=False)
            sys.exit(made.exit_code)
        data = text.encode()
    else:
        data = content(made.document, form)
    assert path is not None  # noqa: S101 - only JSON goes without one
    write(path, data, force=force)
    click.echo(made.document.summary)
    click.echo(tr(f"已写入 {path}", f"written to {path}"))
    sys.exit(made.exit_code)


def _form_of(out: Path | None) -> str:
    """The format that the file's name asks for."""
    if out is None:
        return "html"
    suffix = out.suffix.lower().removeprefix(".")
    if suffix in (*FORMATS, "json"):
        return suffix
    known = " ".join(f".{name}" for name in (*FORMATS, "json"))
    raise UsageError(
        tr(
            f"{out.name} 看不出格式：请加 --format，或让文件名以 {known} 之一结尾",
            f"{out.name} does not say a format: give --format, or end the name in one of {known}",
        )
    )


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise UsageError(
            tr(
                f"--prometheus {text} 不是地址：请写成 http://主机:9090",
                f"--prometheus {text} is no address: write it as http://HOST:9090",
            )
        )
    return text
