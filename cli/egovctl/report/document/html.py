"""HTML by Jinja2: one file with its style and charts in it, that needs nothing else and prints as the PDF looks."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from egovctl.report.document.charts import FAMILY, svg, width
from egovctl.report.document.model import Document, Links, Mark, Table, shown

WORDS = {
    "zh": {"left_out": "另有 {} 行，见 XLSX 或 JSON。", "page": "第", "of": "页，共", "pages": "页"},
    "en": {"left_out": "{} more rows are in XLSX and JSON.", "page": "page", "of": "of", "pages": ""},
}


def html(document: Document) -> str:
    """The document as a page."""
    environment = Environment(
        loader=PackageLoader("egovctl.report.document", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = lambda chart: Markup(svg(chart))  # noqa: S704 - drawn by charts.py, which escapes
    environment.tests["mark"] = lambda value: isinstance(value, Mark)
    environment.tests["links"] = lambda value: isinstance(value, Links)
    template = environment.get_template("document.html.j2")
    return template.render(
        document=document,
        words=WORDS[document.language],
        family=Markup(FAMILY),  # noqa: S704 - a constant
        rows=visible,
        shown=shown,
        kind=_kind,
        width=width,
    )


def visible(table: Table) -> tuple[tuple[Any, ...], ...]:
    """The rows that paged formats show."""
    return table.rows if table.shown is None else table.rows[: table.shown]


def _kind(block: object) -> str:
    return type(block).__name__
