"""What the restores of all databases share: how a fault of the backup ends, what is compared, and in which box."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from egovctl.checks.context import Context
from egovctl.drill.applications import Question
from egovctl.drill.call import Deadline, TookTooLong
from egovctl.drill.causes import HINDRANCES, Cause
from egovctl.drill.judging import Finding, Promise, failed, finding, too_slow
from egovctl.drill.model import Item, Progress, Target, Verdict
from egovctl.drill.phases import Timer
from egovctl.drill.scratch import NOTHING, Box, Limits, Scratch
from egovctl.errors import CannotMeasure
from egovctl.i18n import both, told
from egovctl.lab import state as lab_state
from egovctl.lab.image import Image
from egovctl.lab.names import LabNames

OWN = "egov_"  # tables of the suite's own: heartbeats, manifests, probes
SHRINKS = 2.0  # times the largest shrinking between two manifests that is still taken for the service's own doing
GRACE = 60.0  # seconds that a box may live longer than the restore in it
OpenBox = Callable[[Path, Limits], AbstractContextManager[Box]]


class Fault(CannotMeasure):
    """What ended a restore. Its cause says whether the backup is at fault or the drill was hindered."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause = cause

    def finding(self) -> Finding:
        """What to say of it when the drill goes on."""
        return Finding(self.cause, both(self))


def fault(cause: Cause, zh: str, en: str) -> Fault:
    """A fault from its two sentences."""
    return Fault(cause, told(zh, en))


@dataclass(frozen=True)
class Wanted:
    """What is to be brought back: a database of a service, at the end of the WAL or at a moment (Unix time)."""

    database: str
    questions: tuple[Question, ...] = ()
    until: float | None = None


@dataclass(kw_only=True)
class Case:
    """One restore under way: what was found wrong so far is kept whatever happens next."""

    target: Target
    promise: Promise
    wanted: Wanted
    timer: Timer
    deadline: Deadline
    progress: Progress
    findings: list[Finding] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def say(self, phase: str) -> None:
        """Progress."""
        self.progress(f"{self.target}: {phase}")


@dataclass(frozen=True)
class Table:
    """A table as it was, or as it came back: its rows, and their hash (None where it has none)."""

    rows: int
    sha256: str | None = None


def tables_of(body: Any) -> dict[str, Table]:
    """The tables of a manifest's `tables`; ValueError when it is none. The suite's own tables are left out."""
    try:
        return {
            str(name): Table(int(one["rows"]), None if one.get("sha256") is None else str(one["sha256"]))
            for name, one in body.items()
            if not str(name).rpartition(".")[2].startswith(OWN)
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from None


def shrinking(manifests: Iterable[Mapping[str, Table]]) -> dict[str, int]:
    """By how many rows each table shrank at most from one manifest to the next, oldest first."""
    worst: dict[str, int] = {}
    before: Mapping[str, Table] = {}
    for tables in manifests:
        for name, table in tables.items():
            lost = before[name].rows - table.rows if name in before else 0
            worst[name] = max(worst.get(name, 0), lost)
        before = tables
    return worst


def differences(
    promised: Mapping[str, Table],
    restored: Mapping[str, Table],
    changed_since: frozenset[str] = frozenset(),
    shrank: Mapping[str, int] | None = None,
) -> Iterator[Finding]:
    """What the restored tables lack of those in the manifest.

    Rows may be added after a manifest, and a hash says nothing of a table in `changed_since`; fewer rows are a loss
    unless the table is known to shrink (`shrank`) by as much.
    """
    known = shrank or {}
    missing = [name for name in promised if name not in restored]
    if missing:
        shown = _shown(missing)
        yield finding(Cause.ROWS_LOST, f"缺少 {len(missing)} 个表：{shown}", f"{len(missing)} tables missing: {shown}")
    there = {name: (table, restored[name]) for name, table in promised.items() if name in restored}
    fewer = [
        f"{name} ({now.rows} < {was.rows})"
        for name, (was, now) in there.items()
        if now.rows < was.rows - SHRINKS * known.get(name, 0) or (now.rows == 0 < was.rows)
    ]
    if fewer:
        shown = _shown(fewer)
        yield finding(
            Cause.ROWS_LOST, f"{len(fewer)} 个表的行数变少：{shown}", f"{len(fewer)} tables with fewer rows: {shown}"
        )
    other = [
        name
        for name, (was, now) in there.items()
        if name not in changed_since and was.sha256 is not None and now.rows == was.rows and now.sha256 != was.sha256
    ]
    if other:
        shown = _shown(other)
        yield finding(
            Cause.CONTENT_CHANGED, f"{len(other)} 个表的内容不同：{shown}", f"{len(other)} tables changed: {shown}"
        )


def empty(promised: Mapping[str, Table]) -> Iterator[Finding]:
    """A finding when there was nothing in the source when it was backed up."""
    if not any(table.rows for table in promised.values()):
        sentence = ("备份时数据库是空的", "the database was empty when it was backed up")
        yield finding(Cause.SOURCE_EMPTY, *sentence)


def ended(target: Target, promise: Promise, timer: Timer, error: Exception, findings: Sequence[Finding] = ()) -> Item:
    """A restore that an error ended. What was found wrong before (`findings`) is not met whatever came after."""
    slow = isinstance(error, TookTooLong)
    item = too_slow(target, promise, timer) if slow else failed(target, promise, timer, error)
    return replace(
        item,
        verdict=Verdict.NOT_MET if findings else item.verdict,
        reasons=(*(one.text for one in findings), *item.reasons),
        causes=tuple(dict.fromkeys((*(one.cause for one in findings), *item.causes))),
    )


def credible(item: Item) -> Item:
    """The item, unknown when all that was found is what leaves a drill without an answer (a wrong clock, say)."""
    unsure = item.causes and set(item.causes) <= HINDRANCES
    return replace(item, verdict=Verdict.UNKNOWN, rpo_seconds=None) if unsure else item


def opener(context: Context, readonly: Mapping[Path, str] = NOTHING) -> OpenBox:
    """How a drill of this inventory opens a box: with the lab image's programs in a lab, else with the machine's.

    `readonly` are further folders that it has: machine's path → path inside.
    """
    in_lab = (context.inventory.state / "lab").is_dir()
    state = lab_state.load(LabNames.of(context.inventory)) if in_lab else None
    root = Image(state.image).root if state else Path("/")

    def open_box(folder: Path, limits: Limits) -> AbstractContextManager[Box]:
        return Scratch.programs(folder, limits, root=root, readonly=readonly)

    return open_box


def _shown(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
