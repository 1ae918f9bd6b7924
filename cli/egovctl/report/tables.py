"""One look for all tables on a terminal: readable at 80 columns, names never broken in the middle."""

from __future__ import annotations

from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.table import Table

from egovctl.report.monthly.month import ZONE


def plain_table(*columns: str, wrap: tuple[int, ...] = (), title: str | None = None) -> Table:
    """A table with these headings; only the columns whose numbers are in `wrap` may be broken into lines."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number not in wrap, overflow="fold")
    return table


def short_time(text: str) -> str:
    """An RFC 3339 time as people here read it: to the second, UTC+8 as in every report."""
    return f"{datetime.fromisoformat(text).astimezone(ZONE):%Y-%m-%d %H:%M:%S}"
