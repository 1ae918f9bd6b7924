"""Writing a document into a file: whole or not at all, and never over another by accident."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.report.document.model import Cell, Document, Mark, Table

FORMATS = ("html", "pdf", "docx", "xlsx")
MARK = "\ufeff"  # Excel takes a CSV without it for one of another alphabet


def content(document: Document, form: str) -> bytes:
    """The document in one of FORMATS. What a format needs is only imported when it is asked for."""
    return _WRITERS[form](document)


def refuse_existing(path: Path, *, force: bool) -> None:
    """UsageError when something is there that may not be replaced, or there is no folder to write into."""
    if path.is_dir():
        raise UsageError(tr(f"{path} 是目录；--out 应为文件", f"{path} is a folder; --out is a file"))
    if not path.parent.is_dir():
        raise UsageError(tr(f"目录 {path.parent} 不存在", f"there is no folder {path.parent}"))
    if os.path.lexists(path) and not force:
        raise UsageError(
            tr(f"{path} 已存在；要替换它请加 --force", f"{path} is there already; --force replaces it"),
        )


def write(path: Path, data: bytes, *, force: bool) -> None:
    """Put the bytes there in one step; UsageError as `refuse_existing`, also when somebody was faster."""
    refuse_existing(path, force=force)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        if force:
            Path(name).replace(path)
        else:
            try:
                os.link(name, path)
            except FileExistsError:
                refuse_existing(path, force=False)
    finally:
        Path(name).unlink(missing_ok=True)


def _html(document: Document) -> bytes:
    from egovctl.report.document.html import html

    return html(document).encode()


def _pdf(document: Document) -> bytes:
    from egovctl.report.document.pdf import pdf

    return pdf(document)


def csv_of(table: Table, note: tuple[str, str] | None = None) -> bytes:
    """One table with all its rows as CSV that Excel opens well; a text that would be a formula there stays text.

    `note`: the heading of a last column, and what stands in it on every row.
    """
    from egovctl.report.document.xlsx import plain

    stream = io.StringIO()
    rows = csv.writer(stream)
    heading, said = ((plain(text),) for text in note) if note else ((), ())
    rows.writerow([*(plain(column.title) for column in table.columns), *heading])
    for row in table.rows:
        rows.writerow([*(_written(value) for value in row), *said])
    return (MARK + stream.getvalue()).encode()


def _written(value: Cell) -> object:
    from egovctl.report.document.xlsx import plain

    if isinstance(value, Mark):
        return plain(value.text)
    return value if value is None or isinstance(value, float | int) else plain(str(value))


def _docx(document: Document) -> bytes:
    if document.official:
        from egovctl.report.document.official import official

        return official(document)
    from egovctl.report.document.docx import docx

    return docx(document)


def _xlsx(document: Document) -> bytes:
    from egovctl.report.document.xlsx import xlsx

    return xlsx(document)


_WRITERS: Mapping[str, Callable[[Document], bytes]] = {"html": _html, "pdf": _pdf, "docx": _docx, "xlsx": _xlsx}
