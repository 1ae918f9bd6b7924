"""The drill engine: steady state → method with its verification → undo, always → record, truthfully.

What a run leaves if it is killed is cleaned at the next start, and that run is recorded as aborted: never passed,
never missing. Whether it ran (outcome) and whether it was good (verdict) are two things.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from egovctl.checks import content
from egovctl.checks.context import Context
from egovctl.checks.engine import run_checks
from egovctl.checks.model import Status
from egovctl.drill import journal, past
from egovctl.drill.deadman import armed
from egovctl.drill.journal import Journal
from egovctl.drill.methods import METHODS
from egovctl.drill.model import Drill, Item, Method, Options, Outcome, Progress, Run, Target, Verdict, Work
from egovctl.drill.printable import printable
from egovctl.errors import UsageError
from egovctl.evidence import Chain, Record
from egovctl.evidence.record import now
from egovctl.i18n import both, tr

KILLED = {"zh": "演练被强行终止，本次启动时已清理", "en": "the run was killed; cleaned up at the next start"}
INTERRUPTED = {"zh": "被操作人员中断", "en": "interrupted by the operator"}


def drills(context: Context) -> content.Shelf[Drill]:
    """All drills; a city's own stand beside the suite's."""
    return content.read_shelf("drill", Drill, content.folders_of_drills(context.inventory))


def plan_run(context: Context, name: str, options: Options) -> list[tuple[Target, list[dict[str, str]]]]:
    """What a run would do, target by target; contacts nobody and records nothing. UsageError for unknown names."""
    method = _method(drills(context).get(name))
    _require_fit(name, method, options)
    return [(target, method.steps(context, target)) for target in method.targets(context, options.services)]


def run_drill(
    context: Context, name: str, chain: Chain, options: Options, progress: Progress = lambda text: None
) -> Run:
    """Run a drill. Raises UsageError before anything is begun; after that it always ends with a record."""
    drill = drills(context).get(name)
    method = _method(drill)
    _require_fit(name, method, options)
    targets = method.targets(context, options.services)
    parent = _scratch_parent(context, options)
    recover(context, chain)
    run_id, started_at, begun = uuid4().hex[:12], now(), time.monotonic()
    scratch = journal.scratch_of(parent, run_id)
    kept = Journal(run_id, name, str(scratch), tuple(targets), started_at)
    with armed(scratch), journal.held(context.inventory, kept):
        with _interruptible():
            items, reasons = _attempt(context, drill, method, targets, chain, run_id, scratch, progress, options.moment)
        cleaned = _clean(scratch)
        if not cleaned:
            reasons.append({"zh": f"未能清理干净：{scratch}", "en": f"not cleaned up: remove {scratch} by hand"})
        seconds = round(time.monotonic() - begun, 3)
        run = Run(run_id, name, started_at, seconds, tuple(items), cleaned, tuple(reasons))
        chain.append("drill.result", _body(run))
    return replace(run, head=chain.head())


def recover(context: Context, chain: Chain) -> list[str]:
    """Clean up after runs that were killed and record them as aborted; returns their ids."""
    done = []
    for path, left in journal.orphans(context.inventory):
        cleaned = not left.scratch or journal.undo(Path(left.scratch))
        if not any(record.body.get("run") == left.run for record in chain.records("drill.result")):
            items = tuple(_aborted(target, KILLED) for target in left.targets)
            run = Run(left.run, left.drill, left.started_at, 0.0, items, cleaned, (KILLED,))
            chain.append("drill.result", _body(run))
        if cleaned:
            path.unlink(missing_ok=True)
        done.append(left.run)
    return done


def history(chain: Chain) -> list[Record]:
    """The results of all runs, oldest first."""
    return list(chain.records("drill.result"))


def coverage(context: Context, chain: Chain) -> list[past.Covered]:
    """Which drill rehearses which service, and what the evidence says of it."""
    rehearsed = [
        (drill, METHODS[drill.method].targets(context, ()))
        for drill in drills(context).entries.values()
        if drill.method in METHODS
    ]
    return past.coverage(context, rehearsed, history(chain), datetime.now(UTC))


def _method(drill: Drill) -> Method:
    if drill.method not in METHODS:
        known = ", ".join(METHODS)
        raise UsageError(
            tr(
                f"演练 {drill.id} 要用方法 {drill.method}；现有：{known}",
                f"drill {drill.id} wants method {drill.method}; there is: {known}",
            )
        )
    return METHODS[drill.method]


def _require_fit(name: str, method: Method, options: Options) -> None:
    """UsageError for a moment that the method would not heed."""
    if options.moment is not None and not getattr(method, "takes_moment", False):
        raise UsageError(tr(f"演练 {name} 不恢复到指定时刻", f"drill {name} does not restore to a moment"))


def _scratch_parent(context: Context, options: Options) -> Path:
    if options.scratch is None:
        parent = context.inventory.state / "scratch"
        parent.mkdir(mode=0o700, exist_ok=True)
        return parent
    if not options.scratch.is_dir():
        raise UsageError(
            tr(f"--scratch {options.scratch}：没有这个目录", f"--scratch {options.scratch}: there is no such folder")
        )
    return options.scratch.resolve()


def _attempt(
    context: Context,
    drill: Drill,
    method: Method,
    targets: list[Target],
    chain: Chain,
    run_id: str,
    scratch: Path,
    progress: Progress,
    moment: float | None,
) -> tuple[list[Item], list[dict[str, str]]]:
    """All targets, one after the other. An interruption makes the rest aborted; it never goes further up."""
    items: list[Item] = []
    try:
        planned = {"run": run_id, "drill": drill.id, "targets": [asdict(target) for target in targets]}
        chain.append("drill.planned", {**planned, "steady": [item.check for item in drill.steady]})
        if not targets:
            return [], [{"zh": "规划中没有可演练的对象", "en": "the plan has nothing to rehearse"}]
        progress("steady")
        if unsteady := _unsteady(context, drill):
            return [_aborted(target, *unsteady) for target in targets], unsteady
        scratch.mkdir(mode=0o700)
        work = Work(context, scratch, progress, past.usual_seconds(history(chain), drill.id), moment)
        for target in targets:
            items.append(_rehearse(method, work, target))
        return items, []
    except KeyboardInterrupt:
        return [*items, *(_aborted(target, INTERRUPTED) for target in targets[len(items) :])], [INTERRUPTED]


def _rehearse(method: Method, work: Work, target: Target) -> Item:
    try:
        return method.rehearse(work, target)
    except Exception as error:  # a fault of ours must not leave a run without a record
        said, kind = printable(both(error)), type(error).__name__
        text = {
            "zh": f"演练程序出错：{kind}: {said['zh']}",
            "en": f"the drill itself failed: {kind}: {said['en']}",
        }
        return Item(target.service, target.host, Outcome.ERROR, Verdict.UNKNOWN, (text,))


def _unsteady(context: Context, drill: Drill) -> list[dict[str, str]]:
    """Why the steady state does not hold; empty when it does."""
    shelf = content.checks(context.inventory)
    wanted = [shelf.get(item.check) for item in drill.steady]
    results = run_checks(context, wanted, narrow={item.check: item.where for item in drill.steady})
    return [
        {
            "zh": f"演练前状态不正常：{result.check} {result.subject}：{result.detail['zh']}",
            "en": f"not in its steady state: {result.check} {result.subject}: {result.detail['en']}",
        }
        for result in results
        if result.status is not Status.PASS
    ]


def _aborted(target: Target, *reasons: dict[str, str]) -> Item:
    return Item(target.service, target.host, Outcome.ABORTED, Verdict.UNKNOWN, reasons)


def _clean(scratch: Path) -> bool:
    """Remove the scratch; a second Ctrl-C does not stop that."""
    with _ignoring_interrupts(), suppress(OSError):
        return journal.undo(scratch)
    return False


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does: cleaned up and recorded."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with _handlers({signal.SIGTERM: interrupt, signal.SIGHUP: interrupt}):
        yield


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    ignored: dict[signal.Signals, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)
    with _handlers(ignored):
        yield


@contextmanager
def _handlers(wanted: dict[signal.Signals, Callable[..., None] | Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _body(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "drill": run.drill,
        "started_at": run.started_at,
        "seconds": run.seconds,
        "outcome": run.outcome.value,
        "verdict": run.verdict.value,
        "cleaned": run.cleaned,
        "reasons": list(run.reasons),
        "items": [asdict(item) for item in run.items],
    }
