"""What all restores are judged by: the promise, the heartbeat, and whose backup it is."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egovctl.drill.causes import HINDRANCES, Cause
from egovctl.drill.model import Item, Outcome, Target, Unit, Verdict, Work
from egovctl.drill.phases import Timer
from egovctl.drill.printable import printable
from egovctl.errors import CannotMeasure
from egovctl.i18n import both
from egovctl.transport import HostSilent

PATIENCE = 2.0  # times the promised RTO: whoever takes longer is stopped
UNUSUAL = 10.0  # times what healthy runs took: a damaged restore ran 43 times longer than a healthy one
SHORTEST_LIMIT = 120.0
CLOCK_TOLERANCE = 60.0
HEADROOM = 16 << 20  # octets that a scratch must have beyond what is restored


@dataclass(frozen=True)
class Promise:
    """What the plan promises for a service, in seconds; `usual` is the median of its earlier healthy restores."""

    rto: int
    rpo: int
    usual: float | None = None

    @property
    def limit(self) -> float:
        """Seconds after which a restore is stopped: it breaks its promise, or takes much longer than it ever did."""
        promised = max(SHORTEST_LIMIT, self.rto * PATIENCE)
        return promised if self.usual is None else min(promised, max(SHORTEST_LIMIT, self.usual * UNUSUAL))


def promised(work: Work, target: Target) -> Promise:
    """What the plan promises for a target, with what its earlier healthy runs took."""
    service = work.context.service(target.service)
    return Promise(service.rto, service.rpo, work.usual.get(str(target)))


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: its cause, and a sentence in both languages."""

    cause: Cause
    text: dict[str, str]


def finding(cause: Cause, zh: str, en: str) -> Finding:
    """A finding from its two sentences."""
    return Finding(cause, {"zh": zh, "en": en})


def heartbeat_age(path: Path, moment: float) -> float | None:
    """Seconds from the heartbeat in a restored heartbeat.json to `moment` (Unix time); None when there is none."""
    try:
        return round(moment - float(json.loads(path.read_text(encoding="utf-8"))["unix"]), 3)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def broken_promises(promise: Promise, rto: float, age: float | None) -> list[Finding]:
    """What was promised and not kept; `age` is the data's, in seconds."""
    found = []
    if rto > promise.rto:
        text = f"RTO {rto:.0f} s > {promise.rto} s"
        found.append(finding(Cause.TOO_SLOW, f"恢复超时：{text}", f"restored too late: {text}"))
    if age is not None and age > promise.rpo:
        text = f"RPO {age:.0f} s > {promise.rpo} s"
        found.append(finding(Cause.STALE, f"备份过旧：{text}", f"the backup is too old: {text}"))
    return found


def judged(
    target: Target,
    promise: Promise,
    timer: Timer,
    findings: Iterable[Finding],
    *,
    compared: int,
    age: float | None,
    details: dict[str, Any],
    unit: Unit = "files",
) -> Item:
    """A restore that ran to its end. Nothing compared is an error; no credible heartbeat leaves the RPO unknown."""
    kept = list(findings)
    outcome, verdict = Outcome.COMPLETED, Verdict.NOT_MET if kept else Verdict.MET
    if compared == 0 and not kept:
        outcome, verdict = Outcome.ERROR, Verdict.UNKNOWN
        kept = [finding(Cause.SOURCE_EMPTY, "没有比对任何内容：不算通过", "nothing was compared: that is no pass")]
    elif unsure := _no_age(age):
        kept.append(unsure)
        verdict = Verdict.UNKNOWN if verdict is Verdict.MET else verdict
    return Item(
        target.service,
        target.host,
        outcome,
        verdict,
        tuple(printable(one.text) for one in kept),
        timer.phases,
        timer.total,
        float(promise.rto),
        age,
        float(promise.rpo),
        compared,
        printable(details),
        tuple(dict.fromkeys(one.cause for one in kept)),
        unit,
    )


def _no_age(age: float | None) -> Finding | None:
    """Why the RPO cannot be said; None when it can."""
    if age is None:
        return finding(Cause.MANIFEST_LOST, "备份中没有心跳时间，RPO 未知", "no heartbeat: the RPO is unknown")
    if age < -CLOCK_TOLERANCE:
        zh = f"备份中的心跳时间不可信（比控制机的时钟快 {-age:.0f} 秒），RPO 未知"
        en = f"no credible heartbeat, {-age:.0f} s ahead of control's clock: the RPO is unknown"
        return finding(Cause.CLOCK_WRONG, zh, en)
    return None


def hindered(
    target: Target, promise: Promise, timer: Timer, outcome: Outcome, verdict: Verdict, findings: Iterable[Finding]
) -> Item:
    """A restore that did not come to its end."""
    kept = list(findings)
    return Item(
        target.service,
        target.host,
        outcome,
        verdict,
        tuple(printable(one.text) for one in kept),
        timer.phases,
        rto_promised_seconds=float(promise.rto),
        rpo_promised_seconds=float(promise.rpo),
        causes=tuple(dict.fromkeys(one.cause for one in kept)),
    )


def too_slow(target: Target, promise: Promise, timer: Timer) -> Item:
    """A restore that was stopped at its limit. Past the promised RTO the promise is broken, else nobody knows."""
    limit, usual = promise.limit, promise.usual
    if limit >= promise.rto or usual is None:
        found = finding(
            Cause.TOO_SLOW,
            f"{limit:.0f} 秒内未能恢复（承诺 RTO {promise.rto} 秒），已停止",
            f"not restored within {limit:.0f} s, the promised RTO being {promise.rto} s: stopped",
        )
        return hindered(target, promise, timer, Outcome.ABORTED, Verdict.NOT_MET, [found])
    found = finding(
        Cause.TOO_SLOW,
        f"{limit:.0f} 秒内未能恢复，以往只需 {usual:.1f} 秒，已停止",
        f"not restored within {limit:.0f} s, where it used to take {usual:.1f} s: stopped",
    )
    return hindered(target, promise, timer, Outcome.ABORTED, Verdict.UNKNOWN, [found])


def failed(target: Target, promise: Promise, timer: Timer, error: Exception) -> Item:
    """A restore that ended with an error. A fault of the backup breaks the promise; what hinders the drill does not.

    The error's `cause` says which of the two it is; one without a cause says nothing of the backup.
    """
    cause = getattr(error, "cause", None) or _cause_of(error)
    outcome, verdict = Outcome.COMPLETED, Verdict.NOT_MET
    if cause in HINDRANCES:
        outcome, verdict = Outcome.ERROR, Verdict.UNKNOWN
    return hindered(target, promise, timer, outcome, verdict, [not_possible(cause, error)])


def _cause_of(error: Exception) -> Cause:
    if isinstance(error, HostSilent):
        return Cause.UNREACHABLE
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Cause.NO_ROOM
    return Cause.NOT_READY if isinstance(error, CannotMeasure) else Cause.TOOL_FAILED


def not_possible(cause: Cause, error: Exception) -> Finding:
    """A finding from an error's own two sentences."""
    said = both(error)
    return finding(cause, f"无法完成：{said['zh']}", said["en"])
