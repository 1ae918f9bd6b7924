"""A pack for each county, department or service in one go: a folder each, made on all cores; all are there or none."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from egovctl.assess.scope import Kind, all_names, scope_of
from egovctl.checks.context import Context
from egovctl.errors import UsageError
from egovctl.i18n import tr
from egovctl.report.assessed.gather import Past, assessed
from egovctl.report.assessed.made import made
from egovctl.report.document import content

FORMS = ("html", "docx", "xlsx")
NAME = "self-assessment"
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Work:
    """What every pack is made from. It reaches the workers by fork: what was read is not read again."""

    context: Context
    pasts: Mapping[str, Past]
    kind: Kind
    folder: Path
    forms: tuple[str, ...]
    now: datetime


_work: Work | None = None


def refuse_folder(folder: Path, *, force: bool) -> None:
    """UsageError when packs may not be put there. Only a folder of packs is ever replaced."""
    if not folder.parent.is_dir():
        raise UsageError(tr(f"目录 {folder.parent} 不存在", f"there is no folder {folder.parent}"))
    if not os.path.lexists(folder):
        return
    if not force:
        raise UsageError(
            tr(f"{folder} 已存在；要替换它请加 --force", f"{folder} is there already; --force replaces it")
        )
    if folder.is_symlink() or not (folder / SUMS).is_file():
        raise UsageError(
            tr(f"{folder} 不是报告包的目录，不会替换", f"{folder} is no folder of packs and is not replaced")
        )


def parts(context: Context, past: Past, kind: Kind) -> dict[str, Past]:
    """Every part of a kind, each with the same assessment. UsageError when there is none of this kind."""
    names = all_names(context, kind)
    if not names:
        raise UsageError(tr("规划中没有这样的部分", "the plan has no such part"))
    return dict.fromkeys(names, past)


def write_packs(
    context: Context,
    pasts: Mapping[str, Past],
    kind: Kind,
    folder: Path,
    forms: tuple[str, ...],
    now: datetime,
    *,
    force: bool,
) -> dict[str, int]:
    """Make a pack for each of these parts; by name the exit code that its report would have. UsageError as
    `refuse_folder`."""
    refuse_folder(folder, force=force)
    half = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        codes = _made(Work(context, pasts, kind, half, forms, now))
        files = sorted(path for path in half.rglob("*") if path.is_file())
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(half)}\n" for path in files]
        (half / SUMS).write_text("".join(lines), encoding="utf-8")
        half.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return codes


def worst(codes: dict[str, int]) -> int:
    """Of all packs: 1 when one has something that is not met, else 3 when one has something open, else 0."""
    found = set(codes.values())
    return next((code for code in (1, 3) if code in found), 0)


def _made(work: Work) -> dict[str, int]:
    global _work
    _work = work
    names = list(work.pasts)
    try:
        # What all have in common is worked out before the fork, once.
        for past in work.pasts.values():
            _ = past.differs, past.areas
        workers = min(len(names), len(os.sched_getaffinity(0)))
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
            return dict(zip(names, pool.map(_pack, names), strict=True))
    finally:
        _work = None


def _pack(name: str) -> int:
    assert _work is not None  # noqa: S101 - set before the fork
    scope = scope_of(_work.context, _work.kind, name)
    report = made(_work.context, assessed(_work.pasts[name], scope), _work.now, charts=False)
    folder = _work.folder / name
    folder.mkdir()
    for form in _work.forms:
        (folder / f"{NAME}.{form}").write_bytes(content(report.document, form))
    return report.exit_code
