"""Run a calibration: case after case planted by another process, judged blindly, then opened and counted.

On record in this order: calibration.planned; for each case calibration.sealed (a hash of what was planted),
calibration.judged, calibration.revealed; at the end calibration.result. Everything follows from a seed that is printed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from egovctl.drill import journal
from egovctl.drill.calibration.judge import JUDGES
from egovctl.drill.calibration.load import load
from egovctl.drill.calibration.planting import Planting, Sealed
from egovctl.drill.calibration.seal import commitment
from egovctl.drill.deadman import armed
from egovctl.drill.journal import Journal
from egovctl.drill.model import Item
from egovctl.errors import CannotMeasure
from egovctl.evidence import Chain
from egovctl.evidence.record import now
from egovctl.i18n import told
from egovctl.paths import Inventory

NAME = "calibrate"
PER_INSTANCE = 300 << 20  # octets of a world, its copies and its restore, at the most


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `part` of `parts`: only the cases whose number leaves that rest; all parts make the whole."""

    seed: int
    instances: int
    clean: int
    kinds: tuple[str, ...] = ()
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Judged:
    """A case with its verdict and, since it is opened, its label."""

    number: int
    label: dict[str, Any]
    outcome: str
    verdict: str
    causes: tuple[str, ...]
    seconds: float
    load: dict[str, Any]
    reasons: tuple[str, ...] = ()


Each = Callable[[Judged, int], None]  # hears of a case as soon as it is counted, and of how many there are


def calibrate(inventory: Inventory, chain: Chain, wanted: Wanted, parent: Path, each: Each) -> tuple[str, list[Judged]]:
    """Plant, judge, open; the run's id, and all that was judged. What is made in the folder `parent` is removed."""
    run = uuid4().hex[:12]
    scratch = journal.scratch_of(parent, run)
    if shutil.disk_usage(parent).free < 2 * PER_INSTANCE:
        zh = f"{parent} 空间不足：至少需要 {2 * PER_INSTANCE >> 20} MiB"
        raise CannotMeasure(told(zh, f"{parent} has no room: {2 * PER_INSTANCE >> 20} MiB are needed at least"))
    kept = Journal(run, NAME, str(scratch), (), now())
    with armed(scratch), journal.held(inventory, kept):
        scratch.mkdir(mode=0o700)
        try:
            with Planting(scratch, wanted.seed, wanted.kinds, wanted.instances, wanted.clean) as planting:
                return run, list(_cases(planting, chain, wanted, scratch, run, each))
        finally:
            journal.undo(scratch)


def _cases(planting: Planting, chain: Chain, wanted: Wanted, scratch: Path, run: str, each: Each) -> Iterator[Judged]:
    count = planting.cases()
    numbers = list(range(wanted.part, count, wanted.parts))
    plan = {"run": run, "seed": wanted.seed, "cases": count, "part": wanted.part, "parts": wanted.parts}
    chain.append("calibration.planned", {**plan, "instances": wanted.instances, "clean": wanted.clean})
    for number in numbers[:1]:
        planting.ask(number)
    for place, number in enumerate(numbers, start=1):
        sealed = planting.sealed()
        for following in numbers[place : place + 1]:
            planting.ask(following)  # it is planted while this one is judged
        chain.append("calibration.sealed", {"run": run, "number": number, "commitment": sealed.commitment})
        item, seconds, weight = _judge(sealed, wanted.seed, scratch)
        verdict = {"outcome": item.outcome.value, "verdict": item.verdict.value, "causes": list(item.causes)}
        record = chain.append("calibration.judged", {"run": run, "number": number, **verdict})
        label, nonce = planting.reveal(number)
        if commitment(nonce, label) != sealed.commitment:
            raise _other_label(number)
        opened = {"run": run, "number": number, "label": label, "nonce": nonce, "judged": record.hash}
        chain.append("calibration.revealed", opened)
        judged = _judged(number, label, item, seconds, weight)
        each(judged, len(numbers))
        yield judged


def _judge(sealed: Sealed, seed: int, scratch: Path) -> tuple[Item, float, dict[str, Any]]:
    """Judge a case under a load that follows from the seed, not from what was planted."""
    rng = Random(f"{seed} load {sealed.number}")
    reckoning, writing = rng.choice((0, 0, 0, 0, 1, 2)), rng.random() < 0.2
    begun = time.monotonic()
    with load(reckoning, writing, scratch):
        item = JUDGES[sealed.case["method"]](sealed.case, Path(sealed.case["scratch"]))
    return item, round(time.monotonic() - begun, 3), {"reckoning": reckoning, "writing": writing}


def _judged(number: int, label: dict[str, Any], item: Item, seconds: float, weight: dict[str, Any]) -> Judged:
    reasons = tuple(reason["en"] for reason in item.reasons)
    causes = tuple(cause.value for cause in item.causes)
    return Judged(number, label, item.outcome.value, item.verdict.value, causes, seconds, weight, reasons)


def _other_label(number: int) -> CannotMeasure:
    return CannotMeasure(
        told(
            f"用例 {number} 揭示的标签与封存的不符",
            f"case {number}: the label that was opened is not the one that was sealed",
        )
    )
